"""Streams and watches for asyncio: the steps of inbox.py in an event loop, gRPC read by a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, TypeVar

import grpc

from livegate.client.aiostatus import CallEnd
from livegate.client.answers import StreamAnswer
from livegate.client.calls import FrameWriter, client_closed
from livegate.client.codec import error_from_call
from livegate.client.inbox import FrameInbox, Inbox, Steps
from livegate.client.pictures import Picture, PixelFormat
from livegate.client.streamcodec import stream_answer_from_bytes
from livegate.core.errors import as_livegate_error

S = TypeVar("S", bound="AsyncAnswerStream")
T = TypeVar("T")


class Change:
    """Several tasks wait for a change of one state."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake them all."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, timeout_s: float | None) -> bool:
        """Until the next `notify`; False when it did not come in time."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            # Not wait_for: it turns a timeout into a cancellation, and 3.10's may lose one.
            await asyncio.wait((waiting,), timeout=timeout_s)
        finally:
            self._waiting.discard(waiting)
        return waiting.done()


class AsyncAnswerStream:
    """AnswerStream with `async for`, `async with` and `await`; made inside a running event loop."""

    def __init__(
        self, inbox: Inbox, dial: Callable[[AsyncIterator[bytes]], Any], timeout_s: float | None
    ) -> None:
        """`dial` begins the call with what is to be sent."""
        self._inbox = inbox
        self._timeout_s = timeout_s
        self._change = Change()
        inbox.on_change = self._change.notify
        self._call = dial(self._requests())
        self._end = CallEnd(self._call)
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def receive(self, *, timeout_s: float | None = None) -> StreamAnswer | None:
        """As AnswerStream.receive."""
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        return await self._run(self._inbox.receive(limit_s))

    async def close(self) -> None:
        """Cancel what is under way."""
        self._inbox.over(None)
        self._call.cancel()
        await asyncio.wait((self._reader,))

    def __aiter__(self: S) -> S:
        """Itself."""
        return self

    async def __anext__(self) -> StreamAnswer:
        """As `receive`."""
        answer = await self.receive()
        if answer is None:
            raise StopAsyncIteration
        return answer

    async def __aenter__(self: S) -> S:
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

    async def _requests(self) -> AsyncIterator[bytes]:
        return
        yield b""  # makes it a generator

    async def _run(self, steps: Steps[T]) -> T:
        try:
            wait_s = next(steps)
            while True:
                wait_s = steps.send(await self._change.wait(wait_s))
        except StopIteration as done:
            found: T = done.value
            return found

    async def _read(self) -> None:
        """What the task does: take in answers until the call ends."""
        try:
            async for content in self._call:
                self._inbox.put(stream_answer_from_bytes(content))
            self._inbox.hung_up()
        except grpc.RpcError as error:
            cause = await self._end.error(error)
            end = error_from_call(cause)
            end.__cause__ = cause
            self._inbox.over(end)
        except asyncio.CancelledError:
            self._inbox.over(client_closed())  # gRPC raises it in whoever reads; `close` was told before
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            self._inbox.over(as_livegate_error(error))
            self._call.cancel()


class AsyncFrameStream(AsyncAnswerStream):
    """FrameStream for asyncio: for one task that sends and one that takes, or one for both."""

    def __init__(
        self, inbox: FrameInbox, dial: Callable[[AsyncIterator[bytes]], Any], timeout_s: float
    ) -> None:
        """AsyncLivenessClient.stream makes it."""
        self._frames = inbox
        self._writer = FrameWriter()
        self._patience_s = timeout_s
        super().__init__(inbox, dial, timeout_s)

    @property
    def unanswered(self) -> int:
        """Frames whose answer was not taken yet."""
        return self._frames.unanswered

    async def send(
        self,
        picture: Picture,
        *,
        frame_id: int | None = None,
        frame_pts: int = 0,
        pixel_format: PixelFormat = "BGR",
        captured_ns: int = 0,
        timeout_s: float | None = None,
    ) -> int:
        """As FrameStream.send."""
        content = self._writer.write(picture, frame_id, frame_pts, pixel_format, captured_ns)
        number = self._writer.frame_id
        limit_s = self._patience_s if timeout_s is None else timeout_s
        await self._run(self._frames.send(content, limit_s))
        return number

    async def ask(
        self,
        picture: Picture,
        *,
        frame_id: int | None = None,
        frame_pts: int = 0,
        pixel_format: PixelFormat = "BGR",
        captured_ns: int = 0,
        timeout_s: float | None = None,
    ) -> StreamAnswer:
        """As FrameStream.ask."""
        content = self._writer.write(picture, frame_id, frame_pts, pixel_format, captured_ns)
        limit_s = self._patience_s if timeout_s is None else timeout_s
        return await self._run(self._frames.ask(content, limit_s))

    def finish(self) -> None:
        """As FrameStream.finish."""
        self._frames.finish()

    async def _requests(self) -> AsyncIterator[bytes]:
        while (content := await self._run(self._frames.next_request())) is not None:
            yield content
