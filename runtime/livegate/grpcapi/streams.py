"""The calls that stream: StreamFrames in both directions, WatchCamera in one.

A stream holds a bounded number of frames that were not answered yet. Who does not read its answers is
not read from: HTTP/2 then stops the sender, and neither side's memory grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from livegate.core.errors import (
    DeadlineError,
    ErrorCode,
    LiveGateError,
    QueueError,
    RequestError,
)
from livegate.core.results import FrameAnswer
from livegate.grpcapi.streamcodec import (
    StreamOpen,
    TicketFrame,
    frame_from_bytes,
    open_from_bytes,
    watched_from_bytes,
)
from livegate.pipelines.challenge import LiveChallenge
from livegate.service.cameras import Cameras
from livegate.service.streams import FrameStream, StreamFrame, Streams

TakeUp = Callable[[str], LiveChallenge]
"""Gives the challenge of a nonce to the one who answers it; Challenges.live."""
Write = Callable[[FrameAnswer, str], bytes]
"""Makes the message of an answer, with the task's id; bytes_from_answer."""
OPEN_TIMEOUT_S = 10.0
"""For `open` to come: a stream that is none must not keep a place."""
PAST_S = 0.5
"""After a deadline, so that by every clock it has passed."""
MAX_UNANSWERED = 4
"""Frames of one stream in memory: one is looked at, the others wait or have answers not sent yet."""
MAX_UNANSWERED_NEWEST = 16
"""Where the newest wins, all but three of them were replaced and hold no picture any more; with fewer,
the sender would be stopped during a long look, with a picture that grows old in its hands."""


async def stream_frames(
    streams: Streams, messages: AsyncIterator[bytes], take_up: TakeUp, write: Write
) -> AsyncGenerator[bytes, None]:
    """LivenessService.StreamFrames.

    Raises:
        LiveGateError: what is wrong with the stream as a whole; what is wrong with one frame stands in
            its answer.
    """
    opening = open_from_bytes(await _first(messages))
    challenge = _for(opening.challenge, take_up)
    stream = streams.open(opening.code, opening.algo_tasks, opening.view, challenge)
    conveyor = _Conveyor(streams, stream, opening)
    loop = asyncio.get_running_loop()
    stream.on_end = lambda error: _in(loop, lambda: conveyor.end(error))
    reader = asyncio.ensure_future(conveyor.read(messages))
    deadline = _let_go_in_time(loop, stream.challenge)
    try:
        async for answer in conveyor.answers():
            yield write(answer, opening.task_id)
        await reader  # its error, if it had one
    finally:
        if deadline is not None:
            deadline.cancel()
        streams.close(stream)
        reader.cancel()
        await conveyor.clear(reader)


def _let_go_in_time(
    loop: asyncio.AbstractEventLoop, challenge: LiveChallenge | None
) -> asyncio.TimerHandle | None:
    """A stream that is open and silent must not keep models that serve no more."""
    left_s = challenge.left_s if challenge is not None else None
    if challenge is None or left_s is None:
        return None
    return loop.call_later(left_s + PAST_S, challenge.let_go)


async def _first(messages: AsyncIterator[bytes]) -> bytes:
    # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the message.
    opening = asyncio.ensure_future(anext(messages, None))
    try:
        done, _ = await asyncio.wait({opening}, timeout=OPEN_TIMEOUT_S)
    finally:
        opening.cancel()
    if not done:
        raise DeadlineError(
            f"the stream was not opened within {OPEN_TIMEOUT_S:g} s", hint="send `open` at once"
        )
    first = opening.result()
    if first is None:
        raise RequestError(
            ErrorCode.PARAM_FAILURE, "the stream ended before it began", hint="send `open` first"
        )
    return first


async def watch_camera(
    cameras: Cameras, content: bytes, take_up: TakeUp, write: Write
) -> AsyncGenerator[bytes, None]:
    """LivenessService.WatchCamera.

    Raises:
        LiveGateError: NO_EXIST for an unknown camera; EXIT when no more frames will come.
    """
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    camera, nonce = watched_from_bytes(content)
    watch = cameras.watch(camera, lambda: _in(loop, news.set), _for(nonce, take_up))
    try:
        while True:
            answer = watch.take()
            if answer is None:
                await _until(news, watch.left_s)
                watch.expire()
            else:
                yield write(answer, "")
    finally:
        cameras.unwatch(watch)


def _for(nonce: str, take_up: TakeUp) -> Callable[[], LiveChallenge] | None:
    """How a stream takes up its challenge, when all else is well with it; None without one."""
    return functools.partial(take_up, nonce) if nonce else None


async def _until(news: asyncio.Event, left_s: float | None) -> None:
    """Wait for news, or for so long."""
    timer = None if left_s is None else asyncio.get_running_loop().call_later(left_s, news.set)
    try:
        await news.wait()
    finally:
        if timer is not None:
            timer.cancel()
    news.clear()


def _in(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have something done in an event loop, from any thread."""
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the call
        loop.call_soon_threadsafe(call)


@dataclass(slots=True, eq=False)
class _Entry:
    """A frame on its way; its answer."""

    frame: StreamFrame
    answer: asyncio.Future[FrameAnswer]


class _Conveyor:
    """Frames in, answers out, in order; one frame is looked at at a time."""

    def __init__(self, streams: Streams, stream: FrameStream, opening: StreamOpen) -> None:
        self._streams = streams
        self._stream = stream
        self._newest_wins = opening.newest_wins
        self._room = asyncio.Semaphore(MAX_UNANSWERED_NEWEST if opening.newest_wins else MAX_UNANSWERED)
        self._line: asyncio.Queue[asyncio.Future[FrameAnswer] | LiveGateError | None] = asyncio.Queue()
        self._waiting: _Entry | None = None
        self._worker: asyncio.Task[None] | None = None
        # Whose frames may hold a slot of the frame queue.
        self._unanswered: set[_Entry] = set()

    async def read(self, messages: AsyncIterator[bytes]) -> None:
        """Take frames in, as long as there is room for their answers."""
        try:
            await self._room.acquire()
            async for content in messages:
                await self._enter(frame_from_bytes(content))
                await self._room.acquire()
        finally:
            self._line.put_nowait(None)

    async def answers(self) -> AsyncIterator[FrameAnswer]:
        """In the order of the frames."""
        while (answer := await self._line.get()) is not None:
            if isinstance(answer, LiveGateError):
                raise answer
            yield await answer
            self._room.release()

    def end(self, error: LiveGateError) -> None:
        """The server stops: what was taken in is still answered, then the stream ends."""
        self._line.put_nowait(error)

    async def clear(self, reader: asyncio.Task[None]) -> None:
        """The stream is over: nobody waits for these any more. `reader` was cancelled."""
        if self._worker is not None:
            self._worker.cancel()
        tasks = (reader, self._worker) if self._worker is not None else (reader,)
        try:
            await asyncio.wait(tasks)
        finally:
            self._waiting = None
            for entry in self._unanswered:
                entry.frame.picture.discard()
            for end in (*tasks, *self._unread()):
                if end.done() and not end.cancelled():
                    end.exception()  # looked at: nobody else will

    def _unread(self) -> Iterator[asyncio.Future[Any]]:
        while not self._line.empty():
            answer = self._line.get_nowait()
            if isinstance(answer, asyncio.Future):
                yield answer

    async def _enter(self, incoming: StreamFrame | TicketFrame) -> None:
        answer: asyncio.Future[FrameAnswer] = asyncio.get_running_loop().create_future()
        self._line.put_nowait(answer)
        try:
            frame = self._claimed(incoming)
        except RequestError as error:
            answer.set_result(self._stream.fail(incoming.frame_id, incoming.frame_pts, error))
            return
        entry = _Entry(frame, answer)
        self._unanswered.add(entry)
        if self._worker is not None and not self._worker.done():
            if self._newest_wins:
                replaced, self._waiting = self._waiting, entry
                if replaced is not None:
                    self._settle(replaced, self._stream.skip(replaced.frame, _replaced()))
                return
            await asyncio.wait({self._worker})
        self._worker = asyncio.ensure_future(self._work(entry))

    async def _work(self, entry: _Entry | None) -> None:
        """Have a frame looked at, then the one that waits."""
        while entry is not None:
            try:
                self._settle(entry, await self._answered(entry.frame))
            except Exception as error:  # noqa: BLE001 - it ends the stream where its answer is awaited
                self._settle(entry, error)
            entry, self._waiting = self._waiting, None

    def _settle(self, entry: _Entry, answer: FrameAnswer | Exception) -> None:
        """Give an answer to whoever awaits it; a stream that was cancelled cancelled that, too."""
        self._unanswered.discard(entry)
        if entry.answer.done():
            return
        if isinstance(answer, Exception):
            entry.answer.set_exception(answer)
        else:
            entry.answer.set_result(answer)

    async def _answered(self, frame: StreamFrame) -> FrameAnswer:
        try:
            return await asyncio.wrap_future(self._stream.submit(frame))
        except LiveGateError as error:
            if error.code is ErrorCode.QUEUE_STOPED:
                raise
            is_busy = error.code is ErrorCode.QUEUE_FULL
            return self._stream.skip(frame, error) if is_busy else self._stream.refuse(frame, error)

    def _claimed(self, incoming: StreamFrame | TicketFrame) -> StreamFrame:
        if isinstance(incoming, StreamFrame):
            return incoming
        picture = self._streams.claim(
            incoming.segment_id,
            incoming.ticket,
            captured_ns=incoming.captured_ns,
            frame_id=incoming.frame_id,
        )
        return StreamFrame(incoming.frame_id, incoming.frame_pts, picture)


def _replaced() -> QueueError:
    return QueueError(ErrorCode.QUEUE_FULL, "a newer frame took its place")
