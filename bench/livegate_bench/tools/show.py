"""`livegate bench show FILE`: a report that exists, as a table, a page, CSV, or before a gate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from livegate.core.errors import ErrorCode, SetupError
from livegate_bench.report.reportfile import read_report
from livegate_bench.report.reports import add_files, check_outputs, deliver


def add(scenarios: Any) -> None:
    """Add the command to the parser."""
    parser = scenarios.add_parser("show", help="an existing report again: table, page, CSV, gate")
    parser.add_argument("report", metavar="FILE", type=Path)
    add_files(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """0, or 1 when the gate has failed.

    Raises:
        SetupError: no report, or an output that cannot be written.
    """
    report = read_report(options.report)
    if any(path and path.resolve() == options.report.resolve() for path in (options.csv, options.html)):
        raise SetupError(ErrorCode.WRITE_FAIL, f"{options.report} is the report that is shown")
    check_outputs(options)
    return deliver(report, options)
