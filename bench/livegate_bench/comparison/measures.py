"""Figures of a row by name: for the gate and for comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from livegate_bench.rows import Row, Setting

LATENCIES = (
    "count", "mean_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms",
)  # fmt: skip
OF_ROW = (
    "requests", "seconds", "rate_per_s", "core_ms_per_request", "load_core_ms_per_request",
    "bytes_copied_per_request", "rss_bytes",
)  # fmt: skip
PREFIXES = ("figures.", "stages_ms.")
COMPARED = ("rate_per_s", "p50_ms", "p99_ms", "core_ms_per_request")
"""What two rows are compared by."""
GAINS = frozenset({"rate_per_s"})
"""Where more is better; of the other compared figures less is."""


def _sums() -> Mapping[str, Callable[[Row], float | None]]:
    return {
        "errors": lambda row: sum(row.errors.values()),
        "drops": lambda row: sum(row.drops.values()),
        "errors_part": lambda row: _part(row.errors, row.requests),
        "drops_part": lambda row: _part(row.drops, row.requests),
        "joules_per_request": lambda row: row.energy.joules_per_request if row.energy else None,
        "watts": lambda row: row.energy.watts if row.energy else None,
        "early_stop_ms": _early_stop_ms,
    }


def measure(row: Row, name: str) -> float | None:
    """One figure; None when the row has none."""
    for prefix in PREFIXES:
        if name.startswith(prefix):
            found: Mapping[str, float] = getattr(row, prefix.rstrip("."))
            return found.get(name[len(prefix) :])
    if name in OF_ROW:
        value: float | None = getattr(row, name)
        return value
    if name in LATENCIES:
        return getattr(row.latency, name) if row.latency else None
    return _sums()[name](row)


def is_measure(name: str) -> bool:
    """Whether rows can have a figure of that name."""
    return name in measure_names() or any(name.startswith(p) and name != p for p in PREFIXES)


def measure_names() -> tuple[str, ...]:
    """Those that every row can have."""
    return (*OF_ROW, *LATENCIES, *_sums())


def label(row: Row) -> str:
    """The row among those of its scenario."""
    return " ".join([row.system, *settings_words(row.settings)])


def settings_words(settings: Mapping[str, Setting]) -> list[str]:
    """By name, so that two reports show them alike."""
    return [f"{name}={word(settings[name])}" for name in sorted(settings)]


def word(value: Setting) -> str:
    """A setting as JSON would have it, without quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return short(value) if isinstance(value, float) else str(value)


def percentile_word(part: float) -> str:
    """0.9 is p90, 0.999 is p99.9."""
    return f"p{part * 100:.6g}"


def short(value: float | None) -> str:
    """Four digits that count, for people."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if 100 <= abs(value) < 1e6:
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}"
    return f"{value:.3g}"


def _early_stop_ms(row: Row) -> float | None:
    stop = row.latency.early_stop if row.latency else None
    return stop.bound_ms if stop else None


def _part(counts: Mapping[str, int], answered: int) -> float | None:
    lost = sum(counts.values())
    return lost / (lost + answered) if lost + answered > 0 else None
