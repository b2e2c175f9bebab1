"""`livegate bench compare A B`, and `compare A --base SYSTEM`: ratios that say how sure they are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate_bench.comparison.matching import Comparison, compare_reports, compare_systems
from livegate_bench.report.reportfile import read_report, write_file
from livegate_bench.report.reports import check_writable
from livegate_bench.report.terminal import comparison_table, console, printable

RUNS = "The intervals tell how windows of one run vary, not how runs vary: for a claim, run again."


def add(scenarios: Any) -> None:
    """Add the command to the parser."""
    parser = scenarios.add_parser("compare", help="ratios of two reports, or of the systems in one")
    parser.add_argument("base", metavar="A.json", type=Path)
    parser.add_argument("other", metavar="B.json", type=Path, nargs="?")
    parser.add_argument(
        "--base", dest="system", metavar="SYSTEM", help="of one report: what the others are held to"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the comparison there")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare, print, and write JSON where asked.

    Raises:
        SetupError: a report that cannot be read, JSON that cannot be written.
        RequestError: PARAM_FAILURE, not two reports and no base, or a base that is not there.
    """
    if (options.other is None) == (options.system is None):
        hint = "compare A.json B.json, or compare A.json --base SYSTEM"
        raise RequestError(ErrorCode.PARAM_FAILURE, "two reports, or one and --base", hint=hint)
    if options.json:
        check_writable("--json", options.json)
    found = _compare(options)
    _print(found)
    if options.json:
        _write(found, options.json)
    return 0


def _compare(options: argparse.Namespace) -> Comparison:
    base = read_report(options.base)
    if options.other is not None:
        names = (options.base.name, options.other.name)
        if names[0] == names[1]:
            names = (str(options.base), str(options.other))
        return compare_reports(base, read_report(options.other), names)
    systems = list(dict.fromkeys(row.system for row in base.rows))
    if options.system not in systems:
        there = ", ".join(map(printable, systems)) or "none"
        why = f'{options.base} has no system "{options.system}"; it has {there}'
        raise RequestError(ErrorCode.PARAM_FAILURE, why)
    return compare_systems(base, options.system)


def _print(found: Comparison) -> None:
    output = console()
    what = f"{found.other} / {found.base}" if found.other else f"every system / {found.base}"
    lines = [f"ratio = {what}", *(f"! {line}" for line in found.versions)]
    for line in lines:
        output.print(Text(printable(line)))
    output.print(comparison_table(found))
    for line in found.unmatched:
        output.print(Text(printable(f"not compared, {line}"), "yellow"))
    if found.other:
        output.print(Text(RUNS, "dim"))


def _write(found: Comparison, path: Path) -> None:
    content = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
    try:
        write_file(path, content)
    except OSError as error:
        why = f"--json {path} cannot be written: {error.strerror}"
        raise SetupError(ErrorCode.WRITE_FAIL, why) from error
