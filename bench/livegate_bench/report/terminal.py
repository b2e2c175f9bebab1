"""Tables on the terminal: a report, a comparison, what a gate says."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from livegate_bench.comparison.gate import Judgement
from livegate_bench.comparison.matching import Comparison
from livegate_bench.comparison.measures import settings_words, short
from livegate_bench.comparison.pairing import Pair, Ratio
from livegate_bench.rows import Report, Row

UNITS = {
    "rate_per_s": "rate /s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "core_ms_per_request": "core-ms/request",
}


def console() -> Console:
    """Never cut off when it goes into a file or a pipe."""
    is_terminal = sys.stdout.isatty()
    return Console(soft_wrap=not is_terminal, width=None if is_terminal else 200)


def printable(text: str) -> str:
    """Without what a terminal or a browser would take for a command: the file may be anybody's."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return table


def _add(table: Table, cells: Sequence[str], style: str = "") -> None:
    table.add_row(*(Text(printable(cell), style) for cell in cells))


def report_table(report: Report) -> Table:
    """The rows with what each is judged by; why a row is unstable stands in it."""
    right = ("/s", "p50 ms", "p99 ms", "core-ms", "errors", "drops")
    table = _table("scenario", "system", "settings", *right, "", right=right)
    for row in report.rows:
        _add(table, _report_cells(row), "" if row.is_stable else "yellow")
    return table


def _report_cells(row: Row) -> list[str]:
    found = [short(row.latency.p50_ms), short(row.latency.p99_ms)] if row.latency else ["–", "–"]
    notes = [f"{name} {short(value)}" for name, value in sorted(row.figures.items())]
    if not row.is_stable:
        notes.append(f"UNSTABLE: {row.unstable_because or 'no reason told'}")
    return [
        *(row.scenario, row.system, " ".join(settings_words(row.settings))),
        *(short(row.rate_per_s), *found, short(row.core_ms_per_request)),
        *(str(sum(row.errors.values())), str(sum(row.drops.values())), ", ".join(notes)),
    ]


def comparison_table(found: Comparison) -> Table:
    """A line for each ratio; below each pair what else differs."""
    right = ("base", "other", "ratio")
    table = _table("scenario", "system", "settings", "figure", *right, "95 %", "", right=right)
    for pair in found.pairs:
        head = [pair.scenario, _systems(pair), " ".join(settings_words(pair.settings))]
        for ratio in pair.ratios:
            _add(table, [*head, *_ratio_cells(ratio)], _style(ratio))
            head = ["", "", ""]
        for warning in pair.warnings:
            _add(table, ["", "", "", "", "", "", "", "", f"! {warning}"], "yellow")
    return table


def _systems(pair: Pair) -> str:
    return pair.system if pair.system == pair.base_system else f"{pair.system} / {pair.base_system}"


def _ratio_cells(ratio: Ratio) -> list[str]:
    interval = "–"
    if ratio.low is not None and ratio.high is not None and ratio.confidence is not None:
        interval = f"{ratio.low:.3f} .. {ratio.high:.3f}"
        if ratio.confidence < 0.95:
            interval += f" ({int(ratio.confidence * 100)} %)"
    values = [short(ratio.base), short(ratio.other), f"{ratio.ratio:.3f}"]
    return [UNITS.get(ratio.figure, ratio.figure), *values, interval, ratio.verdict]


def _style(ratio: Ratio) -> str:
    return {"better": "green", "worse": "red"}.get(ratio.verdict, "")


def gate_table(judgements: Sequence[Judgement]) -> Table:
    """A line for each limit and row: value, limit, verdict."""
    table = _table("row", "figure", "value", "limit", "verdict", "", right=("value",))
    for one in judgements:
        verdict, style = ("kept", "") if one.is_kept else ("FAILED", "red")
        cells = [one.row, one.figure, short(one.value), one.limit, verdict, one.reason]
        _add(table, cells, style)
    return table
