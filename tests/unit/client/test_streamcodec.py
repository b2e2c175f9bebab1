"""What the client writes and reads: streams and cameras."""

from __future__ import annotations

import numpy as np
import pytest

from frame_queue_kit import refused
from livegate.client.calls import FrameWriter
from livegate.client.pictures import FrameTicket
from livegate.client.streamcodec import (
    camera_from_bytes,
    camera_settings_bytes,
    cameras_from_status,
    frame_bytes,
    open_bytes,
    remove_camera_bytes,
    stream_answer_from_bytes,
    watch_bytes,
)
from livegate.core.camera import CameraReport, CameraState
from livegate.core.errors import ErrorCode
from livegate.core.results import Decision, GateDecision
from livegate.core.view import View
from livegate.v1 import liveness_pb2 as pb
from support import noise

VIEW = View(rotation=90, mirror=True, region=(0.25, 0.0, 0.5, 1.0), min_face_height=0.125)


def frame_of(content: bytes) -> pb.StreamFrame:
    return pb.StreamRequest.FromString(content).frame


@pytest.mark.parametrize(("overflow", "number"), [("wait", 0), ("newest_wins", 1)])
def test_opening_is_what_the_contract_says(overflow: str, number: int) -> None:
    """9021, the algorithms, the view, the overflow."""
    content = open_bytes("t", (1031, 9001), VIEW, overflow)  # type: ignore[arg-type]
    message = pb.StreamRequest.FromString(content).open
    assert (message.code, message.task_id, message.overflow) == (9021, "t", number)
    assert [task.algo_task for task in message.algo_tasks] == [1031, 9001]
    assert (message.view.rotation, message.view.mirror) == (90, True)
    assert message.view.min_face_height == 0.125
    region = message.view.region
    assert (region.x, region.y, region.width, region.height) == VIEW.region


def test_opening_without_a_region_has_none() -> None:
    """Absent is everywhere; an empty one would be nowhere."""
    message = pb.StreamRequest.FromString(open_bytes("", (1031,), View(), "wait")).open
    assert not message.view.HasField("region")


def test_opening_with_an_unknown_overflow_is_refused() -> None:
    """Before anything is sent."""
    with refused(ErrorCode.PARAM_FAILURE):
        open_bytes("", (1031,), View(), "oldest")  # type: ignore[arg-type]


def test_frame_of_a_file_is_sent_as_it_is() -> None:
    """No base64, no copy into another format."""
    frame = frame_of(frame_bytes(b"JPEG", 7, 8, "BGR"))
    assert (frame.frame_id, frame.frame_pts, frame.image) == (7, 8, b"JPEG")


def test_frame_of_an_array_carries_its_size_and_rows_without_gaps() -> None:
    """A view with strides is made dense."""
    pixels = noise(32, 24)[:, 4:28]
    raw = frame_of(frame_bytes(pixels, 1, 0, "BGR")).raw
    assert (raw.width, raw.height, raw.pixel_format) == (24, 24, pb.PIXEL_FORMAT_BGR)
    assert raw.pixels == np.ascontiguousarray(pixels).tobytes()


def test_frame_of_nv12_has_the_height_of_the_picture() -> None:
    """Not that of the array."""
    raw = frame_of(frame_bytes(np.zeros((36, 32), np.uint8), 1, 0, "NV12")).raw
    assert (raw.width, raw.height, raw.pixel_format) == (32, 24, pb.PIXEL_FORMAT_NV12)
    assert len(raw.pixels) == 32 * 36


@pytest.mark.parametrize(
    ("pixels", "pixel_format"),
    [
        (np.zeros((4, 4, 3), np.float32), "BGR"),
        (np.zeros((4, 4, 4), np.uint8), "BGR"),
        (np.zeros((4, 4), np.uint8), "BGR"),
        (np.zeros((0, 4, 3), np.uint8), "BGR"),
        (np.zeros((4, 4, 3), np.uint8), "NV12"),
        (np.zeros((4, 4), np.uint8), "NV12"),
        (np.zeros((6, 5), np.uint8), "NV12"),
        (np.zeros((4, 4, 3), np.uint8), "RGB"),
    ],
)
def test_frame_of_an_array_that_is_no_picture_is_refused(pixels: np.ndarray, pixel_format: str) -> None:
    """Here, not at the box."""
    with refused(ErrorCode.PARAM_FAILURE):
        frame_bytes(pixels, 1, 0, pixel_format)  # type: ignore[arg-type]


def test_frame_of_a_ticket_carries_no_pixels() -> None:
    """Segment, slot, generation, time: all that the server needs."""
    ticket = FrameTicket(noise(4, 4), (1 << 64) - 1, 3, 1 << 40, 1 << 50)
    frame = frame_of(frame_bytes(ticket, 1, 0, "BGR"))
    assert (frame.ticket.segment_id, frame.ticket.slot) == (ticket.segment_id, 3)
    assert (frame.ticket.generation, frame.captured_ns) == (1 << 40, 1 << 50)
    assert frame.WhichOneof("picture") == "ticket"


@pytest.mark.parametrize("picture", ["face.jpg", None, bytearray(b"jpeg")])
def test_frame_of_what_is_no_picture_at_all_is_refused(picture: object) -> None:
    """A path, or nothing from a camera: with our code, not with Python's."""
    with refused(ErrorCode.PARAM_FAILURE):
        frame_bytes(picture, 1, 0, "BGR")  # type: ignore[arg-type]


def test_frames_are_numbered_on_from_the_last_number() -> None:
    """Given or not; a picture that is refused uses up none."""
    writer = FrameWriter()
    numbers = []
    for given in (None, 41, None):
        numbers.append(frame_of(writer.write(b"x", given, 0, "BGR")).frame_id)
    with refused(ErrorCode.PARAM_FAILURE):
        writer.write(np.zeros(3, np.uint8), None, 0, "BGR")
    assert [*numbers, writer.frame_id] == [1, 41, 42, 42]


def test_answer_is_read_in_full() -> None:
    """Every field of the contract has its place."""
    message = pb.StreamResponse(
        code=9022, frame_id=7, frame_pts=8, timestamp=9,
        src_width=640, src_height=480, frame_width=480, frame_height=640,
        results=[pb.Result(algo_type="1031", score=0.5, decision=1)],
        detect_objects=[pb.DetectObject(score=0.75)],
        gate=1, reasons=["ENOUGH_GENUINE_FRAMES"], person=2, stages=pb.StageTimes(infer=2.5),
    )  # fmt: skip
    found = stream_answer_from_bytes(message.SerializeToString())
    assert (found.frame_id, found.frame_pts, found.timestamp_ms) == (7, 8, 9)
    assert (found.src_width, found.src_height) == (640, 480)
    assert (found.frame_width, found.frame_height) == (480, 640)
    assert found.results[0].decision is Decision.GENUINE
    assert found.faces[0].face.score == 0.75
    assert (found.gate, found.reasons, found.person) == (
        GateDecision.OPEN, ("ENOUGH_GENUINE_FRAMES",), 2,
    )  # fmt: skip
    assert found.stages_ms == {"infer": 2.5}
    assert found.error is None


@pytest.mark.parametrize("gate", [None, *GateDecision])
def test_every_word_of_the_gate_is_read(gate: GateDecision | None) -> None:
    """The whole table; nothing new is None."""
    name = f"GATE_DECISION_{gate.value if gate else 'UNSPECIFIED'}"
    content = pb.StreamResponse(gate=pb.GateDecision.Value(name)).SerializeToString()
    assert stream_answer_from_bytes(content).gate is gate


def test_answer_with_an_unknown_word_is_refused() -> None:
    """A newer box is not misread: its word could be DENY in other letters."""
    with refused(ErrorCode.UNREALIZED):
        stream_answer_from_bytes(pb.StreamResponse(gate=9).SerializeToString())
    with refused(ErrorCode.INVALID_PARAM):
        stream_answer_from_bytes(b"\xff\xff")


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.OK])
def test_answer_to_a_failed_frame_has_an_error_and_no_results(code: ErrorCode) -> None:
    """The table's text in front of the message is taken off, as for unary errors."""
    message = pb.StreamResponse(frame_id=3, task_code=code, msg=f"{code.english}: why")
    found = stream_answer_from_bytes(message.SerializeToString())
    assert found.error is not None
    assert (found.error.code, found.error.message) == (code, "why")
    assert (found.frame_id, found.results, found.faces) == (3, (), ())


def test_camera_settings_are_what_the_contract_says() -> None:
    """Name, URL, view."""
    message = pb.CameraSettings.FromString(camera_settings_bytes("door", "rtsp://x", VIEW))
    assert (message.name, message.url, message.view.rotation) == ("door", "rtsp://x", 90)
    assert pb.RemoveCameraRequest.FromString(remove_camera_bytes("door")).name == "door"
    assert pb.WatchCameraRequest.FromString(watch_bytes("door")).camera == "door"


@pytest.mark.parametrize("state", CameraState)
def test_camera_in_every_state_is_read(state: CameraState) -> None:
    """Alone and inside a status."""
    message = pb.Camera(
        name="door", source="rtsp://x", state=state.value, since=5, task_code=2001,
        msg=f"{ErrorCode(2001).english}: no route", width=640, height=480, restarts=2,
    )  # fmt: skip
    expected = CameraReport("door", "rtsp://x", state, 5, ErrorCode(2001), "no route", 640, 480, 2)
    assert camera_from_bytes(message.SerializeToString()) == expected
    status = pb.GetStatusResponse(cameras=[message])
    assert cameras_from_status(status.SerializeToString()) == (expected,)


def test_camera_in_an_unknown_state_is_refused() -> None:
    """A newer box is not misread."""
    with refused(ErrorCode.UNREALIZED):
        camera_from_bytes(pb.Camera(state="PONDERING").SerializeToString())
