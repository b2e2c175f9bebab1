"""`livegate cameras list | add | change | remove | watch`: the cameras of a running server.

What is added, changed or removed lasts until the server ends: the configuration is not written. These
three need the Unix socket or one of grpc.admin_tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from livegate.cli.output import answers, errors, print_json, table
from livegate.cli.settings import url_from_text
from livegate.cli.target import add_target, connect
from livegate.core.camera import CameraReport, CameraState
from livegate.core.config import WHOLE
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.view import View

if TYPE_CHECKING:
    from livegate.client import LivenessClient, StreamAnswer

TROUBLED = frozenset((CameraState.RETRYING, CameraState.FAILED))
STYLES = {
    CameraState.STREAMING: "green",
    CameraState.RETRYING: "yellow",
    CameraState.FAILED: "red",
}
GATE_STYLES = {"OPEN": "green", "HOLD": "yellow", "DENY": "red"}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("cameras", help="list, add, change, remove and watch cameras")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text, act in (
        ("list", "every camera with its state", list_cameras),
        ("add", "let the server read a camera until it ends", add_camera),
        ("change", "give a camera another source or view; all of it is replaced", change_camera),
        ("remove", "stop reading a camera", remove_camera),
        ("watch", "the answers to a camera's frames, as they come", watch),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(run=lambda options, act=act: _run(options, act))
        add_target(action)
        if name != "list":
            action.add_argument("name", metavar="NAME")
        if name in ("add", "change"):
            _add_settings(action)
        if name in ("list", "watch"):
            action.add_argument("--json", action="store_true", help="one JSON object a line")


def list_cameras(options: argparse.Namespace, client: LivenessClient) -> int:
    """Print every camera."""
    cameras = client.cameras()
    if options.json:
        for camera in cameras:
            print_json(camera)
    else:
        answers().print(camera_table(cameras))
    return 0


def add_camera(options: argparse.Namespace, client: LivenessClient) -> int:
    """Print the camera as it begins."""
    report = client.add_camera(options.name, url_from_text(options.url), view=_view(options))
    answers().print(camera_table([report]))
    return 0


def change_camera(options: argparse.Namespace, client: LivenessClient) -> int:
    """Print the camera as it begins again."""
    report = client.change_camera(options.name, url_from_text(options.url), view=_view(options))
    answers().print(camera_table([report]))
    return 0


def remove_camera(options: argparse.Namespace, client: LivenessClient) -> int:
    """Say nothing when it is done."""
    client.remove_camera(options.name)
    return 0


def watch(options: argparse.Namespace, client: LivenessClient) -> int:
    """Print each answer; 0 when the camera came to its end."""
    show = _print_json if options.json else _print_line
    with client.watch(options.name) as stream:
        try:
            for answer in stream:
                show(answer)
        except LiveGateError as error:
            if error.code is not ErrorCode.EXIT:
                raise
            errors().print(f"livegate: {error}", markup=False, highlight=False)
    return 0


def camera_table(cameras: Iterable[CameraReport]) -> Table:
    """One row for each camera."""
    shown = table("camera", "source", "state", "size", "restarts", "what went wrong last")
    for camera in cameras:
        state = f"[{STYLES.get(camera.state, 'default')}]{camera.state.value}[/]"
        size = f"{camera.width}x{camera.height}" if camera.width else ""
        failure = f"{int(camera.code)} {camera.message}" if camera.code else ""
        texts = (size, str(camera.restarts), escape(failure))
        shown.add_row(escape(camera.camera), escape(camera.source), state, *texts)
    return shown


def _run(options: argparse.Namespace, act: Any) -> int:
    with connect(options) as client:
        status: int = act(options, client)
    return status


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        help="rtsp://…, v4l2:/dev/video0, file:clip.mp4[?loop]; @FILE, or - for stdin",
    )
    parser.add_argument(
        "--rotation", type=int, choices=(0, 90, 180, 270), default=0, help="clockwise, to upright"
    )
    parser.add_argument("--mirror", action="store_true", help="swap left and right, after the rotation")
    parser.add_argument(
        "--region",
        type=region_from_text,
        default=WHOLE,
        metavar="X,Y,W,H",
        help="where faces count, as parts (0..1) of the upright picture",
    )
    parser.add_argument(
        "--min-face-height", type=float, default=0.0, metavar="PART", help="least height, 0..1"
    )


def region_from_text(text: str) -> tuple[float, float, float, float]:
    """Four numbers between commas; what they may be is the server's to say."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,W,H, such as 0.25,0,0.5,1") from error
    return x, y, width, height


def _view(options: argparse.Namespace) -> View:
    return View(options.rotation, options.mirror, options.region, options.min_face_height)


def _print_line(answer: StreamAnswer) -> None:
    gate = answer.gate.value if answer.gate else ""
    if answer.error is not None:
        verdict = f"error {answer.error}"
    else:
        verdict = "  ".join(f"{one.decision.value} {one.score:.4f}" for one in answer.results)
    word = f"[{GATE_STYLES.get(gate, 'default')}]{gate:5}[/]"
    text = f"{answer.frame_id:8}  person {answer.person:4}  {word} {escape(verdict)}"
    answers().print(f"{text}  {escape(', '.join(answer.reasons))}", highlight=False)


def _print_json(answer: StreamAnswer) -> None:
    failure = answer.error
    print_json(
        {
            "frame_id": answer.frame_id,
            "frame_pts": answer.frame_pts,
            "timestamp_ms": answer.timestamp_ms,
            "width": answer.frame_width,
            "height": answer.frame_height,
            "person": answer.person,
            "gate": answer.gate,
            "reasons": answer.reasons,
            "results": answer.results,
            "faces": [found.face for found in answer.faces],
            "error": failure and {"code": int(failure.code), "message": failure.message},
            "stages_ms": answer.stages_ms,
        }
    )
