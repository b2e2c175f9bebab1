"""What surrounds every call: request id, credentials, logs, metrics, errors in their gRPC manner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from livegate.core.config import GrpcConfig
from livegate.core.errors import ErrorCode, LiveGateError, as_livegate_error
from livegate.core.ids import request_id
from livegate.core.secrets import require_bearer
from livegate.core.telemetry import Metrics, get_logger
from livegate.grpcapi.codec import error_trailer, grpc_status

log = get_logger("livegate.grpc")
FACE = "grpc"
REQUEST_ID = "x-request-id"
Context = Any
"""grpc.aio.ServicerContext, which is generic in ways that its own stubs do not agree on."""
Call = Callable[[bytes, str, Context], Awaitable[bytes]]
"""Message bytes, request id and context in; message bytes out."""


class Guard:
    """Wraps calls; one for the whole face."""

    def __init__(self, config: GrpcConfig, metrics: Metrics) -> None:
        """Keep what every call needs."""
        self._config = config
        self._metrics = metrics

    def wrap(self, call: Call) -> Callable[[bytes, Context], Awaitable[bytes]]:
        """A unary handler around a call."""

        async def handler(content: bytes, context: Context) -> bytes:
            started_s = time.perf_counter()
            given = dict(context.invocation_metadata() or ())
            this_id = request_id(given.get(REQUEST_ID))
            try:
                require_bearer(given.get("authorization"), self._config.tokens)
                answer = await call(content, this_id, context)
            except asyncio.CancelledError:
                remaining_s = context.time_remaining()
                is_late = remaining_s is not None and remaining_s <= 0
                code = ErrorCode.TIMEOUT if is_late else ErrorCode.CONNECTION_CLOSE
                self._count(code, started_s)
                log.info("request given up", code=int(code), request_id=this_id)
                raise
            except Exception as error:
                failure = as_livegate_error(error)
                self._count(failure.code, started_s)
                _log(failure, error, this_id)
                await _abort(context, failure, this_id)
                raise AssertionError("abort returned") from error
            self._count(ErrorCode.OK, started_s)
            context.set_trailing_metadata(((REQUEST_ID, this_id),))
            return answer

        return handler

    def _count(self, code: ErrorCode, started_s: float) -> None:
        self._metrics.requests.labels(FACE, int(code)).inc()
        self._metrics.request_seconds.labels(FACE).observe(time.perf_counter() - started_s)


async def _abort(context: Context, failure: LiveGateError, this_id: str) -> None:
    trailer = ((REQUEST_ID, this_id), error_trailer(failure))
    await context.abort(grpc_status(failure), failure.text, trailer)


def _log(failure: LiveGateError, error: Exception, this_id: str) -> None:
    event = {"code": int(failure.code), "request_id": this_id, "why": failure.message}
    if failure.code is ErrorCode.INNER:
        log.error("request failed", **event, exc_info=error)
    else:
        log.info("request refused", **event)


async def unknown_method(content: bytes, this_id: str, context: Context) -> bytes:
    """What answers a method that this server does not have."""
    raise LiveGateError(
        ErrorCode.UNREALIZED,
        "this server has no such method",
        hint="reflection lists the methods",
    )
