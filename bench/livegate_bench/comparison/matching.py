"""Which rows are compared: those of two reports, or the systems of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from livegate_bench.comparison.differences import version_differences
from livegate_bench.comparison.measures import settings_words
from livegate_bench.comparison.pairing import Pair, compare_rows
from livegate_bench.rows import Part, Report, Row, schema_text


class Comparison(Part, frozen=True, kw_only=True):
    """What `livegate bench compare` found."""

    format: Literal["livegate.bench-compare/1"] = "livegate.bench-compare/1"
    base: str
    """The first report's name, or the base system's."""
    other: str
    pairs: tuple[Pair, ...]
    versions: tuple[str, ...]
    """That differ between the reports."""
    unmatched: tuple[str, ...]
    """Rows without a partner, and where they are."""


def comparison_schema_text() -> str:
    """JSON Schema (2020-12) of a comparison, as docs/bench-compare.schema.json has it."""
    return schema_text(Comparison, "urn:livegate:bench-compare:1", "Comparison of livegate bench")


def key_of(row: Row) -> bytes:
    """What must be the same in two reports."""
    return msgspec.json.encode((row.scenario, row.system, row.settings), order="sorted")


def compare_reports(base: Report, other: Report, names: tuple[str, str]) -> Comparison:
    """Two runs: rows of the same scenario, system and settings; their windows are not paired."""
    first, first_again = _by_key(base.rows, names[0])
    second, second_again = _by_key(other.rows, names[1])
    machines = (base.machine, other.machine)
    pairs = [
        compare_rows(first[key], row, is_paired=False, machines=machines)
        for key, row in second.items()
        if key in first
    ]
    alone = [f"only in {names[0]}: {_title(row)}" for key, row in first.items() if key not in second]
    alone += [f"only in {names[1]}: {_title(row)}" for key, row in second.items() if key not in first]
    return Comparison(
        base=names[0],
        other=names[1],
        pairs=tuple(pairs),
        versions=tuple(version_differences(base, other)),
        unmatched=(*alone, *first_again, *second_again),
    )


def _by_key(rows: Sequence[Row], name: str) -> tuple[dict[bytes, Row], list[str]]:
    found: dict[bytes, Row] = {}
    again = []
    for row in rows:
        if found.setdefault(key_of(row), row) is not row:
            again.append(f"a second time in {name}: {_title(row)}")
    return found, again


def compare_systems(report: Report, base: str) -> Comparison:
    """One run: every other system against the base, window by window, as they took turns."""
    pairs, alone = [], []
    for row in report.rows:
        if row.system == base:
            continue
        partner = partner_of(report.rows, row, base)
        if partner is None:
            alone.append(f"without {base} of its settings: {_title(row)}")
        else:
            pairs.append(compare_rows(partner, row, is_paired=True))
    return Comparison(base=base, other="", pairs=tuple(pairs), versions=(), unmatched=tuple(alone))


def partner_of(rows: Sequence[Row], row: Row, system: str) -> Row | None:
    """The other system's row of the same scenario and settings, or else its only one there."""
    there = [other for other in rows if (other.scenario, other.system) == (row.scenario, system)]
    same = [other for other in there if other.settings == row.settings]
    if same:
        return same[0]
    return there[0] if len(there) == 1 else None


def _title(row: Row) -> str:
    return " ".join([row.scenario, row.system, *settings_words(row.settings)])
