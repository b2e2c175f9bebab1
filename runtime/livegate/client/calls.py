"""What both clients say to a box: methods, messages, channel options. How they wait is their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import grpc

from livegate.client.answers import Answer, Challenge, ModelsReloaded, VideoAnswer
from livegate.client.challengecodec import challenge_from_bytes, start_bytes
from livegate.client.codec import (
    answer_from_bytes,
    reload_bytes,
    reloaded_from_bytes,
    request_bytes,
    status_from_bytes,
)
from livegate.client.pictures import Picture, PixelFormat
from livegate.client.streamcodec import (
    camera_from_bytes,
    camera_settings_bytes,
    cameras_from_status,
    frame_bytes,
    remove_camera_bytes,
)
from livegate.client.videocodec import verify_bytes, video_answer_from_bytes
from livegate.core.camera import CameraReport
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.ids import request_id
from livegate.core.tls import authorities
from livegate.core.view import View

T = TypeVar("T")
SILENT_LIVENESS = 1031
FACE_DETECTION = 9001
CODE_ANALYZE = 1019
CODE_VERIFY = 9002
CODE_CHALLENGE = 9011
DEFAULT_TARGET = "127.0.0.1:50051"
MAX_MESSAGE_BYTES = 64 << 20
METHOD = "/livegate.v1.LivenessService/"
UNARY = (
    "Analyze",
    "VerifyActions",
    "StartChallenge",
    "GetStatus",
    "AddCamera",
    "ChangeCamera",
    "RemoveCamera",
    "ReloadModels",
)
STREAM_FRAMES = f"{METHOD}StreamFrames"
WATCH_CAMERA = f"{METHOD}WatchCamera"
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # gRPC waits 1 s to 2 min before it dials a refused address again, and every call in between fails
    # at once: a retry could not help, and a box that is back would be missed for minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


def trusting(ca_file: str | Path) -> Any:
    """gRPC's credentials of a client that trusts these authorities. Raises as `authorities`."""
    return grpc.ssl_channel_credentials(authorities(Path(ca_file)))


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One unary call: what is sent and how the answer is read; a question may be asked again."""

    method: str
    content: bytes
    read: Callable[[bytes], T]
    is_question: bool


TOKEN = re.compile(r"[ -~]*")
Metadata = tuple[tuple[str, str], ...]


def metadata(token: str, given_id: str) -> Metadata:
    """What goes with every try of a call; the request id is the same for all of them."""
    bearer = (("authorization", f"Bearer {token}"),) if token else ()
    return (*bearer, ("x-request-id", given_id or request_id(None)))


def presentable(token: str) -> str:
    """A token as a header can carry it, without the line's end of the file that it came from.

    Raises:
        RequestError: PARAM_FAILURE for one with characters that are not printable ASCII.
    """
    bare = token.strip()
    if not TOKEN.fullmatch(bare):
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            "the token has a character that is not printable ASCII",
            hint="tokens are as in the server's grpc.tokens",
        )
    return bare


def client_closed() -> LiveGateError:
    """1024."""
    return LiveGateError(ErrorCode.CONNECTION_CLOSE, "this client was closed", hint="make another one")


def analyze_call(
    images: bytes | Sequence[bytes], algo_tasks: Sequence[int], task_id: str
) -> Call[Answer]:
    """LivenessService.Analyze."""
    pictures = [images] if isinstance(images, bytes) else list(images)
    content = request_bytes(CODE_ANALYZE, task_id, algo_tasks, pictures)
    return Call("Analyze", content, answer_from_bytes, is_question=True)


def verify_call(
    video: bytes,
    actions: Sequence[int],
    action_time: Sequence[tuple[int, int]],
    nod_threshold: float | None,
    mirrored: bool,
    task_id: str,
    challenge: str,
) -> Call[VideoAnswer]:
    """LivenessService.VerifyActions; an answer to a challenge is spent when it arrives."""
    content = verify_bytes(
        CODE_VERIFY, task_id, actions, video, action_time, nod_threshold, mirrored, challenge
    )
    return Call("VerifyActions", content, video_answer_from_bytes, is_question=not challenge)


def start_call(task_id: str) -> Call[Challenge]:
    """LivenessService.StartChallenge; each try would open one more."""
    content = start_bytes(CODE_CHALLENGE, task_id)
    return Call("StartChallenge", content, challenge_from_bytes, is_question=False)


def status_call() -> Call[dict[str, Any]]:
    """LivenessService.GetStatus, as a table."""
    return Call("GetStatus", b"", status_from_bytes, is_question=True)


def cameras_call() -> Call[tuple[CameraReport, ...]]:
    """LivenessService.GetStatus, its cameras."""
    return Call("GetStatus", b"", cameras_from_status, is_question=True)


def add_camera_call(name: str, url: str, view: View) -> Call[CameraReport]:
    """LivenessService.AddCamera."""
    content = camera_settings_bytes(name, url, view)
    return Call("AddCamera", content, camera_from_bytes, is_question=False)


def change_camera_call(name: str, url: str, view: View) -> Call[CameraReport]:
    """LivenessService.ChangeCamera."""
    content = camera_settings_bytes(name, url, view)
    return Call("ChangeCamera", content, camera_from_bytes, is_question=False)


def remove_camera_call(name: str) -> Call[None]:
    """LivenessService.RemoveCamera; the answer is empty."""
    return Call("RemoveCamera", remove_camera_bytes(name), lambda content: None, is_question=False)


def reload_call(pack: str, use: Mapping[str, str]) -> Call[ModelsReloaded]:
    """LivenessService.ReloadModels."""
    content = reload_bytes(pack, use)
    return Call("ReloadModels", content, reloaded_from_bytes, is_question=False)


class FrameWriter:
    """Frames of one stream as messages; numbers those that have no number."""

    def __init__(self) -> None:
        """The first number given is 1."""
        self.frame_id = 0

    def write(
        self,
        picture: Picture,
        frame_id: int | None,
        frame_pts: int,
        pixel_format: PixelFormat,
        captured_ns: int = 0,
    ) -> bytes:
        """The message; `self.frame_id` is then its number. Raises as `frame_bytes`."""
        number = self.frame_id + 1 if frame_id is None else frame_id
        content = frame_bytes(picture, number, frame_pts, pixel_format, captured_ns)
        self.frame_id = number
        return content
