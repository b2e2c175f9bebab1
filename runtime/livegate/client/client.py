"""LivenessClient: one call for a verdict on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import grpc

from livegate.client.codec import (
    Answer,
    answer_from_bytes,
    error_from_call,
    request_bytes,
    status_from_bytes,
)

SILENT_LIVENESS = 1031
FACE_DETECTION = 9001
CODE_ANALYZE = 1019
MAX_MESSAGE_BYTES = 64 << 20
_METHOD = "/livegate.v1.LivenessService/"


class LivenessClient:
    """Talks to a box over gRPC: `host:port`, or `unix:/path/to/socket`. Safe for many threads."""

    def __init__(self, target: str = "127.0.0.1:50051", *, token: str = "") -> None:
        """Connect on the first call; `token` is one of the server's grpc.tokens."""
        limits = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ]
        self._channel = grpc.insecure_channel(target, options=limits)
        self._analyze = self._channel.unary_unary(f"{_METHOD}Analyze")
        self._status = self._channel.unary_unary(f"{_METHOD}GetStatus")
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

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
        pictures = [images] if isinstance(images, bytes) else list(images)
        content = request_bytes(CODE_ANALYZE, task_id, algo_tasks, pictures)
        return answer_from_bytes(self._call(self._analyze, content, timeout_s, request_id))

    def status(self, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """How the box is: version, state, queue, and what runs on which provider.

        Raises:
            LiveGateError: as `analyze`.
        """
        return status_from_bytes(self._call(self._status, b"", timeout_s, ""))

    def close(self) -> None:
        """Close the connection."""
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

    def _call(self, method: Any, content: bytes, timeout_s: float, request_id: str) -> bytes:
        metadata = (*self._metadata, *((("x-request-id", request_id),) if request_id else ()))
        try:
            answer: bytes = method(content, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise error_from_call(error) from error
        return answer
