"""How an asyncio call really ended.

A server that ends a stream while the client writes is right to do so, and its status arrives; but
grpc.aio answers the write that failed by putting INTERNAL, "Internal error from Core", in the place of
that status, before or after it came (grpc/grpc#36066; pull request 43486 would mend it). The caller
would hear 1001 instead of "one stream too many". Every status passes by the done callbacks at the moment
it is set, so whoever listens there hears the box's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc

T = TypeVar("T")
OF_THE_LIBRARY = "Internal error from Core"
PATIENCE_S = 1.0
"""How long the box's status may come after the library's; it may also never come."""


class CallEnd:
    """Listens to a call from its beginning."""

    def __init__(self, call: Any) -> None:
        """`call` has just begun."""
        self._told: asyncio.Future[grpc.RpcError] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._hear)

    async def error(self, raised: grpc.RpcError) -> grpc.RpcError:
        """What the box ended the call with, if that is not what gRPC raised."""
        if _is_of_the_library(raised):
            await asyncio.wait((self._told,), timeout=PATIENCE_S)
        return self._told.result() if self._told.done() else raised

    def _hear(self, call: Any) -> None:
        parts = [
            _at_once(part)
            for part in (call.code(), call.initial_metadata(), call.trailing_metadata(), call.details())
        ]
        if parts[0] is None or self._told.done():
            return
        error = grpc.aio.AioRpcError(*parts)
        if not _is_of_the_library(error):
            self._told.set_result(error)


def _is_of_the_library(error: Any) -> bool:
    return error.code() is grpc.StatusCode.INTERNAL and error.details() == OF_THE_LIBRARY


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T | None:
    """What a coroutine returns that need not wait; None if it would."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    coroutine.close()
    return None
