"""The gRPC server: methods by name, health, reflection, TCP and a guarded Unix socket.

Handlers get the message's bytes and decode them in the codec, so that a message that is not one of
ours leaves with an error of ours. Only a message above the receive limit is refused by the
transport itself: RESOURCE_EXHAUSTED without details. Every method is registered as a stream of
messages, also where one is sent: credentials are looked at before it comes, and it has to come.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from livegate.core.config import GrpcConfig
from livegate.core.errors import ErrorCode, LiveGateError, SetupError
from livegate.core.results import FrameAnswer
from livegate.core.socketlock import SocketLock, configured_path
from livegate.core.telemetry import Metrics
from livegate.core.tls import grpc_files
from livegate.grpcapi.challengecodec import bytes_from_challenge, start_from_bytes
from livegate.grpcapi.codec import (
    SERVICE,
    bytes_from_analysis,
    bytes_from_reloaded,
    bytes_from_status,
    grpc_status,
    request_from_bytes,
    wish_from_bytes,
)
from livegate.grpcapi.interceptors import (
    MESSAGE_TIMEOUT_S,
    Context,
    Guard,
    message_of,
    unknown_method,
)
from livegate.grpcapi.streamcodec import (
    bytes_from_answer,
    bytes_from_camera,
    bytes_from_removed,
    camera_from_bytes,
    camera_message,
    removed_from_bytes,
)
from livegate.grpcapi.streams import stream_frames, watch_camera
from livegate.grpcapi.videocodec import bytes_from_video, verify_from_bytes
from livegate.service.actions import ActionService
from livegate.service.cameras import Cameras
from livegate.service.challenges import Challenges
from livegate.service.liveness import LivenessService
from livegate.service.reload import ModelReloader
from livegate.service.streams import Streams

WINDOW_BYTES = 4 << 20
MAX_CALLS = 256
"""Calls whose messages may be in memory at once; the transport refuses more before it reads them."""
MAX_PUBLIC_CALLS = 16
"""Of each method that needs no credentials, at once."""
TOO_MANY = f"{MAX_PUBLIC_CALLS} such calls are open already"
KEEPALIVE_MS = 20_000
HANDSHAKE_MS = 10_000
"""Of TLS and of HTTP/2: who connects and says nothing is hung up on (120 s unless it is said)."""
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer:
    """The face; built bound, so that an address in use is found before anything is loaded."""

    def __init__(
        self,
        config: GrpcConfig,
        service: LivenessService,
        streams: Streams,
        cameras: Cameras,
        actions: ActionService,
        challenges: Challenges,
        models: ModelReloader,
        metrics: Metrics,
    ) -> None:
        """Bind.

        Raises:
            SetupError: INIT_FAIL for the address, BUSY for the socket of a live server; as grpc_files.
        """
        self._service = service
        self._streams = streams
        self._cameras = cameras
        self._actions = actions
        self._challenges = challenges
        self._models = models
        self._lock: SocketLock | None = None
        limit = config.max_receive_mib << 20
        # A picture is larger than the default windows and frames of HTTP/2: without these it stops
        # halfway and waits for the other side, a thread wake-up each time.
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=MAX_CALLS,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
                ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
                ("grpc.http2.max_frame_size", WINDOW_BYTES),
                ("grpc.http2.bdp_probe", 0),
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
                # A peer that lost its power would keep its stream open for ever.
                ("grpc.keepalive_time_ms", KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 2),
            ],
        )
        self._health = health.aio.HealthServicer()
        self._metrics = metrics
        handlers = (_Public(self._health), _Methods(self, Guard(config, metrics)))
        self._server.add_generic_rpc_handlers(handlers)
        self.port = self._bind_tcp(config) if config.bind else 0
        if path := configured_path(config.socket, "grpc.sock"):
            self._bind_socket(path)

    @property
    def socket(self) -> Path | None:
        """The path of the Unix socket."""
        return self._lock.path if self._lock else None

    async def start(self) -> None:
        """Answer; health says NOT_SERVING until `set_serving`."""
        await self.set_serving(is_serving=False)
        await self._server.start()

    async def set_serving(self, *, is_serving: bool) -> None:
        """Tell grpc.health.v1."""
        status = SERVING if is_serving else NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, status)

    async def stop(self, grace_s: float) -> None:
        """End, letting calls under way finish within the grace."""
        await self._server.stop(grace_s)
        if self._lock is not None:
            self._lock.remove_socket()
            self._lock.release()
            self._lock = None

    async def analyze(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.Analyze. The call's deadline holds in the queue, too."""
        deadline_ns = _deadline_ns(context)
        request = request_from_bytes(content, request_id=request_id, deadline_ns=deadline_ns)
        # A cancelled call cancels the wrapped future, which leaves the queue.
        analysis = await asyncio.wrap_future(self._service.submit(request))
        with self._metrics.serialising():
            return bytes_from_analysis(analysis)

    async def verify_actions(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.VerifyActions. The call's deadline holds all the way."""
        request = verify_from_bytes(content, request_id=request_id, deadline_ns=_deadline_ns(context))
        analysis = await asyncio.wrap_future(self._actions.submit(request))
        with self._metrics.serialising():
            return bytes_from_video(analysis)

    async def start_challenge(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.StartChallenge."""
        code, task_id = start_from_bytes(content)
        return bytes_from_challenge(self._challenges.start(code), task_id=task_id)

    async def get_status(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.GetStatus."""
        cameras = map(camera_message, self._cameras.reports)
        return bytes_from_status(self._service.status, cameras)

    def stream_frames(
        self, messages: AsyncIterator[bytes], request_id: str, context: Context
    ) -> AsyncGenerator[bytes, None]:
        """LivenessService.StreamFrames."""
        return stream_frames(self._streams, messages, self._challenges.live, self._write)

    def watch_camera(
        self, content: bytes, request_id: str, context: Context
    ) -> AsyncGenerator[bytes, None]:
        """LivenessService.WatchCamera."""
        return watch_camera(self._cameras, content, self._challenges.live, self._write)

    async def add_camera(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.AddCamera."""
        camera = camera_from_bytes(content, ErrorCode.CONFIG_ADD_FAIL)
        return bytes_from_camera(await asyncio.to_thread(self._cameras.add, camera))

    async def change_camera(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.ChangeCamera."""
        camera = camera_from_bytes(content, ErrorCode.CONFIG_UPDATE_FAIL)
        return bytes_from_camera(await asyncio.to_thread(self._cameras.change, camera))

    async def remove_camera(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.RemoveCamera."""
        await asyncio.to_thread(self._cameras.remove, removed_from_bytes(content))
        return bytes_from_removed()

    async def reload_models(self, content: bytes, request_id: str, context: Context) -> bytes:
        """LivenessService.ReloadModels; carried through although the caller may leave."""
        wish = wish_from_bytes(content)
        return bytes_from_reloaded(await asyncio.to_thread(self._models.reload, wish))

    def _write(self, answer: FrameAnswer, task_id: str) -> bytes:
        with self._metrics.serialising():
            return bytes_from_answer(answer, task_id)

    def _bind_tcp(self, config: GrpcConfig) -> int:
        files, address = grpc_files(config), config.bind
        try:
            port: int = (
                self._server.add_secure_port(address, grpc.ssl_server_credentials([files]))
                if files
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise SetupError(
                ErrorCode.INIT_FAIL,
                f"gRPC cannot listen on {address}: it is in use, or not an address of this box",
                hint="stop the other program, or set grpc.bind",
            ) from error
        return port

    def _bind_socket(self, path: Path) -> None:
        self._lock = SocketLock(path, "grpc.socket")
        # It takes connections from here on, and whoever has one may change cameras: a chmod is too late.
        mask = os.umask(0o177)
        try:
            self._lock.remove_stale()
            self._server.add_insecure_port(f"unix:{path}")
        except SetupError:
            self._lock.release()
            raise
        except RuntimeError as error:
            self._lock.release()
            raise self._lock.unusable("gRPC cannot listen there") from error
        finally:
            os.umask(mask)


def _deadline_ns(context: Context) -> int | None:
    """When the caller stops waiting, in monotonic nanoseconds."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic_ns() + int(remaining_s * 1e9)


class _Public(grpc.GenericRpcHandler):  # type: ignore[misc]
    """grpc.health.v1 and reflection: without credentials, and so with a bound on what they may hold."""

    def __init__(self, servicer: Any) -> None:
        self._handlers: dict[str, Any] = {}
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self)
        services = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            reflection.aio.ReflectionServicer(services), self
        )

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a call; None if it is not of these."""
        return self._handlers.get(handler_call_details.method)

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """What the generated code calls of a server: nothing is found by these here."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """What the generated code calls of a server, too."""
        for name, handler in handlers.items():
            self._handlers[f"/{service}/{name}"] = _bounded(handler)


def _bounded(handler: Any) -> Any:
    """So many calls of a method at once; whose one message has not come gives way to who comes later."""
    held = 0
    waiting: dict[asyncio.Task[Any], None] = {}

    @contextlib.asynccontextmanager
    async def place(context: Context) -> AsyncIterator[None]:
        nonlocal held
        if held >= MAX_PUBLIC_CALLS:
            if not waiting:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY)
            oldest = next(iter(waiting))
            del waiting[oldest]
            oldest.cancel()
        held += 1
        try:
            yield
        finally:
            held -= 1

    coded = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.stream_stream is not None:

        async def converse(messages: Any, context: Context) -> AsyncIterator[Any]:
            spoken = contextlib.aclosing(handler.stream_stream(messages, context))
            async with place(context), spoken as answers:
                async for answer in answers:
                    yield answer

        return grpc.stream_stream_rpc_method_handler(converse, **coded)
    behaviour = handler.unary_unary or handler.unary_stream
    as_stream = (
        grpc.stream_unary_rpc_method_handler
        if handler.unary_unary
        else grpc.stream_stream_rpc_method_handler
    )

    async def answer(messages: Any, context: Context) -> Any:
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in one
        async with place(context):
            waiting[task] = None
            try:
                request = await message_of(context, MESSAGE_TIMEOUT_S)
            except LiveGateError as error:
                await context.abort(grpc_status(error), error.text)
            except asyncio.CancelledError:
                if task in waiting:
                    raise
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY)
            finally:
                waiting.pop(task, None)
            return await behaviour(request, context)

    return as_stream(answer, **coded)


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the handler of a method by its full name; the last in line, so it also refuses."""

    def __init__(self, server: GrpcServer, guard: Guard) -> None:
        def unary(call: Any, *, is_admin: bool = False) -> Any:
            return grpc.stream_unary_rpc_method_handler(guard.wrap(call, is_admin=is_admin))

        self._handlers = {
            f"/{SERVICE}/Analyze": unary(server.analyze),
            f"/{SERVICE}/VerifyActions": unary(server.verify_actions),
            f"/{SERVICE}/StartChallenge": unary(server.start_challenge),
            f"/{SERVICE}/GetStatus": unary(server.get_status),
            f"/{SERVICE}/StreamFrames": grpc.stream_stream_rpc_method_handler(
                guard.wrap_stream(server.stream_frames)
            ),
            f"/{SERVICE}/WatchCamera": grpc.stream_stream_rpc_method_handler(
                guard.wrap_stream(server.watch_camera, has_one_message=True)
            ),
            f"/{SERVICE}/AddCamera": unary(server.add_camera, is_admin=True),
            f"/{SERVICE}/ChangeCamera": unary(server.change_camera, is_admin=True),
            f"/{SERVICE}/RemoveCamera": unary(server.remove_camera, is_admin=True),
            f"/{SERVICE}/ReloadModels": unary(server.reload_models, is_admin=True),
        }
        self._unknown = unary(unknown_method)

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a call; None for what is not ours: clients try what they know of gRPC's own."""
        method = handler_call_details.method
        return None if method.startswith("/grpc.") else self._handlers.get(method, self._unknown)
