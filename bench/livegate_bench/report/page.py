"""A report as one HTML page that needs nothing else: big figures, plots, every circumstance."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from livegate_bench.comparison.measures import (
    LATENCIES,
    label,
    measure,
    percentile_word,
    settings_words,
    short,
)
from livegate_bench.report.barplots import lost_bars, stage_bars
from livegate_bench.report.circumstances import conditions_table, facts, rows_table
from livegate_bench.report.latencyplots import latency_cdf, latency_histogram
from livegate_bench.report.loadplot import load_plot
from livegate_bench.report.pagestyle import STYLE
from livegate_bench.report.svg import Markup, join, tag
from livegate_bench.report.timeline import timeline
from livegate_bench.rows import Report, Row

LINES = 7
"""In one plot of latencies: as many as there are colours."""
SCHEMA = "urn:livegate:bench:1"


def report_html(report: Report) -> bytes:
    """UTF-8; no script, nothing from a network."""
    title = f"LiveGate bench: {', '.join(_scenarios(report)) or 'no rows'}"
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    body = tag("body", *_body(report, title))
    return ("<!DOCTYPE html>\n" + tag("html", head, body, lang="en") + "\n").encode()


def _body(report: Report, title: str) -> list[Markup]:
    scenarios = _scenarios(report).items()
    return [
        _header(report, title),
        *(_summary(name, rows) for name, rows in scenarios),
        *(_plots(name, rows) for name, rows in scenarios),
        tag("h2", "Machine and versions"),
        facts(report),
        tag("h2", "Every row"),
        tag("div", rows_table(report.rows), class_="wide"),
        tag("h2", "Conditions before and after"),
        tag("div", conditions_table(report.rows), class_="wide"),
        _footer(report),
    ]


def _scenarios(report: Report) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in report.rows:
        found.setdefault(row.scenario, []).append(row)
    return found


def _header(report: Report, title: str) -> Markup:
    machine = report.machine
    unstable = sum(not row.is_stable for row in report.rows)
    lines = [
        f"{machine.cpu}, {machine.cores} cores{', ' + machine.board if machine.board else ''}",
        f"{utc(report.started_unix_s)}, {short(report.seconds)} s; LiveGate {report.livegate}"
        f" {report.git_revision or ''}",
    ]
    parts = [tag("p", line) for line in lines]
    if unstable:
        told = f"{unstable} of {len(report.rows)} rows unstable"
        parts.append(tag("p", tag("span", told, class_="flag"), " their figures are not to be quoted."))
    return tag("header", tag("h1", title), *parts)


def utc(unix_s: float) -> str:
    """To the second; as it stands when no calendar has it."""
    try:
        moment = datetime.datetime.fromtimestamp(unix_s, datetime.timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"{unix_s!r} s since 1970"
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _summary(name: str, rows: Sequence[Row]) -> Markup:
    """The big figures of a scenario; columns that no row fills are left out."""
    keys = sorted({key for row in rows for key in row.figures})
    tails = sorted({"p50_ms", "p99_ms", *(_judged_by(row) for row in rows)})
    latencies = [f"{name[:-3].replace('_', '.')}, ms" for name in tails]
    heads = [*keys, "answered, /s", *latencies, "core-ms a request", "lost"]
    head = tag("tr", tag("th", "system"), *(tag("th", words, class_="number") for words in heads))
    lines = [_summary_row(row, keys, tails) for row in rows]
    table = tag("table", tag("thead", head), tag("tbody", *lines))
    return tag("section", tag("h2", name), tag("div", table, class_="wide"), class_="block")


def _judged_by(row: Row) -> str:
    """The latency that the scenario is judged by, where the row has it."""
    name = f"{percentile_word(row.percentile)}_ms".replace(".", "_")
    return name if name in LATENCIES else "p99_ms"


def _summary_row(row: Row, keys: Sequence[str], tails: Sequence[str]) -> Markup:
    big = [
        *(row.figures.get(key) for key in keys),
        row.rate_per_s,
        *(measure(row, name) for name in tails),
    ]
    rest = [row.core_ms_per_request, sum(row.errors.values()) + sum(row.drops.values())]
    name = [tag("b", row.system), " ", tag("small", " ".join(settings_words(row.settings)))]
    if not row.is_stable:
        name.append(tag("div", *_doubt(row)))
    return tag(
        "tr",
        tag("td", *name),
        *(tag("td", short(value), class_="number big") for value in big),
        *(tag("td", short(value), class_="number") for value in rest),
        class_=None if row.is_stable else "unstable",
    )


def _plots(name: str, rows: Sequence[Row]) -> Markup:
    shown = [row for row in rows if row.latency and sum(row.latency.counts)]
    parts = [rows_of for at in range(0, len(shown), LINES) if (rows_of := shown[at : at + LINES])]
    found = [
        ("Throughput against concurrency", load_plot(rows)),
        *(("Latency, cumulative", latency_cdf(part)) for part in parts),
        ("Stages of a request", stage_bars(rows)),
        ("Dropped and failed", lost_bars(rows)),
    ]
    plots = [_figure(f"{name}: {words}", plot) for words, plot in found if plot is not None]
    if not any(row.errors or row.drops for row in rows):
        plots.append(tag("p", "Nothing was dropped, and nothing failed.", class_="quiet"))
    singles = [single for row in rows if (single := _single(row, shown))]
    return tag("section", tag("h2", f"{name}: plots"), *plots, *singles)


def _single(row: Row, among: Sequence[Row]) -> Markup | None:
    """Histogram and timeline of one row, side by side."""
    plots = [plot for plot in (latency_histogram(row, among), timeline(row)) if plot is not None]
    if not plots:
        return None
    words: list[str] = [label(row)]
    if not row.is_stable:
        words += [" ", *_doubt(row)]
    return tag("figure", tag("figcaption", *words), tag("div", *plots, class_="pair"))


def _doubt(row: Row) -> list[str]:
    return [tag("span", "unstable", class_="flag"), f" {row.unstable_because or 'no reason told'}"]


def _figure(words: str, plot: Markup) -> Markup:
    return tag("figure", tag("figcaption", words), plot)


def _footer(report: Report) -> Markup:
    return tag(
        "footer",
        tag("p", "Made by ", tag("code", report.command)),
        tag(
            "p",
            join("Schema of the report: ", tag("code", SCHEMA), " (docs/bench.schema.json), "),
            tag("code", report.format),
        ),
    )
