"""Elements of HTML and SVG as text. Everything that is not made here is escaped."""

from __future__ import annotations

import html

from livegate_bench.report.terminal import printable


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element. `class_` and the like lose the underscore; `stroke_width` becomes stroke-width."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{told}>{join(*children)}</{name}>")


def join(*parts: str) -> Markup:
    """One after the other; what is not markup is escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escaped(part) for part in parts))


def escaped(text: str) -> str:
    """Safe between tags and in quotes; without characters that XML forbids."""
    return html.escape(printable(text), quote=True)


def _attribute(value: str | float) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, anchor: str = "start", class_: str | None = None) -> Markup:
    """A line of text at a point."""
    return tag("text", words, x=float(x), y=float(y), text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)
