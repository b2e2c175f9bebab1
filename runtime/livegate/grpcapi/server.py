"""The gRPC server: methods by name, health, reflection, TCP and a guarded Unix socket.

Handlers get the message's bytes and decode them in the codec, so that a message that is not one of
ours leaves with an error of ours. Only a message above the receive limit is refused by the
transport itself, before a handler exists: RESOURCE_EXHAUSTED without details.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from livegate.core.config import GrpcConfig
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.socketlock import SocketLock, configured_path
from livegate.core.telemetry import Metrics
from livegate.grpcapi.challengecodec import bytes_from_challenge, start_from_bytes
from livegate.grpcapi.codec import (
    SERVICE,
    bytes_from_analysis,
    bytes_from_reloaded,
    bytes_from_status,
    request_from_bytes,
    wish_from_bytes,
)
from livegate.grpcapi.interceptors import Context, Guard, unknown_method
from livegate.grpcapi.streamcodec import (
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
MAX_HEALTH_WATCHERS = 16
KEEPALIVE_MS = 20_000
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
            SetupError: INIT_FAIL for the address, BUSY for the socket of a live server.
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
                # A peer that lost its power would keep its stream open for ever.
                ("grpc.keepalive_time_ms", KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 2),
            ],
        )
        self._health = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server)
        self._metrics = metrics
        self._server.add_generic_rpc_handlers((_Methods(self, Guard(config, metrics)),))
        self.port = self._bind_tcp(config.bind) if config.bind else 0
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
        return stream_frames(self._streams, messages, self._challenges.live)

    def watch_camera(
        self, content: bytes, request_id: str, context: Context
    ) -> AsyncGenerator[bytes, None]:
        """LivenessService.WatchCamera."""
        return watch_camera(self._cameras, content, self._challenges.live)

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

    def _bind_tcp(self, address: str) -> int:
        try:
            port: int = self._server.add_insecure_port(address)
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
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            self._lock.release()
            raise self._lock.unusable("gRPC cannot listen there") from error
        finally:
            os.umask(mask)


def _deadline_ns(context: Context) -> int | None:
    """When the caller stops waiting, in monotonic nanoseconds."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic_ns() + int(remaining_s * 1e9)


class _Health(health.aio.HealthServicer):  # type: ignore[misc]
    """grpc.health.v1 without credentials, and so with a bound on what it may keep."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers = 0

    async def Watch(self, request: Any, context: Context) -> None:  # noqa: N802 - the contract's name
        if self._watchers >= MAX_HEALTH_WATCHERS:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_HEALTH_WATCHERS} watch the health already"
            )
        self._watchers += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watchers -= 1


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the handler of a method by its full name; the last in line, so it also refuses."""

    def __init__(self, server: GrpcServer, guard: Guard) -> None:
        def unary(call: Any, *, is_admin: bool = False) -> Any:
            return grpc.unary_unary_rpc_method_handler(guard.wrap(call, is_admin=is_admin))

        self._handlers = {
            f"/{SERVICE}/Analyze": unary(server.analyze),
            f"/{SERVICE}/VerifyActions": unary(server.verify_actions),
            f"/{SERVICE}/StartChallenge": unary(server.start_challenge),
            f"/{SERVICE}/GetStatus": unary(server.get_status),
            f"/{SERVICE}/StreamFrames": grpc.stream_stream_rpc_method_handler(
                guard.wrap_stream(server.stream_frames)
            ),
            f"/{SERVICE}/WatchCamera": grpc.unary_stream_rpc_method_handler(
                guard.wrap_stream(server.watch_camera)
            ),
            f"/{SERVICE}/AddCamera": unary(server.add_camera, is_admin=True),
            f"/{SERVICE}/ChangeCamera": unary(server.change_camera, is_admin=True),
            f"/{SERVICE}/RemoveCamera": unary(server.remove_camera, is_admin=True),
            f"/{SERVICE}/ReloadModels": unary(server.reload_models, is_admin=True),
        }
        self._unknown = unary(unknown_method)

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a call."""
        return self._handlers.get(handler_call_details.method, self._unknown)
