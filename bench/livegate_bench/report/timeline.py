"""The plot of a row's windows: what changed while it was measured."""

from __future__ import annotations

from collections.abc import Sequence

from livegate_bench.comparison.measures import label, percentile_word
from livegate_bench.report.axes import Scale, linear
from livegate_bench.report.latencyplots import SMALL_HEIGHT, SMALL_WIDTH
from livegate_bench.report.plot import Pane, axis_x, axis_y, drawing, pane, polyline
from livegate_bench.report.svg import Markup
from livegate_bench.rows import Row, Window

GAP = 12


def timeline(row: Row) -> Markup | None:
    """Rate above, latency below, on one axis of time; a window without latency leaves a gap."""
    if not row.windows:
        return None
    whole = pane(SMALL_WIDTH, SMALL_HEIGHT)
    middles, end_s = _middles(row.windows)
    x = linear([end_s], whole.left, whole.right)
    has_latency = any(window.latency_ms is not None for window in row.windows)
    middle = (whole.top + whole.bottom) / 2
    upper = Pane(whole.left, whole.right, whole.top, middle - GAP / 2) if has_latency else whole
    parts = [axis_x(whole, x, "time in the windows, s"), *_rates(row, upper, x, middles)]
    if has_latency:
        lower = Pane(whole.left, whole.right, middle + GAP / 2, whole.bottom)
        parts += _latencies(row, lower, x, middles)
    return drawing(SMALL_WIDTH, SMALL_HEIGHT, f"Windows of {label(row)}", *parts)


def _rates(row: Row, place: Pane, x: Scale, middles: Sequence[float]) -> list[Markup]:
    y = linear([window.rate_per_s for window in row.windows], place.bottom, place.top, 3)
    points = [(x.at(s), y.at(w.rate_per_s)) for s, w in zip(middles, row.windows, strict=True)]
    return [axis_y(place, y, "rate, /s"), polyline(points, 0, has_dots=True)]


def _latencies(row: Row, place: Pane, x: Scale, middles: Sequence[float]) -> list[Markup]:
    y = linear([window.latency_ms or 0 for window in row.windows], place.bottom, place.top, 3)
    runs = _runs(row.windows, middles, x, y)
    drawn = [polyline(run, 1, has_dots=True) for run in runs]
    return [axis_y(place, y, f"{percentile_word(row.percentile)}, ms"), *drawn]


def _middles(windows: Sequence[Window]) -> tuple[list[float], float]:
    """Of each window, in seconds since the first began; and the end of the last."""
    middles, end_s = [], 0.0
    for window in windows:
        seconds = max(window.seconds, 0.0)
        middles.append(end_s + seconds / 2)
        end_s += seconds
    return middles, end_s


def _runs(
    windows: Sequence[Window], middles: Sequence[float], x: Scale, y: Scale
) -> list[list[tuple[float, float]]]:
    """Points in pixels, in stretches without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for window, middle_s in zip(windows, middles, strict=True):
        if window.latency_ms is None:
            runs.append([])
        else:
            runs[-1].append((x.at(middle_s), y.at(window.latency_ms)))
    return [run for run in runs if run]
