"""Streams and cameras in protobuf; codec.py has the rest."""

from __future__ import annotations

from collections.abc import Sequence

from livegate.client.answers import StreamAnswer
from livegate.client.challengecodec import prompt_from_proto, result_of_challenge
from livegate.client.codec import (
    face_from_proto,
    parsed,
    result_from_proto,
    stages_from_proto,
    unknown_word,
)
from livegate.client.pictures import FrameTicket, Overflow, Picture, PixelFormat, picture_size
from livegate.core.camera import CameraReport, CameraState
from livegate.core.config import WHOLE
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.results import GateDecision
from livegate.core.view import View
from livegate.v1 import liveness_pb2 as pb

CODE_STREAM = 9021
OVERFLOWS = {"wait": pb.OVERFLOW_WAIT, "newest_wins": pb.OVERFLOW_NEWEST_WINS}
FORMATS = {"BGR": pb.PIXEL_FORMAT_BGR, "NV12": pb.PIXEL_FORMAT_NV12}
GATES: dict[int, GateDecision | None] = {
    pb.GATE_DECISION_UNSPECIFIED: None,
    **{pb.GateDecision.Value(f"GATE_DECISION_{gate.value}"): gate for gate in GateDecision},
}


def open_bytes(
    task_id: str, tasks: Sequence[int], view: View, overflow: Overflow, challenge: str = ""
) -> bytes:
    """Write the StreamRequest that opens a stream.

    Raises:
        RequestError: PARAM_FAILURE for an overflow that there is not.
    """
    if overflow not in OVERFLOWS:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"there is no overflow {overflow!r}",
            hint=f"one of {', '.join(OVERFLOWS)}",
        )
    opening = pb.StreamOpen(
        code=CODE_STREAM,
        task_id=task_id,
        algo_tasks=[pb.AlgoTask(algo_task=task) for task in tasks],
        view=_view(view),
        overflow=OVERFLOWS[overflow],
        challenge=challenge,
    )
    return pb.StreamRequest(open=opening).SerializeToString()


def frame_bytes(
    picture: Picture,
    frame_id: int,
    frame_pts: int,
    pixel_format: PixelFormat,
    captured_ns: int = 0,
) -> bytes:
    """Write the StreamRequest of one frame.

    Raises:
        RequestError: PARAM_FAILURE for an array that is no picture of that format.
    """
    try:
        frame = pb.StreamFrame(frame_id=frame_id, frame_pts=frame_pts, captured_ns=captured_ns)
    except (TypeError, ValueError) as error:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"frame_id {frame_id!r}, frame_pts {frame_pts!r} or captured_ns {captured_ns!r} is not one",
            hint="whole numbers of 64 bits, captured_ns not below 0",
        ) from error
    if isinstance(picture, FrameTicket):
        frame.ticket.segment_id = picture.segment_id
        frame.ticket.slot = picture.slot
        frame.ticket.generation = picture.generation
        frame.captured_ns = captured_ns or picture.captured_ns
    elif isinstance(picture, bytes):
        frame.image = picture
    else:
        width, height = picture_size(picture, pixel_format)
        frame.raw.width = width
        frame.raw.height = height
        frame.raw.pixel_format = FORMATS[pixel_format]
        frame.raw.pixels = picture.tobytes()
    return pb.StreamRequest(frame=frame).SerializeToString()


def stream_answer_from_bytes(content: bytes) -> StreamAnswer:
    """Read a StreamResponse.

    Raises:
        RequestError: INVALID_PARAM for bytes that are none; UNREALIZED for a word of the gate or a
            prompt that this side does not know.
    """
    message = parsed(pb.StreamResponse, content)
    if message.gate not in GATES:
        raise unknown_word(ValueError(f"gate {message.gate}"))
    error = _error(message.task_code, message.msg)
    return StreamAnswer(
        frame_id=message.frame_id,
        frame_pts=message.frame_pts,
        timestamp_ms=message.timestamp,
        src_width=message.src_width,
        src_height=message.src_height,
        frame_width=message.frame_width,
        frame_height=message.frame_height,
        results=() if error else tuple(result_from_proto(result) for result in message.results),
        faces=() if error else tuple(face_from_proto(found) for found in message.detect_objects),
        gate=GATES[message.gate],
        reasons=tuple(message.reasons),
        person=message.person,
        error=error,
        stages_ms=stages_from_proto(message.stages),
        prompt=prompt_from_proto(message.prompt) if message.HasField("prompt") else None,
        challenge=(result_of_challenge(message.challenge) if message.HasField("challenge") else None),
    )


def watch_bytes(camera: str, challenge: str = "") -> bytes:
    """Write a WatchCameraRequest."""
    return pb.WatchCameraRequest(camera=camera, challenge=challenge).SerializeToString()


def camera_settings_bytes(name: str, url: str, view: View) -> bytes:
    """Write a CameraSettings message."""
    return pb.CameraSettings(name=name, url=url, view=_view(view)).SerializeToString()


def remove_camera_bytes(name: str) -> bytes:
    """Write a RemoveCameraRequest."""
    return pb.RemoveCameraRequest(name=name).SerializeToString()


def camera_from_bytes(content: bytes) -> CameraReport:
    """Read a Camera message."""
    return _camera(parsed(pb.Camera, content))


def cameras_from_status(content: bytes) -> tuple[CameraReport, ...]:
    """The cameras of a GetStatusResponse."""
    return tuple(_camera(camera) for camera in parsed(pb.GetStatusResponse, content).cameras)


def _camera(message: pb.Camera) -> CameraReport:
    try:
        state = CameraState(message.state)
    except ValueError as error:
        raise unknown_word(error) from error
    failure = _error(message.task_code, message.msg)
    return CameraReport(
        camera=message.name,
        source=message.source,
        state=state,
        since_ms=message.since,
        code=failure.code if failure else ErrorCode.OK,
        message=failure.message if failure else "",
        width=message.width,
        height=message.height,
        restarts=message.restarts,
    )


def _error(number: int, text: str) -> LiveGateError | None:
    """What went wrong with a frame or a camera; None for 0."""
    if not number:
        return None
    code = ErrorCode.from_number(number)
    return LiveGateError(code, text.removeprefix(f"{code.english}: "))


def _view(view: View) -> pb.View:
    message = pb.View(rotation=view.rotation, mirror=view.mirror, min_face_height=view.min_face_height)
    if view.region != WHOLE:
        message.region.x, message.region.y, message.region.width, message.region.height = view.region
    return message
