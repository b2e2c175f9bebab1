"""Bars, one for each row: the rate, the stages of a request, what was lost and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from livegate_bench.comparison.measures import label, short
from livegate_bench.report.axes import linear
from livegate_bench.report.latencyplots import WIDTH
from livegate_bench.report.plot import Pane, axis_x, bar, drawing, legend, legend_px
from livegate_bench.report.svg import Markup, join, text
from livegate_bench.rows import Row

NAMES_PX, ROW_PX, BAR_PX, AXIS_PX = 235, 22, 14, 42
STAGES = ("decode", "queue", "preprocess", "infer", "postprocess", "serialise")
"""In the order of a request; others follow by name."""


def stage_bars(rows: Sequence[Row]) -> Markup | None:
    """Mean milliseconds of each stage, stacked."""
    return stacked(rows, lambda row: row.stages_ms, "mean time of a request, ms", STAGES)


def lost_bars(rows: Sequence[Row]) -> Markup | None:
    """Errors by code and drops by reason, stacked; a bar for each row that lost anything."""
    return stacked([row for row in rows if lost(row)], lost, "requests or frames lost", ())


def lost(row: Row) -> dict[str, float]:
    """What was lost, by why."""
    drops = {f"dropped: {name}": float(count) for name, count in row.drops.items() if count > 0}
    return drops | {f"error: {name}": float(count) for name, count in row.errors.items() if count > 0}


def stacked(
    rows: Sequence[Row], parts: Callable[[Row], Mapping[str, float]], words: str, order: Sequence[str]
) -> Markup | None:
    """A bar for each row, a colour for each part; None when no row has one."""
    rows = [row for row in rows if any(value > 0 for value in parts(row).values())]
    found = {name for row in rows for name, value in parts(row).items() if value > 0}
    names = [name for name in order if name in found] + sorted(found - set(order))
    if not rows:
        return None
    place = Pane(NAMES_PX, WIDTH - 60, 4, 4 + ROW_PX * len(rows))
    sums = [sum(value for value in parts(row).values() if value > 0) for row in rows]
    x = linear(sums, place.left, place.right)
    bars = [
        _bar(place, row, number, [(n, parts(row).get(n, 0.0)) for n in names], x.at)
        for number, row in enumerate(rows)
    ]
    bottom = int(place.bottom + AXIS_PX)
    named = legend(Pane(20, WIDTH - 14, 0, 0), bottom + 6, names, 3)
    axis = axis_x(place, x, words)
    return drawing(WIDTH, bottom + legend_px(names, 3), words, axis, *bars, named)


def _bar(
    place: Pane,
    row: Row,
    number: int,
    parts: Sequence[tuple[str, float]],
    at: Callable[[float], float],
) -> Markup:
    top = place.top + ROW_PX * number
    drawn, so_far = [], 0.0
    for series, (name, value) in enumerate(parts):
        if value > 0:
            left, right = at(so_far), at(so_far + value)
            tip = f"{name}: {short(value)}"
            drawn.append(bar(left, top + (ROW_PX - BAR_PX) / 2, right - left, BAR_PX, series, tip))
            so_far += value
    name = label(row)
    words = name if len(name) <= 36 else name[:35] + "…"
    middle = top + ROW_PX / 2 + 4
    head = text(place.left - 6, middle, words, "end")
    return join(head, *drawn, text(at(so_far) + 5, middle, short(so_far)))
