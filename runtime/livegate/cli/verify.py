"""`livegate verify`: did the person in a video do what was asked for? In this process, without a server.

Exit status: 0 = alive, 1 = not, 2 = an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.markup import escape

from livegate.cli.output import answers, errors, print_json, table
from livegate.cli.plot import plot_verdict, require_plots
from livegate.cli.settings import add_settings, load_settings
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.files import read_file, write_file
from livegate.core.ids import request_id
from livegate.core.request import CODE_VERIFY, VerifyRequest
from livegate.core.results import Action, VideoVerdict
from livegate.core.telemetry import Metrics, configure_logging

ALIVE, NOT_ALIVE, FAILED = 0, 1, 2


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("verify", help="judge the actions in a video file")
    parser.add_argument("clip", metavar="CLIP", help="an MP4, MOV, AVI, FLV, WebM or WMV file")
    parser.add_argument(
        "--actions",
        required=True,
        metavar="N,N…",
        help="in order: 1 shake left, 2 shake right (the person's own), 3 nod, 4 mouth, 5 blink",
    )
    parser.add_argument(
        "--action-time", metavar="FIRST-LAST,…", help="when each must be done, in ms of the video"
    )
    parser.add_argument("--nod-threshold", type=float, metavar="DEG", help="least nod, 1 to 90")
    parser.add_argument("--mirrored", action="store_true", help="the video shows a mirror's picture")
    parser.add_argument("--picture", metavar="FILE", help="write the best picture there, as JPEG")
    parser.add_argument("--plot", metavar="FILE", help="draw the movements over time there, as PNG")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge the video."""
    from livegate.app.build import build_pipeline, build_service, build_store
    from livegate.service.actions import ActionService

    config = load_settings(options, log__level="warning").config
    configure_logging(config.log)
    if options.plot:
        require_plots()
    metrics = Metrics()
    service = build_service(config, metrics)
    actions = ActionService(config, service, metrics)
    try:
        request = _request(options, config.video.max_bytes)
        service.start(build_pipeline(config, build_store(config)))
        verdict = actions.verify(request)
        if options.picture and verdict.picture:
            write_file(Path(options.picture), verdict.picture)
        if options.plot:
            plot_verdict(verdict, config.actions, Path(options.clip).name, Path(options.plot))
    except LiveGateError as error:
        if not options.json:
            raise
        print_json({"file": options.clip, "error": _error(error)})
        return FAILED
    finally:
        actions.close()
        service.close()
    (_print_json if options.json else _print_table)(options.clip, verdict)
    return ALIVE if verdict.is_alive else NOT_ALIVE


def _request(options: argparse.Namespace, max_bytes: int) -> VerifyRequest:
    try:
        actions = tuple(int(number) for number in options.actions.split(","))
        windows = tuple(_window(part) for part in (options.action_time or "").split(",") if part)
    except ValueError as error:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            "--actions and --action-time are lists of numbers",
            hint="for example --actions 1,3 --action-time 0-2000,2000-5000",
        ) from error
    return VerifyRequest(
        code=CODE_VERIFY,
        task_id=options.clip,
        actions=actions,
        video=read_file(options.clip, max_bytes),
        request_id=request_id(None),
        windows=windows,
        nod_deg=options.nod_threshold,
        is_mirrored=options.mirrored,
    )


def _window(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last)


def _print_table(name: str, verdict: VideoVerdict) -> None:
    shown = table("action", "accepted", "confidence", "from", "to")
    for result in verdict.actions:
        event = result.event
        shown.add_row(
            f"{result.action.value} {_name(result.action)}",
            "[green]yes[/]" if result.is_accepted else "[red]no[/]",
            f"{result.confidence:.2f}",
            f"{event.start_ms} ms" if event else "",
            f"{event.end_ms} ms" if event else "",
        )
    answers().print(shown)
    score = f"{verdict.silent.score:.4f}" if verdict.silent else "none"
    word = "[green]ALIVE[/]" if verdict.is_alive else "[red]NOT ALIVE[/]"
    answers().print(
        f"{escape(name)}: {word}, silent liveness {score}, {verdict.samples} of {verdict.frames} "
        f"pictures of {verdict.duration_ms / 1000:.2f} s looked at"
    )
    if verdict.reasons:
        errors().print(", ".join(reason.value for reason in verdict.reasons))


def _print_json(name: str, verdict: VideoVerdict) -> None:
    print_json(
        {
            "file": name,
            "alive": verdict.is_alive,
            "reasons": verdict.reasons,
            "actions": [
                {"action": r.action.value, "accepted": r.is_accepted, "confidence": r.confidence}
                for r in verdict.actions
            ],
            "events": verdict.events,
            "silent": verdict.silent,
            "picture_bytes": len(verdict.picture),
            "picture_box": verdict.picture_box,
            "picture_ms": verdict.picture_pts_ms,
            "width": verdict.src_width,
            "height": verdict.src_height,
            "duration_ms": verdict.duration_ms,
            "frames": verdict.frames,
            "samples": verdict.samples,
            "sample_fps": verdict.sample_fps,
            "codec": verdict.codec,
            "container": verdict.container,
            "stages_ms": {stage: spent / 1e6 for stage, spent in verdict.stages.items()},
            "engines": verdict.engines,
        }
    )


def _error(error: LiveGateError) -> dict[str, Any]:
    return {
        "code": int(error.code),
        "symbol": error.code.symbol,
        "message": error.message,
        "hint": error.hint,
    }


def _name(action: Action) -> str:
    return action.name.lower().replace("_", " ")
