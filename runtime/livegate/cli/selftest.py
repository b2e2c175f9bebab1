"""`livegate selftest`: tries out everything that this box is to do, and says whether it is fit.

Exit status: 0 = fit, 1 = not fit, 2 = an error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape

from livegate.cli.output import answers
from livegate.cli.settings import add_settings, load_settings
from livegate.core.files import write_file
from livegate.core.telemetry import configure_logging

STYLES = {"pass": "green", "fail": "red", "not run": "yellow"}
TITLES = {
    "setup": "installation and settings",
    "engines": "networks run",
    "golden_gate": "networks answer rightly",
    "kernels": "GPU kernels answer as the CPU",
    "zero_copy": "frames are read without a copy",
    "frame_queue": "no frame is torn",
    "speed": "speed",
    "heat_and_power": "heat and power",
}
SHOWN_FIGURES = 4


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("selftest", help="try this box out; is it fit to guard a door?")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report there, to be sent")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of the report")
    parser.add_argument("--quick", action="store_true", help="shorter trials: a look, not a proof")
    parser.add_argument("--sensors", metavar="DIR", type=Path, help="laid out as /sys; else /sys")
    add_settings(parser, serves=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run every check, print a line for each, and the word at the end."""
    from livegate.selftest.course import run_selftest
    from livegate.selftest.report import Check, report_schema_text
    from livegate.selftest.stage import SYSFS

    if options.schema:
        sys.stdout.write(report_schema_text())
        return 0
    if options.json:
        write_file(options.json, b"")  # a place that cannot be written is told now, not after a minute
    config = load_settings(options, log__level="error").config
    configure_logging(config.log)
    screen = answers()
    width = max(map(len, TITLES.values()))

    def show(check: Check) -> None:
        told = check.reason or ", ".join(
            f"{figure.name} {figure.value:.6g} {figure.unit}".strip()
            for figure in check.figures[:SHOWN_FIGURES]
        )
        status = f"[{STYLES[check.status.value]}]{check.status.value:<7}[/]"
        screen.print(
            f"{status}  {TITLES[check.name]:<{width}}  {check.seconds:5.1f} s  {escape(told)}",
            highlight=False,
        )

    sysfs = options.sensors or SYSFS
    report = run_selftest(config, sysfs=sysfs, is_quick=options.quick, show=show)
    if options.json:
        write_file(options.json, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    style = "green" if report.is_fit else "red"
    screen.print(report.verdict, style=style, markup=False, highlight=False, soft_wrap=True)
    return 0 if report.is_fit else 1
