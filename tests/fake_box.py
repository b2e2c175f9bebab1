"""A gRPC server in this process that does what a test says, in the manner of the contract."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from livegate.core.errors import ErrorCode, LiveGateError
from livegate.grpcapi.codec import SERVICE, error_trailer, grpc_status
from livegate.v1 import liveness_pb2 as pb
from support import HANG_S

Behaviour = Callable[[Iterator[pb.StreamRequest], grpc.ServicerContext], Iterator[bytes]]
KINDS = {
    "Analyze": pb.AnalyzeRequest,
    "VerifyActions": pb.VerifyActionsRequest,
    "StartChallenge": pb.StartChallengeRequest,
    "GetStatus": pb.GetStatusRequest,
    "AddCamera": pb.CameraSettings,
    "ChangeCamera": pb.CameraSettings,
    "RemoveCamera": pb.RemoveCameraRequest,
    "ReloadModels": pb.ReloadModelsRequest,
}


def answer_to(frame: pb.StreamFrame, code: ErrorCode = ErrorCode.OK) -> bytes:
    """The answer to a frame, or what went wrong with it."""
    words = {"task_code": int(code), "msg": f"{code.english}: why"} if code else {"gate": 2}
    return pb.StreamResponse(
        code=9022, frame_id=frame.frame_id, frame_pts=frame.frame_pts, **words
    ).SerializeToString()


def in_order(requests: Iterator[pb.StreamRequest], context: grpc.ServicerContext) -> Iterator[bytes]:
    """Each frame its answer; the picture `bad` is 1028."""
    for request in requests:
        is_bad = request.frame.image == b"bad"
        yield answer_to(request.frame, ErrorCode.DECODE_FAIL if is_bad else ErrorCode.OK)


class FakeBox:
    """Listens on a port of its own while in its with-block.

    `script` has, for a method, what its calls are answered with, one after the other: a message, or an
    error. `stream` and `watch` are what the streaming methods do after the first message.
    """

    def __init__(self, port: int = 0) -> None:
        """Behave well."""
        self.script: dict[str, deque[Any]] = {}
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.stream: Behaviour = in_order
        self.watch: Callable[[pb.WatchCameraRequest, grpc.ServicerContext], Iterator[bytes]]
        self.opened: pb.StreamOpen | None = None
        self.ended = threading.Event()
        self.released = threading.Event()
        self._server = grpc.server(
            ThreadPoolExecutor(16), handlers=(_Methods(self),), options=(("grpc.so_reuseport", 0),)
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> FakeBox:
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Go away at once, whatever is under way."""
        stopped = self._server.stop(None)
        self.released.set()
        assert stopped.wait(HANG_S), "a call does not end"

    def unary(self, method: str, content: bytes, context: grpc.ServicerContext) -> bytes:
        metadata = {str(k): str(v) for k, v in context.invocation_metadata()}
        self.asked.append((method, KINDS[method].FromString(content), metadata))
        answer = self.script[method].popleft()
        if isinstance(answer, LiveGateError):
            fail(context, answer)
        return answer.SerializeToString()

    def stream_frames(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        context.add_callback(self.ended.set)
        messages = (pb.StreamRequest.FromString(content) for content in requests)
        self.opened = next(messages).open
        yield from self.stream(messages, context)

    def watch_camera(self, content: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        context.add_callback(self.ended.set)
        yield from self.watch(pb.WatchCameraRequest.FromString(content), context)


def fail(context: grpc.ServicerContext, error: LiveGateError) -> None:
    """End the call as LiveGate does: status, ErrorInfo, RetryInfo."""
    context.set_trailing_metadata((error_trailer(error),))
    context.abort(grpc_status(error), error.text)


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, box: FakeBox) -> None:
        def unary(method: str) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                lambda content, context: box.unary(method, content, context)
            )

        self._handlers = {
            **{f"/{SERVICE}/{method}": unary(method) for method in KINDS},
            f"/{SERVICE}/StreamFrames": grpc.stream_stream_rpc_method_handler(box.stream_frames),
            f"/{SERVICE}/WatchCamera": grpc.unary_stream_rpc_method_handler(box.watch_camera),
        }

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)
