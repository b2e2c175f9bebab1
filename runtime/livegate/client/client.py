"""LivenessClient: verdicts on pictures, on frames as they come, and the box's cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc

from livegate.client.answers import Answer, Challenge, ModelsReloaded, VideoAnswer
from livegate.client.calls import (
    CHANNEL_OPTIONS,
    DEFAULT_TARGET,
    METHOD,
    SILENT_LIVENESS,
    STREAM_FRAMES,
    UNARY,
    WATCH_CAMERA,
    Call,
    Metadata,
    add_camera_call,
    analyze_call,
    cameras_call,
    change_camera_call,
    client_closed,
    metadata,
    presentable,
    reload_call,
    remove_camera_call,
    start_call,
    status_call,
    trusting,
    verify_call,
)
from livegate.client.codec import error_from_call
from livegate.client.inbox import FrameInbox, NewestInbox
from livegate.client.pictures import ROOM, Overflow
from livegate.client.retry import RetryPolicy
from livegate.client.stream import AnswerStream, FrameStream
from livegate.client.streamcodec import open_bytes, watch_bytes
from livegate.core.camera import CameraReport
from livegate.core.view import View

T = TypeVar("T")


class LivenessClient:
    """Talks to a box over gRPC: `host:port`, or `unix:/path/to/socket`. Safe for many threads.

    `analyze`, `verify_actions`, `status` and `cameras` are asked again while a passing failure lasts
    (no server, a server that warms up, a full queue), within their timeout; nothing else is said twice.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        token: str = "",
        ca_file: str | Path | None = None,
        retries: int | RetryPolicy = 2,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect on the first call; `token` is one of the server's grpc.tokens or admin_tokens.

        With `ca_file`, the PEM file of who signed the server's certificate (grpc.tls_cert), over TLS.

        Raises:
            SetupError: NO_EXIST, OPEN_FAIL or INIT_FAIL for that file.
            RequestError: as presentable.
        """
        self._is_closed = False
        self._token = presentable(token)
        self._channel = (
            grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
            if ca_file is None
            else grpc.secure_channel(target, trusting(ca_file), options=CHANNEL_OPTIONS)
        )
        self._methods = {name: self._channel.unary_unary(METHOD + name) for name in UNARY}
        self._policy = RetryPolicy(retries) if isinstance(retries, int) else retries
        self._sleep = sleep

    def analyze(
        self,
        images: bytes | Sequence[bytes],
        *,
        algo_tasks: Sequence[int] = (SILENT_LIVENESS,),
        task_id: str = "",
        timeout_s: float = 10.0,
        request_id: str = "",
    ) -> Answer:
        """Judge one picture, or several of one resolution (JPEG, PNG, BMP or WebP files).

        Raises:
            LiveGateError: what the box answered, with its code; CONNECTION_FAILURE when no box
                answers, TIMEOUT when it took longer than `timeout_s`.
        """
        return self._ask(analyze_call(images, algo_tasks, task_id), timeout_s, request_id)

    def verify_actions(
        self,
        video: bytes,
        actions: Sequence[int] = (),
        *,
        challenge: str = "",
        action_time: Sequence[tuple[int, int]] = (),
        nod_threshold: float | None = None,
        mirrored: bool = False,
        task_id: str = "",
        timeout_s: float = 60.0,
        request_id: str = "",
    ) -> VideoAnswer:
        """Did the person in a video (MP4, MOV, AVI, FLV, WebM, WMV) do these actions?

        Args:
            video: the file.
            actions: in order: 1 shake left, 2 shake right (the person's own), 3 nod, 4 mouth, 5 blink.
            challenge: the nonce of the challenge that this answers; its actions hold, and it is spent
                as soon as the video is accepted: such a call is never tried again.
            action_time: for each action when it must be done, (first, last) in ms of the video;
                empty: any time, in order.
            nod_threshold: least nod in degrees, 1 to 90; unset: the box's own.
            mirrored: the video shows the person as a mirror does.
            task_id: comes back in the answer.
            timeout_s: for all of it; a video takes seconds.
            request_id: shown in the box's log; unset: a new one.

        Raises:
            LiveGateError: as `analyze`; of a challenge, NO_EXIST when it is unknown, TIMEOUT when its
                time is up, EXIST when it was answered already.
        """
        call = verify_call(video, actions, action_time, nod_threshold, mirrored, task_id, challenge)
        return self._ask(call, timeout_s, request_id)

    def start_challenge(self, *, task_id: str = "", timeout_s: float = 5.0) -> Challenge:
        """Have the box draw actions that a person must do now, in their order, before a deadline.

        Answer it with `verify_actions`, `stream` or `watch`, which take its nonce as `challenge`.

        Raises:
            LiveGateError: FULL when too many wait for an answer; PARAM_FAILURE when the box has not the
                models of actions; else as `analyze`, but never tried again.
        """
        return self._ask(start_call(task_id), timeout_s)

    def status(self, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """How the box is: version, state, queue, what runs on which provider, and its cameras.

        Raises:
            LiveGateError: as `analyze`.
        """
        return self._ask(status_call(), timeout_s)

    def stream(
        self,
        *,
        algo_tasks: Sequence[int] = (SILENT_LIVENESS,),
        view: View | None = None,
        overflow: Overflow = "wait",
        max_unanswered: int | None = None,
        challenge: str = "",
        task_id: str = "",
        timeout_s: float = 10.0,
    ) -> FrameStream:
        """Judge frames as they come.

        Args:
            algo_tasks: 1031 gives verdicts and the gate's word, 9001 the faces.
            view: how the pictures are to be looked at.
            overflow: wait: no frame is dropped, `send` waits; newest_wins: for cameras.
            max_unanswered: frames without a taken answer, before `send` waits; unset: 4, or 16 where
                the newest wins.
            challenge: the nonce of a challenge that the person in the frames answers: answers have
                prompts and its end, and the gate opens for who passes it, for nobody else.
            task_id: comes back in the log of the box.
            timeout_s: how long `send` may wait for room, and an answer may take.

        Raises:
            LiveGateError: PARAM_FAILURE for an overflow that there is not, or room for no frame; all
                else comes with the first `send` or `receive`.
        """
        opening = open_bytes(task_id, algo_tasks, view or View(), overflow, challenge)
        room = ROOM[overflow] if max_unanswered is None else max_unanswered
        inbox = FrameInbox(opening, room)
        method = self._channel.stream_stream(STREAM_FRAMES)
        return FrameStream(inbox, lambda requests: method(requests, metadata=self._words()), timeout_s)

    def watch(self, camera: str, *, challenge: str = "", timeout_s: float | None = None) -> AnswerStream:
        """The answers to a camera's frames: the newest for whoever takes slowly, and every gate's word.

        An OPEN that waited here for more than a second comes as HOLD: nobody is let in by old news.

        Args:
            camera: its name.
            challenge: as in `stream`, for this watch only; others hear the gate as ever.
            timeout_s: the longest silence; None: no limit.

        Raises:
            LiveGateError: while iterating: EXIT when the camera was removed or its file ended, NO_EXIST
                when there is none, BUSY when another challenge is being answered there, else as
                `stream`.
        """
        content = watch_bytes(camera, challenge)
        method = self._channel.unary_stream(WATCH_CAMERA)

        def dial(requests: Iterator[bytes]) -> Any:
            return method(content, metadata=self._words())

        return AnswerStream(NewestInbox(), dial, timeout_s)

    def cameras(self, *, timeout_s: float = 5.0) -> tuple[CameraReport, ...]:
        """The box's cameras.

        Raises:
            LiveGateError: as `analyze`.
        """
        return self._ask(cameras_call(), timeout_s)

    def add_camera(
        self, name: str, url: str, *, view: View | None = None, timeout_s: float = 5.0
    ) -> CameraReport:
        """Let the box read a camera by itself, until it ends: its configuration is not written.

        Needs the Unix socket or an admin token, as the next two.

        Raises:
            LiveGateError: CONFIG_ADD_FAIL with the reason; NO_PERMISSION; else as `analyze`, but never
                tried again.
        """
        return self._ask(add_camera_call(name, url, view or View()), timeout_s)

    def change_camera(
        self, name: str, url: str, *, view: View | None = None, timeout_s: float = 5.0
    ) -> CameraReport:
        """Give a camera another source or view: all of it is replaced.

        Raises:
            LiveGateError: CONFIG_UPDATE_FAIL with the reason; else as `add_camera`.
        """
        return self._ask(change_camera_call(name, url, view or View()), timeout_s)

    def remove_camera(self, name: str, *, timeout_s: float = 5.0) -> None:
        """Stop reading a camera.

        Raises:
            LiveGateError: CONFIG_DELETE_FAIL with the reason; else as `add_camera`.
        """
        self._ask(remove_camera_call(name), timeout_s)

    def reload_models(
        self, *, pack: str = "", use: Mapping[str, str] | None = None, timeout_s: float = 120.0
    ) -> ModelsReloaded:
        """Let the box load its models anew while it answers; docs/models.md, Reloading.

        Needs the Unix socket or an admin token.

        Args:
            pack: in the place of models.pack, until the next reload; empty: as configured.
            use: task = model id, over models.use, until the next reload.
            timeout_s: for all of it; a reload that nobody waits for any more goes on.

        Raises:
            LiveGateError: why the old models go on: MODELINIT_FAIL, NO_EXIST, CONFIG_ADD_FAIL,
                INIT_FAIL, OUT_OF_MEM; BUSY while another reload is under way; NOT_INIT;
                NO_PERMISSION; else as `analyze`, but never tried again.
        """
        return self._ask(reload_call(pack, use or {}), timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._is_closed = True
        self._channel.close()

    def __enter__(self) -> LivenessClient:
        """Use it in a with-block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close at its end."""
        self.close()

    def _words(self, request_id: str = "") -> Metadata:
        """What goes beside a call; none goes out after `close`."""
        if self._is_closed:
            raise client_closed()
        return metadata(self._token, request_id)

    def _ask(self, call: Call[T], timeout_s: float, request_id: str = "") -> T:
        method, words = self._methods[call.method], self._words(request_id)
        tries = self._policy.begin(timeout_s)
        while True:
            try:
                return call.read(method(call.content, timeout=tries.left_s, metadata=words))
            except grpc.RpcError as error:
                failure = error_from_call(error)
                pause_s = tries.pause_s(failure) if call.is_question else None
                if pause_s is None:
                    raise failure from error
            self._sleep(pause_s)
