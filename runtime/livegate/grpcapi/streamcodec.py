"""The messages of streams and cameras: protobuf bytes to our values and back."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from livegate.core.camera import CameraReport
from livegate.core.challenge import ChallengeNews
from livegate.core.config import WHOLE, CameraConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.results import FrameAnswer
from livegate.core.view import View
from livegate.grpcapi.challengecodec import prompt_message, verdict_message
from livegate.grpcapi.codec import object_message, read_message, result_message, stages_message
from livegate.service.picture import EncodedPicture, Picture, RawPicture
from livegate.service.streams import CODE_STREAM, StreamFrame
from livegate.shm.ring import Ticket
from livegate.v1 import liveness_pb2 as pb

MAX_TASK_ID_CHARS = 1024
"""Every answer of a stream carries it."""


@dataclass(frozen=True, slots=True)
class StreamOpen:
    """How a stream begins."""

    code: int
    task_id: str
    algo_tasks: tuple[int, ...]
    view: View
    newest_wins: bool
    challenge: str


@dataclass(frozen=True, slots=True)
class TicketFrame:
    """A frame that lies in the frame queue."""

    frame_id: int
    frame_pts: int
    segment_id: int
    ticket: Ticket
    captured_ns: int


def open_from_bytes(content: bytes) -> StreamOpen:
    """Read the first message of a stream.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no StreamRequest, PARAM_FAILURE when it does not
            open, its task_id is too long, or its overflow is not known; as View.
    """
    message = read_message(pb.StreamRequest, content)
    if message.WhichOneof("kind") != "open":
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            "the first message of a stream is not `open`",
            hint="send `open` first, then frames",
        )
    opening = message.open
    if len(opening.task_id) > MAX_TASK_ID_CHARS:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"the task_id has {len(opening.task_id)} characters, the limit is {MAX_TASK_ID_CHARS}",
            hint="it comes back in every answer",
        )
    if opening.overflow not in pb.Overflow.values():
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"there is no overflow {opening.overflow}",
            hint=f"one of {', '.join(pb.Overflow.keys())}",
        )
    return StreamOpen(
        code=opening.code,
        task_id=opening.task_id,
        algo_tasks=tuple(task.algo_task for task in opening.algo_tasks),
        view=_view(opening.view),
        newest_wins=opening.overflow == pb.OVERFLOW_NEWEST_WINS,
        challenge=opening.challenge,
    )


def frame_from_bytes(content: bytes) -> StreamFrame | TicketFrame:
    """Read a frame; captured now, unless it knows better.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no StreamRequest, PARAM_FAILURE when it is not a
            frame: the stream cannot go on, for nobody knows which frame it was.
    """
    message = read_message(pb.StreamRequest, content)
    if message.WhichOneof("kind") != "frame":
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            "a message of the stream is not a frame",
            hint="`open` comes once, then only frames",
        )
    frame = message.frame
    if frame.WhichOneof("picture") == "ticket":
        return TicketFrame(
            frame.frame_id,
            frame.frame_pts,
            frame.ticket.segment_id,
            Ticket(frame.ticket.slot, frame.ticket.generation),
            frame.captured_ns,
        )
    return StreamFrame(frame.frame_id, frame.frame_pts, _picture(frame))


def bytes_from_answer(answer: FrameAnswer, task_id: str) -> bytes:
    """Write a StreamResponse."""
    message = pb.StreamResponse(
        code=CODE_STREAM + 1,
        task_id=task_id,
        frame_id=answer.frame_id,
        frame_pts=answer.frame_pts,
        timestamp=answer.timestamp_ms,
        src_width=answer.src_width,
        src_height=answer.src_height,
        frame_width=answer.frame_width,
        frame_height=answer.frame_height,
        results=[result_message(verdict) for verdict in answer.verdicts],
        detect_objects=[object_message(f) for verdict in answer.verdicts for f in verdict.faces],
        gate=None if answer.gate is None else f"GATE_DECISION_{answer.gate.value}",
        reasons=[reason.value for reason in answer.reasons],
        person=answer.person,
        stages=stages_message(answer.stages),
    )
    if answer.news is not None:
        _write_news(message, answer.news)
    if answer.error is not None:
        message.task_code = int(answer.error.code)
        message.msg = answer.error.text
    return message.SerializeToString()


def _write_news(message: pb.StreamResponse, news: ChallengeNews) -> None:
    if news.prompt is not None:
        message.prompt.CopyFrom(prompt_message(news.prompt))
    if news.verdict is not None:
        message.challenge.CopyFrom(verdict_message(news.verdict))


def watched_from_bytes(content: bytes) -> tuple[str, str]:
    """Read a WatchCameraRequest: the camera and a nonce, or none. Raises as `open_from_bytes`."""
    message = read_message(pb.WatchCameraRequest, content)
    return message.camera, message.challenge


def removed_from_bytes(content: bytes) -> str:
    """Read a RemoveCameraRequest: the camera. Raises as `open_from_bytes`."""
    return read_message(pb.RemoveCameraRequest, content).name


def bytes_from_removed() -> bytes:
    """Write a RemoveCameraResponse."""
    return pb.RemoveCameraResponse().SerializeToString()


def camera_from_bytes(content: bytes, code: ErrorCode) -> CameraConfig:
    """Read CameraSettings.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no such message; `code` for settings that the
            configuration would not accept either.
    """
    message = read_message(pb.CameraSettings, content)
    settings = {
        "name": message.name,
        "url": message.url,
        "rotation": message.view.rotation,
        "mirror": message.view.mirror,
        "region": _region(message.view),
        "min_face_height": message.view.min_face_height,
    }
    try:
        return msgspec.convert(settings, CameraConfig)
    except msgspec.ValidationError as error:
        raise RequestError(
            code, f"the camera's settings: {error}".replace("`$.", "`"), hint="see docs/config.md"
        ) from error


def bytes_from_camera(report: CameraReport) -> bytes:
    """Write a Camera."""
    return camera_message(report).SerializeToString()


def camera_message(report: CameraReport) -> pb.Camera:
    """How a camera is."""
    is_failed = report.code is not ErrorCode.OK
    return pb.Camera(
        name=report.camera,
        source=report.source,
        state=report.state.value,
        since=report.since_ms,
        task_code=int(report.code),
        msg=f"{report.code.english}: {report.message}" if is_failed else "",
        width=report.width,
        height=report.height,
        restarts=report.restarts,
    )


def _picture(frame: pb.StreamFrame) -> Picture:
    captured_ns = frame.captured_ns or time.monotonic_ns()
    if frame.WhichOneof("picture") == "raw":
        raw = frame.raw
        return RawPicture(raw.width, raw.height, raw.pixel_format, raw.pixels, captured_ns)
    return EncodedPicture(frame.image, captured_ns)  # nothing at all is an empty picture: 1028


def _view(view: pb.View) -> View:
    return View(view.rotation, view.mirror, _region(view), view.min_face_height)


def _region(view: pb.View) -> tuple[float, float, float, float]:
    if not view.HasField("region"):
        return WHOLE
    region = view.region
    return region.x, region.y, region.width, region.height
