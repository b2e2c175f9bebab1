"""What surrounds every call: request id, credentials, logs, metrics, errors in their gRPC manner."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from livegate.core.config import GrpcConfig
from livegate.core.errors import (
    AuthError,
    ErrorCode,
    LiveGateError,
    RequestError,
    as_livegate_error,
)
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
StreamCall = Callable[[Any, str, Context], AsyncGenerator[bytes, None]]
"""Message bytes, or an iterator of them, request id and context in; a stream of message bytes out."""
MESSAGE_TIMEOUT_S = 30.0
"""How long the one message of a call may take to come: 16 MiB over 5 Mbit/s, and longer where
`grpc.max_receive_mib` is more."""
LEAVING_S = 0.05
"""Who leaves ends his messages first; so long may it take until his call is cancelled, too."""


@dataclass
class Admitted:
    """A call that may go on."""

    request_id: str
    started_s: float | None
    """When its message was there; None for a stream: how long that lives says nothing."""


class Guard:
    """Wraps calls; one for the whole face."""

    def __init__(self, config: GrpcConfig, metrics: Metrics) -> None:
        """Keep what every call needs."""
        self._config = config
        self._metrics = metrics
        self._message_timeout_s = MESSAGE_TIMEOUT_S * max(1.0, config.max_receive_mib / 16)
        self._streams = 0

    def wrap(self, call: Call, *, is_admin: bool = False) -> Callable[[Any, Context], Awaitable[bytes]]:
        """A handler of one message around a call, for everybody or for those who may change the server.

        It is to be registered as one of a stream: a handler of one message would be called when that
        is there, and whoever sends none, without a token, would hold a place meanwhile.
        """
        require = self._require_admin if is_admin else self._require_user

        async def handler(messages: Any, context: Context) -> bytes:
            async with self._guarded(context, require) as this:
                content = await message_of(context, self._message_timeout_s)
                this.started_s = time.perf_counter()
                answer = await call(content, this.request_id, context)
                context.set_trailing_metadata(((REQUEST_ID, this.request_id),))
            return answer

        return handler

    def wrap_stream(
        self, call: StreamCall, *, has_one_message: bool = False
    ) -> Callable[[Any, Context], AsyncIterator[bytes]]:
        """A handler that answers with a stream; as many at once as the configuration allows."""

        async def handler(messages: Any, context: Context) -> AsyncIterator[bytes]:
            async with self._guarded(context, self._require_user, is_stream=True) as this:
                with self._place():
                    content = messages
                    if has_one_message:
                        content = await message_of(context, self._message_timeout_s)
                    async with contextlib.aclosing(call(content, this.request_id, context)) as answers:
                        async for answer in answers:
                            yield answer
                context.set_trailing_metadata(((REQUEST_ID, this.request_id),))

        return handler

    @contextlib.asynccontextmanager
    async def _guarded(
        self,
        context: Context,
        require: Callable[[dict[str, Any], Context], None],
        *,
        is_stream: bool = False,
    ) -> AsyncIterator[Admitted]:
        """Credentials, count, log, and errors in gRPC's manner."""
        given = dict(context.invocation_metadata() or ())
        this_id = request_id(given.get(REQUEST_ID))
        this = Admitted(this_id, None if is_stream else time.perf_counter())
        try:
            require(given, context)
            yield this
        except (asyncio.CancelledError, GeneratorExit):
            remaining_s = context.time_remaining()
            # The caller's clock ends his call, some milliseconds before ours would.
            is_late = remaining_s is not None and remaining_s <= LEAVING_S
            code = ErrorCode.TIMEOUT if is_late else ErrorCode.CONNECTION_CLOSE
            self._count(code, this.started_s)
            log.info("request given up", code=int(code), request_id=this_id)
            raise
        except Exception as error:
            failure = as_livegate_error(error)
            self._count(failure.code, this.started_s)
            _log(failure, error, this_id)
            await _abort(context, failure, this_id)
            raise AssertionError("abort returned") from error
        self._count(ErrorCode.OK, this.started_s)

    def _require_user(self, given: dict[str, Any], context: Context) -> None:
        tokens = self._config.tokens
        require_bearer(given.get("authorization"), tokens and (*tokens, *self._config.admin_tokens))

    def _require_admin(self, given: dict[str, Any], context: Context) -> None:
        """Whoever may open the Unix socket is the operator; elsewhere a token of its own is needed."""
        if context.peer().startswith("unix:"):
            self._require_user(given, context)
        elif not self._config.admin_tokens:
            raise AuthError(
                "this call changes the server, and no admin token is configured",
                hint="use the Unix socket, or set grpc.admin_tokens",
            )
        else:
            require_bearer(given.get("authorization"), self._config.admin_tokens)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        limit = self._config.max_streams
        if self._streams >= limit:
            raise RequestError(
                ErrorCode.FULL,
                f"{limit} streams are open, there may be no more",
                hint="close one, or raise grpc.max_streams",
            )
        self._streams += 1
        self._metrics.streams.set(self._streams)
        try:
            yield
        finally:
            self._streams -= 1
            self._metrics.streams.set(self._streams)

    def _count(self, code: ErrorCode, started_s: float | None) -> None:
        self._metrics.requests.labels(FACE, int(code)).inc()
        if started_s is not None:
            self._metrics.request_seconds.labels(FACE).observe(time.perf_counter() - started_s)


async def message_of(context: Context, timeout_s: float) -> Any:
    """The one message of a call that was registered as a stream.

    Raises:
        RequestError: PARAM_FAILURE, the caller ended the call without one.
        LiveGateError: TIMEOUT, it did not come in time.
        CancelledError: the caller has left, or his deadline has passed.
    """
    is_late = False
    task = asyncio.current_task()
    assert task is not None  # a coroutine runs in one

    def give_up() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(timeout_s, give_up)
    try:
        message = await context.read()
    except asyncio.CancelledError:
        if is_late:
            text = f"the call's message did not come within {timeout_s:g} s"
            raise LiveGateError(ErrorCode.TIMEOUT, text) from None
        raise
    finally:
        timer.cancel()
    if message is grpc.aio.EOF:
        await asyncio.sleep(LEAVING_S)
        remaining_s = context.time_remaining()
        if context.cancelled() or (remaining_s is not None and remaining_s <= LEAVING_S):
            raise asyncio.CancelledError
        raise RequestError(ErrorCode.PARAM_FAILURE, "the call has no message")
    return message


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
