"""Plots of latency: cumulative for the rows of a scenario, and a histogram of each."""

from __future__ import annotations

from collections.abc import Sequence

from livegate_bench.comparison.measures import label, short
from livegate_bench.report.axes import linear, logarithmic
from livegate_bench.report.plot import (
    Pane,
    axis_x,
    axis_y,
    bar,
    drawing,
    legend,
    legend_px,
    pane,
    polyline,
)
from livegate_bench.report.svg import Markup, join, line, text
from livegate_bench.rows import Latency, Row

WIDTH, HEIGHT = 690, 270
SMALL_WIDTH, SMALL_HEIGHT = 335, 190


def latency_cdf(rows: Sequence[Row]) -> Markup | None:
    """How many of the requests were answered within a time: a line for each row."""
    shown = [row for row in rows if _has_counts(row.latency)]
    if not shown:
        return None
    place, names = pane(WIDTH, HEIGHT), [label(row) for row in shown]
    curves = [_curve(row.latency) for row in shown if row.latency]
    x = logarithmic([ms for curve in curves for ms, _ in curve], place.left, place.right)
    y = linear([100], place.bottom, place.top)
    lines = [
        polyline([(x.at(ms), y.at(percent)) for ms, percent in curve], number)
        for number, curve in enumerate(curves)
    ]
    axes = (axis_x(place, x, "latency, ms (log)"), axis_y(place, y, "requests answered, %"))
    named = legend(place, HEIGHT + 6, names)
    return drawing(WIDTH, HEIGHT + legend_px(names), "Latency, cumulative", *axes, *lines, named)


def latency_histogram(row: Row, among: Sequence[Row]) -> Markup | None:
    """One row's requests by latency, with its percentiles; all of `among` share the axis of latency."""
    latency = row.latency
    if latency is None or not _has_counts(latency):
        return None
    place = pane(SMALL_WIDTH, SMALL_HEIGHT)
    x = logarithmic([ms for other in among for ms in _span(other.latency)], place.left, place.right)
    percents = [100 * count / sum(latency.counts) for count in latency.counts]
    y = linear([1.25 * max(percents)], place.bottom, place.top)
    bins = zip(latency.edges_ms, latency.edges_ms[1:], percents, strict=False)
    bars = [
        bar(x.at(low), y.at(percent), max(x.at(high) - x.at(low), 0.6), place.bottom - y.at(percent), 4)
        for low, high, percent in bins
        if percent > 0
    ]
    marks = [
        _mark(place, x.at(latency.p50_ms), f"p50 {short(latency.p50_ms)}", 0),
        _mark(place, x.at(latency.p99_ms), f"p99 {short(latency.p99_ms)}", 1),
    ]
    axes = (axis_x(place, x, "latency, ms (log)"), axis_y(place, y, "requests, %"))
    return drawing(SMALL_WIDTH, SMALL_HEIGHT, f"Latency of {label(row)}", *axes, *bars, *marks)


def _mark(place: Pane, x: float, words: str, number: int) -> Markup:
    is_left = (number == 0 and x > place.left + 60) or x > place.right - 60
    anchor, shift = ("end", -3) if is_left else ("start", 3)
    below = text(x + shift, place.top + 9 + 13 * number, words, anchor, "over")
    return join(line(x, place.top, x, place.bottom, "mark"), below)


def _has_counts(latency: Latency | None) -> bool:
    return latency is not None and sum(latency.counts) > 0


def _curve(latency: Latency) -> list[tuple[float, float]]:
    """(ms, percent) from the first bin that has anything to the last."""
    total, below = sum(latency.counts), 0
    points: list[tuple[float, float]] = []
    for low, high, count in zip(latency.edges_ms, latency.edges_ms[1:], latency.counts, strict=False):
        if count:
            points += [] if points else [(low, 0.0)]
            below += count
            points.append((high, 100 * below / total))
        elif points and below < total:
            points.append((high, 100 * below / total))
    return points


def _span(latency: Latency | None) -> list[float]:
    """The lowest and the highest edge that matter."""
    if latency is None or not _has_counts(latency):
        return []
    curve = _curve(latency)
    return [curve[0][0], curve[-1][0]] if curve else []
