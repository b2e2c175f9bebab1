"""What a scenario does with its report: files that were asked for, a table, a gate."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError
from livegate_bench.comparison.gate import judge, read_gate
from livegate_bench.report.csvtable import report_csv
from livegate_bench.report.page import report_html
from livegate_bench.report.reportfile import not_finite, report_json, write_file
from livegate_bench.report.terminal import console, gate_table, report_table
from livegate_bench.rows import Report

FORMATS: dict[str, Callable[[Report], bytes]] = {
    "json": report_json,
    "csv": report_csv,
    "html": report_html,
}
"""In the order in which they are written: the one that loses nothing first."""


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add --json, --csv, --html and --gate."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the whole report there")
    add_files(parser)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add what can be made of a report that is a file already."""
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write one line for each row there")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page with plots there")
    parser.add_argument("--gate", metavar="FILE", type=Path, help="exit 1 unless its limits are kept")


def _outputs(options: argparse.Namespace) -> dict[str, Path]:
    asked = {name: getattr(options, name, None) for name in FORMATS}
    return {name: path for name, path in asked.items() if path is not None}


def check_outputs(options: argparse.Namespace) -> None:
    """To be called before anything is measured: whether all that was asked for can be had.

    Raises:
        SetupError: WRITE_FAIL when a file cannot be written; as read_gate for the gate's file.
    """
    outputs = _outputs(options)
    for name, path in outputs.items():
        check_writable(f"--{name}", path)
    regular = [path.resolve() for path in outputs.values() if path.is_file() or not path.exists()]
    if len(set(regular)) < len(regular):
        raise SetupError(ErrorCode.WRITE_FAIL, "two outputs go to one file", hint="name another")
    if getattr(options, "gate", None) is not None:
        read_gate(options.gate)


def check_writable(option: str, path: Path) -> None:
    """Make and remove a file beside it, which tells more than permissions do.

    Raises:
        SetupError: WRITE_FAIL.
    """
    try:
        if path.is_dir():
            raise SetupError(ErrorCode.WRITE_FAIL, f"{option} {path} is a folder", hint="name a file")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(13, os.strerror(13))
        if path.is_file() or not path.exists():
            with tempfile.TemporaryFile(dir=path.resolve().parent):
                pass
    except OSError as error:
        why = f"{option} {path} cannot be written: {error.strerror}"
        raise SetupError(ErrorCode.WRITE_FAIL, why) from error


def deliver(report: Report, options: argparse.Namespace) -> int:
    """Write the files, print the table, judge the gate: 0, or 1 when the gate has failed.

    Raises:
        SetupError: WRITE_FAIL, or INNER when a figure is no number, after everything else was done.
    """
    failures = _write(report, options)
    output = console()
    output.print(report_table(report))
    status = _gate(report, options)
    for place in not_finite(report):
        failures.append(SetupError(ErrorCode.INNER, f"{place} is no number; JSON has null there"))
        break
    if failures:
        told = "; ".join(str(failure) for failure in failures)
        raise SetupError(failures[0].code, told)
    return status


def _gate(report: Report, options: argparse.Namespace) -> int:
    if getattr(options, "gate", None) is None:
        return 0
    judgements = judge(report, read_gate(options.gate))
    console().print(gate_table(judgements))
    return 0 if all(one.is_kept for one in judgements) else 1


def _write(report: Report, options: argparse.Namespace) -> list[SetupError]:
    """All files; what could not be written. The report is kept elsewhere when its file fails."""
    failures = []
    for name, path in _outputs(options).items():
        try:
            write_file(path, FORMATS[name](report))
        except OSError as error:
            is_lost = hasattr(options, "json") and (name == "json" or options.json is None)
            kept = _rescue(report) if is_lost else ""
            why = f"--{name} {path} cannot be written: {error.strerror}{kept}"
            failures.append(SetupError(ErrorCode.WRITE_FAIL, why))
    return failures


def _rescue(report: Report) -> str:
    """The report in the folder for temporary files, and words that say so; "" when that fails too."""
    try:
        handle, name = tempfile.mkstemp(prefix="livegate-bench-", suffix=".json")
        with os.fdopen(handle, "wb") as file:
            file.write(report_json(report))
    except OSError:
        return ""
    return f" (the report is in {name})"
