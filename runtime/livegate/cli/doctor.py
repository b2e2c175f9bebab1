"""`livegate doctor`: what is here, what would run, and what to do about each red line.

Exit status: 0 when nothing is a problem, 1 otherwise.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.markup import escape

from livegate.cli.output import answers, print_json, table
from livegate.cli.settings import add_settings, load_settings
from livegate.core.telemetry import configure_logging

STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("doctor", help="examine this box")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_settings(parser, serves=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print every finding."""
    from livegate.app.build import build_store
    from livegate.app.checkup import Grade, examine

    config = load_settings(options, log__level="error").config
    configure_logging(config.log)
    findings = list(examine(config, build_store(config)))
    if options.json:
        for finding in findings:
            print_json(finding)
    else:
        shown = table("", "what", "found", "what to do")
        for finding in findings:
            grade = f"[{STYLES[finding.grade.value]}]{finding.grade.value}[/]"
            texts = (finding.subject, finding.fact, finding.remedy)
            shown.add_row(grade, *map(escape, texts))
        answers().print(shown)
    return 1 if any(finding.grade is Grade.BAD for finding in findings) else 0
