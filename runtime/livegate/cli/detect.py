"""`livegate detect`: verdicts on picture files, in this process, without a server.

Exit status: 0 = every picture is genuine, 1 = a spoof or a picture without a face, 2 = an error;
the worst of all pictures wins.
"""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from livegate.cli.output import answers, errors, print_json, table
from livegate.cli.settings import add_settings, load_settings
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.files import read_file
from livegate.core.ids import request_id
from livegate.core.request import CODE_ANALYZE, AnalyzeRequest
from livegate.core.results import Analysis, Decision
from livegate.core.telemetry import Metrics, configure_logging
from livegate.ingest.headers import SUFFIXES
from livegate.service.liveness import LivenessService

SILENT, DETECTION = 1031, 9001
STYLES = {Decision.GENUINE: "green", Decision.SPOOF: "red", Decision.NO_FACE: "yellow"}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("detect", help="judge picture files")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="files, folders, globs, or - for standard input"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge every picture; the worst decides the status."""
    from livegate.app.build import build_pipeline, build_service, build_store

    config = load_settings(options, log__level="warning").config
    configure_logging(config.log)
    names = list(expand(options.files))
    service = build_service(config, Metrics())
    try:
        service.start(build_pipeline(config, build_store(config)))
        rows = [_judge(service, name, config.limits.max_image_bytes) for name in names]
    finally:
        service.close()
    (_print_json if options.json else _print_table)(rows)
    return max(_status(outcome) for _, outcome in rows)


Outcome = Analysis | LiveGateError


def expand(patterns: Sequence[str]) -> Iterator[str]:
    """The files that arguments mean; one that matches nothing stays as it is, to be complained of."""
    for pattern in patterns:
        path = Path(pattern)
        if pattern == "-" or path.is_file():
            yield pattern
        elif path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            yield from map(str, found or [path])
        else:
            matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path has no absolute globs
            yield from sorted(matches) or [pattern]


def _judge(service: LivenessService, name: str, max_bytes: int) -> tuple[str, Outcome]:
    try:
        request = AnalyzeRequest(
            CODE_ANALYZE, name, (SILENT, DETECTION), (_read(name, max_bytes),), request_id(None)
        )
        return name, service.analyze(request)
    except LiveGateError as error:
        return name, error


def _read(name: str, max_bytes: int) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(max_bytes + 1)
    if Path(name).is_dir():
        raise RequestError(ErrorCode.NO_EXIST, f"there is no picture in {name}")
    return read_file(name, max_bytes)


def _status(outcome: Outcome) -> int:
    if isinstance(outcome, LiveGateError):
        return 2
    return 0 if outcome.verdicts[0].decision is Decision.GENUINE else 1


def _print_table(rows: list[tuple[str, Outcome]]) -> None:
    shown = table("file", "verdict", "score", "faces", "largest face", "ms", "runs on")
    for name, outcome in rows:
        if isinstance(outcome, LiveGateError):
            errors().print(f"{name}: {outcome}", style="red", markup=False, highlight=False)
            shown.add_row(escape(name), f"[red]error {int(outcome.code)}[/]", "", "", "", "", "")
        else:
            shown.add_row(escape(name), *_cells(outcome))
    answers().print(shown)


def _cells(analysis: Analysis) -> tuple[str, ...]:
    silent, detection = analysis.verdicts
    style = STYLES[silent.decision]
    boxes = [found.face.box for found in detection.faces]
    box = max(boxes, key=lambda b: b.area, default=None)
    where = f"{box.width:.0f}x{box.height:.0f} at {box.x:.0f},{box.y:.0f}" if box else ""
    total_ms = sum(spent for _, spent in analysis.stages.items()) / 1e6
    engine = analysis.engines[-1]
    score = f"{silent.score:.4f}"
    runs_on = f"{engine.backend}, {engine.provider}"
    verdict = f"[{style}]{silent.decision.value}[/]"
    return verdict, score, str(len(boxes)), where, f"{total_ms:.1f}", runs_on


def _print_json(rows: list[tuple[str, Outcome]]) -> None:
    for name, outcome in rows:
        print_json({"file": name, **_json(outcome)})


def _json(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, LiveGateError):
        return {
            "error": {
                "code": int(outcome.code),
                "symbol": outcome.code.symbol,
                "message": outcome.message,
                "hint": outcome.hint,
            }
        }
    silent, detection = outcome.verdicts
    return {
        "decision": silent.decision,
        "score": silent.score,
        "threshold": silent.threshold,
        "reasons": silent.reasons,
        "width": outcome.src_width,
        "height": outcome.src_height,
        "faces": [found.face for found in detection.faces],
        "stages_ms": {stage: spent / 1e6 for stage, spent in outcome.stages.items()},
        "engines": outcome.engines,
    }
