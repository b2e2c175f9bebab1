"""AsyncLivenessClient: LivenessClient for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc

from livegate.client.aiostream import AsyncAnswerStream, AsyncFrameStream
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
from livegate.client.streamcodec import open_bytes, watch_bytes
from livegate.core.camera import CameraReport
from livegate.core.view import View

T = TypeVar("T")


class AsyncLivenessClient:
    """LivenessClient with `await`; made and used inside one running event loop.

    Every method does, raises and retries as its namesake there.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        token: str = "",
        ca_file: str | Path | None = None,
        retries: int | RetryPolicy = 2,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
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
            grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
            if ca_file is None
            else grpc.aio.secure_channel(target, trusting(ca_file), options=CHANNEL_OPTIONS)
        )
        self._methods = {name: self._channel.unary_unary(METHOD + name) for name in UNARY}
        self._policy = RetryPolicy(retries) if isinstance(retries, int) else retries
        self._sleep = sleep

    async def analyze(
        self,
        images: bytes | Sequence[bytes],
        *,
        algo_tasks: Sequence[int] = (SILENT_LIVENESS,),
        task_id: str = "",
        timeout_s: float = 10.0,
        request_id: str = "",
    ) -> Answer:
        """As LivenessClient.analyze."""
        return await self._ask(analyze_call(images, algo_tasks, task_id), timeout_s, request_id)

    async def verify_actions(
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
        """As LivenessClient.verify_actions."""
        call = verify_call(video, actions, action_time, nod_threshold, mirrored, task_id, challenge)
        return await self._ask(call, timeout_s, request_id)

    async def start_challenge(self, *, task_id: str = "", timeout_s: float = 5.0) -> Challenge:
        """As LivenessClient.start_challenge."""
        return await self._ask(start_call(task_id), timeout_s)

    async def status(self, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """As LivenessClient.status."""
        return await self._ask(status_call(), timeout_s)

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
    ) -> AsyncFrameStream:
        """As LivenessClient.stream."""
        opening = open_bytes(task_id, algo_tasks, view or View(), overflow, challenge)
        room = ROOM[overflow] if max_unanswered is None else max_unanswered
        inbox = FrameInbox(opening, room)
        method = self._channel.stream_stream(STREAM_FRAMES)
        return AsyncFrameStream(
            inbox, lambda requests: method(requests, metadata=self._words()), timeout_s
        )

    def watch(
        self, camera: str, *, challenge: str = "", timeout_s: float | None = None
    ) -> AsyncAnswerStream:
        """As LivenessClient.watch."""
        content = watch_bytes(camera, challenge)
        method = self._channel.unary_stream(WATCH_CAMERA)

        def dial(requests: AsyncIterator[bytes]) -> Any:
            return method(content, metadata=self._words())

        return AsyncAnswerStream(NewestInbox(), dial, timeout_s)

    async def cameras(self, *, timeout_s: float = 5.0) -> tuple[CameraReport, ...]:
        """As LivenessClient.cameras."""
        return await self._ask(cameras_call(), timeout_s)

    async def add_camera(
        self, name: str, url: str, *, view: View | None = None, timeout_s: float = 5.0
    ) -> CameraReport:
        """As LivenessClient.add_camera."""
        return await self._ask(add_camera_call(name, url, view or View()), timeout_s)

    async def change_camera(
        self, name: str, url: str, *, view: View | None = None, timeout_s: float = 5.0
    ) -> CameraReport:
        """As LivenessClient.change_camera."""
        return await self._ask(change_camera_call(name, url, view or View()), timeout_s)

    async def remove_camera(self, name: str, *, timeout_s: float = 5.0) -> None:
        """As LivenessClient.remove_camera."""
        await self._ask(remove_camera_call(name), timeout_s)

    async def reload_models(
        self, *, pack: str = "", use: Mapping[str, str] | None = None, timeout_s: float = 120.0
    ) -> ModelsReloaded:
        """As LivenessClient.reload_models."""
        return await self._ask(reload_call(pack, use or {}), timeout_s)

    async def close(self) -> None:
        """Close the connection."""
        self._is_closed = True
        await self._channel.close()

    async def __aenter__(self) -> AsyncLivenessClient:
        """Use it in an async with-block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close at its end."""
        await self.close()

    def _words(self, request_id: str = "") -> Metadata:
        """What goes beside a call; none goes out after `close`."""
        if self._is_closed:
            raise client_closed()
        return metadata(self._token, request_id)

    async def _ask(self, call: Call[T], timeout_s: float, request_id: str = "") -> T:
        method, words = self._methods[call.method], self._words(request_id)
        tries = self._policy.begin(timeout_s)
        while True:
            try:
                return call.read(await method(call.content, timeout=tries.left_s, metadata=words))
            except asyncio.CancelledError as error:
                if not self._is_closed:
                    raise
                raise client_closed() from error  # gRPC cancels whoever waits; nobody else did
            except grpc.RpcError as error:
                failure = error_from_call(error)
                pause_s = tries.pause_s(failure) if call.is_question else None
                if pause_s is None:
                    raise failure from error
            await self._sleep(pause_s)
