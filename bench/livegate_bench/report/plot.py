"""The frame of a plot: axes with units, a grid, a legend. Charts draw into it.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; yellow is left out, since
it does not show on white. Series beyond seven are told apart by dashes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from livegate_bench.report.axes import Scale, tick_word
from livegate_bench.report.svg import Markup, join, line, tag, text

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000", "#e69f00")
DASHES = (None, "6 3", "2 3", "8 3 2 3")
LEGEND_PX = 16


@dataclass(frozen=True, slots=True)
class Pane:
    """The rectangle between the axes, in pixels."""

    left: float
    right: float
    top: float
    bottom: float


def pane(width: float, height: float) -> Pane:
    """With room for ticks and titles on the left and below."""
    return Pane(58, width - 14, 10, height - 42)


def colour(number: int) -> str:
    """Of the series of that number."""
    return COLOURS[number % len(COLOURS)]


def dash(number: int) -> str | None:
    """Once the colours are used up."""
    return DASHES[number // len(COLOURS) % len(DASHES)]


def drawing(width: int, height: int, title: str, *parts: str) -> Markup:
    """The picture, with its title for those who cannot see it."""
    box = f"0 0 {width} {height}"
    return tag("svg", tag("title", title), *parts, viewBox=box, width=width, height=height, role="img")


def legend(place: Pane, top: float, names: Sequence[str], per_line: int = 2) -> Markup:
    """The names of the series, in rows of `per_line`, from `top` down; long ones are cut."""
    room = (place.right - place.left) / per_line
    letters = max(int(room / 6.2) - 5, 2)
    parts = []
    for number, name in enumerate(names):
        x = place.left + number % per_line * room
        y = top + LEGEND_PX * (number // per_line)
        words = name if len(name) <= letters else name[: letters - 1] + "…"
        mark = tag(
            "line", x1=x, y1=y, x2=x + 18, y2=y,
            stroke=colour(number), stroke_width=4, stroke_dasharray=dash(number),
        )  # fmt: skip
        parts += [mark, text(x + 24, y + 4, words)]
    return join(*parts)


def legend_px(names: Sequence[str], per_line: int = 2) -> int:
    """How high a legend is."""
    return LEGEND_PX * -(-len(names) // per_line)


def axis_x(place: Pane, scale: Scale, words: str, ticks: Sequence[float] = ()) -> Markup:
    """The horizontal axis with its grid; `ticks` where round numbers do not do.

    Ticks that would run into each other have no number.
    """
    parts = [line(place.left, place.bottom, place.right, place.bottom, "axis")]
    last_px = -100.0
    for tick in ticks or scale.ticks():
        x = scale.at(tick)
        parts.append(line(x, place.top, x, place.bottom, "grid"))
        if x - last_px >= 34:
            parts.append(text(x, place.bottom + 15, tick_word(tick), "middle"))
            last_px = x
    middle = (place.left + place.right) / 2
    return join(*parts, text(middle, place.bottom + 32, words, "middle", "label"))


def axis_y(place: Pane, scale: Scale, words: str) -> Markup:
    """The vertical axis with its grid."""
    parts = [line(place.left, place.top, place.left, place.bottom, "axis")]
    last_px = math.inf
    for tick in scale.ticks():
        y = scale.at(tick)
        parts.append(line(place.left, y, place.right, y, "grid"))
        if last_px - y >= 13:
            parts.append(text(place.left - 6, y + 4, tick_word(tick), "end"))
            last_px = y
    turn = f"translate(13 {(place.top + place.bottom) / 2:.0f}) rotate(-90)"
    turned = tag("text", words, text_anchor="middle", class_="label", transform=turn)
    return join(*parts, turned)


def polyline(points: Sequence[tuple[float, float]], number: int, *, has_dots: bool = False) -> Markup:
    """A series, in pixels. One point is a dot."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn = tag(
        "polyline", points=path, fill="none", stroke=colour(number), stroke_width=2,
        stroke_dasharray=dash(number),
    )  # fmt: skip
    dots = points if has_dots or len(points) == 1 else ()
    return join(drawn, *(tag("circle", cx=x, cy=y, r=3, fill=colour(number)) for x, y in dots))


def bar(x: float, y: float, width: float, height: float, number: int, tip: str = "") -> Markup:
    """A filled rectangle; `tip` shows where a mouse rests."""
    title = [tag("title", tip)] if tip else []
    return tag(
        "rect", *title, x=float(x), y=float(y), width=float(max(width, 0)), height=float(max(height, 0)),
        fill=colour(number),
    )  # fmt: skip
