"""What becomes of a report: a table on the terminal, and files."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from livegate_bench.rows import Report


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Give a scenario the flags."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report there")


def deliver(report: Report, options: argparse.Namespace) -> int:
    """Print the table, write the files; 0, or 1 for a gate that is shut."""
    table = Table(
        "scenario", "system", "settings", "/s", "p50", "p90", "p99", "core-ms", "stable", box=None
    )
    for row in report.rows:
        wait = row.latency
        waits = [f"{ms:.2f}" for ms in (wait.p50_ms, wait.p90_ms, wait.p99_ms)] if wait else [""] * 3
        cost = "" if row.core_ms_per_request is None else f"{row.core_ms_per_request:.2f}"
        settings = " ".join(f"{name}={value}" for name, value in row.settings.items())
        stable = "yes" if row.is_stable else row.unstable_because
        table.add_row(row.scenario, row.system, settings, f"{row.rate_per_s:.1f}", *waits, cost, stable)
    Console().print(table)
    for row in report.rows:
        for name, value in row.figures.items():
            Console().print(f"{row.scenario} {row.system} {name} {value:.4g}", highlight=False)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return 0
