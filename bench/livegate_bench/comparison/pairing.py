"""Two rows set against each other: ratios with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from livegate_bench.comparison.bootstrap import (
    Histogram,
    Interval,
    design_effect,
    paired_interval,
    quantile_interval,
    ratio_interval,
)
from livegate_bench.comparison.differences import differences, machine_differences
from livegate_bench.comparison.measures import COMPARED, GAINS, measure
from livegate_bench.rows import Latency, Machine, Part, Row, Setting, Window

Verdict = Literal["better", "worse", "no difference shown", "not enough to tell"]
Method = Literal["windows", "paired windows", "requests"]
QUANTILES = {"p50_ms": 0.5, "p99_ms": 0.99}
EXACT = {
    "min_ms": 0.0, "p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99, "p99_9_ms": 0.999,
    "max_ms": 1.0,
}  # fmt: skip
OF_WINDOW = {"rate_per_s": "rate_per_s", "core_ms_per_request": "core_ms_per_request"}


class Ratio(Part, frozen=True, kw_only=True):
    """One figure of two rows; `ratio` is other / base."""

    figure: str
    base: float
    other: float
    ratio: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    """Of the interval from low to high; null without one."""
    method: Method
    verdict: Verdict


class Pair(Part, frozen=True, kw_only=True):
    """Two rows that were matched."""

    scenario: str
    base_system: str
    system: str
    settings: dict[str, Setting]
    """Of the other row."""
    ratios: tuple[Ratio, ...]
    warnings: tuple[str, ...]
    """What else differs, so that a ratio may tell of that."""


def compare_rows(
    base: Row, other: Row, *, is_paired: bool, machines: tuple[Machine, Machine] | None = None
) -> Pair:
    """Every figure that both have. `is_paired`: rows of one report, which may have taken turns."""
    found = [ratio_of(base, other, figure, is_paired=is_paired) for figure in COMPARED]
    return Pair(
        scenario=other.scenario,
        base_system=base.system,
        system=other.system,
        settings=other.settings,
        ratios=tuple(ratio for ratio in found if ratio),
        warnings=(*(machine_differences(*machines) if machines else []), *differences(base, other)),
    )


def ratio_of(base: Row, other: Row, figure: str, *, is_paired: bool) -> Ratio | None:
    """One figure; None where a row has none, or none above zero."""
    first, second = measure(base, figure), measure(other, figure)
    if first is None or second is None or min(first, second) <= 0:
        return None
    ratio, interval, method = _by_windows(base, other, figure, is_paired=is_paired)
    if figure in QUANTILES:
        ratio, interval, method = None, _by_requests(base, other, QUANTILES[figure]), "requests"
    return Ratio(
        figure=figure,
        base=first,
        other=second,
        ratio=ratio or second / first,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        confidence=interval.confidence if interval else None,
        method=method,
        verdict=_verdict(interval, is_gain=figure in GAINS),
    )


def _verdict(interval: Interval | None, *, is_gain: bool) -> Verdict:
    if interval is None:
        return "not enough to tell"
    if interval.low <= 1 <= interval.high:
        return "no difference shown"
    return "better" if (interval.low > 1) == is_gain else "worse"


def _by_windows(
    base: Row, other: Row, figure: str, *, is_paired: bool
) -> tuple[float | None, Interval | None, Method]:
    if figure not in OF_WINDOW:
        return None, None, "requests"
    first = _values(base.windows, OF_WINDOW[figure])
    second = _values(other.windows, OF_WINDOW[figure])
    if is_paired and base.turns == other.turns and len(base.windows) == len(other.windows):
        both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
        ratios = [b / a for a, b in both if a > 0]
        interval = paired_interval([a for a, _ in both], [b for _, b in both])
        return (float(np.median(ratios)) if ratios else None), interval, "paired windows"
    known = [[value for value in values if value is not None] for values in (first, second)]
    medians = [float(np.median(values)) if values else 0.0 for values in known]
    ratio = medians[1] / medians[0] if min(medians) > 0 else None
    return ratio, ratio_interval(*known), "windows"


def _values(windows: Sequence[Window], name: str) -> list[float | None]:
    return [getattr(window, name) for window in windows]


def _by_requests(base: Row, other: Row, part: float) -> Interval | None:
    histograms = [_histogram(row) for row in (base, other)]
    if histograms[0] is None or histograms[1] is None:
        return None
    return quantile_interval(histograms[0], histograms[1], part)


def _histogram(row: Row) -> Histogram | None:
    """With as many requests as vary as much as these did; None without windows that tell how much."""
    latencies = [window.latency_ms for window in row.windows if window.latency_ms]
    if row.latency is None or sum(row.latency.counts) == 0 or len(latencies) < 3 or min(latencies) <= 0:
        return None
    alone = _distribution(row.latency)
    requests = float(np.mean([window.requests for window in row.windows if window.latency_ms]))
    requests *= sum(row.latency.counts) / max(1, row.requests)  # a query may be several samples
    if requests < 1 or len(alone.knots_ms) < 2:
        return None
    effect = design_effect(alone, row.percentile, latencies, requests)
    return replace(alone, effective=max(1.0, alone.effective / effect))


def _distribution(latency: Latency) -> Histogram:
    """The bins, and between their edges the percentiles that are known exactly.

    Bins alone are too wide: two medians beside one edge would seem a whole bin apart.
    """
    below = np.concatenate([[0], np.cumsum(latency.counts)]) / sum(latency.counts)
    points = [(ms, float(part)) for ms, part in zip(latency.edges_ms, below, strict=True)]
    points += [(getattr(latency, name), part) for name, part in EXACT.items()]
    inside = sorted(p for p in points if p[0] > 0 and latency.min_ms <= p[0] <= latency.max_ms)
    knots = np.asarray([ms for ms, _ in inside], np.float64)
    heights = np.maximum.accumulate(np.asarray([part for _, part in inside], np.float64))
    return Histogram(knots, heights, float(sum(latency.counts)))
