"""`livegate status`: how a running server is.

Exit status: 0 = READY and no camera is RETRYING or FAILED, 1 = otherwise, 2 = no answer.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.markup import escape

from livegate.cli.cameras import TROUBLED, camera_table
from livegate.cli.output import answers, print_json, table
from livegate.cli.target import add_target, connect
from livegate.core.camera import CameraReport

READY = "READY"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("status", help="how a running server and its cameras are")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_target(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask, print, judge."""
    with connect(options) as client:
        status = client.status()
        if options.json:
            print_json(status)
        else:
            _print(status, client.cameras())
    troubled = {state.value for state in TROUBLED}
    is_well = status["state"] == READY and not any(c["state"] in troubled for c in status["cameras"])
    return 0 if is_well else 1


def _print(status: dict[str, Any], cameras: tuple[CameraReport, ...]) -> None:
    out = answers()
    style = "green" if status["state"] == READY else "yellow"
    work = f"{status['running']} running, {status['queue_depth']} of {status['queue_capacity']} waiting"
    head = f"[{style}]{escape(status['state'])}[/]  livegate {escape(status['version'])}"
    out.print(f"{head}  {work}, {status['workers']} workers", highlight=False)
    engines = table("model", "network", "backend", "asked", "runs on", "precision")
    for engine in status["engines"]:
        columns = ("model_id", "network", "backend", "provider_asked", "provider", "precision")
        engines.add_row(*(escape(engine[column]) for column in columns))
    out.print(engines)
    if cameras:
        out.print(camera_table(cameras))
