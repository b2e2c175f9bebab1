"""The plot of throughput against concurrency: a line for each system."""

from __future__ import annotations

from collections.abc import Sequence

from livegate_bench.comparison.measures import settings_words
from livegate_bench.report.axes import linear, logarithmic
from livegate_bench.report.latencyplots import HEIGHT, WIDTH
from livegate_bench.report.plot import axis_x, axis_y, drawing, legend, legend_px, pane, polyline
from livegate_bench.report.svg import Markup
from livegate_bench.rows import Row

SETTING = "clients"


def load_plot(rows: Sequence[Row]) -> Markup | None:
    """Rate by clients, of systems that were run with more than one number of them."""
    series = {name: points for name, points in _series(rows).items() if len(points) > 1}
    if not series:
        return None
    place = pane(WIDTH, HEIGHT)
    clients = sorted({c for points in series.values() for c in points})
    x = logarithmic(clients, place.left, place.right)
    y = linear([r for points in series.values() for r in points.values()], place.bottom, place.top)
    lines = [
        polyline([(x.at(c), y.at(rate)) for c, rate in sorted(points.items())], number, has_dots=True)
        for number, points in enumerate(series.values())
    ]
    axes = (axis_x(place, x, "clients (log)", clients), axis_y(place, y, "answered, /s"))
    names = list(series)
    named = legend(place, HEIGHT + 6, names)
    title = "Throughput against concurrency"
    return drawing(WIDTH, HEIGHT + legend_px(names), title, *axes, *lines, named)


def _series(rows: Sequence[Row]) -> dict[str, dict[float, float]]:
    """Rate by clients for each system with its other settings."""
    found: dict[str, dict[float, float]] = {}
    for row in rows:
        clients = row.settings.get(SETTING)
        if isinstance(clients, (int, float)) and not isinstance(clients, bool) and clients > 0:
            others = {name: value for name, value in row.settings.items() if name != SETTING}
            name = " ".join([row.system, *settings_words(others)])
            found.setdefault(name, {})[float(clients)] = row.rate_per_s
    return found
