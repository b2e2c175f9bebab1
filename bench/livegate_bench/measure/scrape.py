"""What the server itself counted between two looks at its /metrics."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from collections.abc import Mapping

Sample = tuple[str, str]
"""A metric's name and its labels, as they stand there."""
LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
PREFIXES = ("livegate_stage_seconds_", "livegate_request_seconds_", "livegate_frame")
TIMEOUT_S = 5.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past a proxy that the environment names: what it answers would be taken for ours."""


def scrape(address: str) -> dict[Sample, float]:
    """All samples that the bench has a use for."""
    with DIRECT.open(f"http://{address}/metrics", timeout=TIMEOUT_S) as answer:
        return samples_from(answer.read().decode())


def samples_from(text: str) -> dict[Sample, float]:
    """Out of the text format of Prometheus."""
    found = (LINE.match(line) for line in text.splitlines() if line.startswith(PREFIXES))
    return {(match[1], match[2] or ""): float(match[3]) for match in found if match}


def difference(after: Mapping[Sample, float], before: Mapping[Sample, float]) -> Counter[Sample]:
    """What was counted in between."""
    return Counter({sample: value - before.get(sample, 0.0) for sample, value in after.items()})


def label(sample: Sample, name: str) -> str:
    """The value of one label; nothing without it."""
    found = re.search(rf'\b{name}="([^"]*)"', sample[1])
    return found[1] if found else ""


def stages_ms(counted: Mapping[Sample, float], requests: int) -> dict[str, float]:
    """Mean milliseconds a request, by stage; `rest` is what the server's clock saw beside them.

    `rest` is there where a face times its requests: parsing, waking threads.
    """
    if not requests:
        return {}
    stages = {
        label(sample, "stage"): value * 1e3 / requests
        for sample, value in counted.items()
        if sample[0] == "livegate_stage_seconds_sum"
    }
    whole_s = sum(v for sample, v in counted.items() if sample[0] == "livegate_request_seconds_sum")
    if whole_s > 0:
        stages["rest"] = max(0.0, whole_s * 1e3 / requests - sum(stages.values()))
    return stages if any(stages.values()) else {}


def dropped(counted: Mapping[Sample, float]) -> dict[str, int]:
    """Frames without a verdict, by reason."""
    found: Counter[str] = Counter()
    for sample, value in counted.items():
        event = label(sample, "event") if sample[0] == "livegate_frames_total" else ""
        if event.startswith("dropped_") or event in ("no_slot", "failed"):
            found[event.removeprefix("dropped_")] += round(value)
    return {reason: count for reason, count in found.items() if count}


def total(counted: Mapping[Sample, float], name: str, event: str = "") -> int:
    """Of a counter, all its labels together; `event` picks one of livegate_frames_total."""
    return round(
        sum(
            value
            for sample, value in counted.items()
            if sample[0] == name and (not event or label(sample, "event") == event)
        )
    )
