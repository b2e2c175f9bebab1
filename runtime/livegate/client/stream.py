"""Streams and watches for threads: the steps of inbox.py under a lock, gRPC read by a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import grpc

from livegate.client.answers import StreamAnswer
from livegate.client.calls import FrameWriter
from livegate.client.codec import error_from_call
from livegate.client.inbox import FrameInbox, Inbox, Steps
from livegate.client.pictures import Picture, PixelFormat
from livegate.client.streamcodec import stream_answer_from_bytes
from livegate.core.errors import LiveGateError, as_livegate_error

S = TypeVar("S", bound="AnswerStream")
T = TypeVar("T")
JOIN_S = 5.0


class AnswerStream:
    """Answers as they come; iterate, or call `receive`. Use it in a with-block: its end cancels.

    As an iterator it ends when the box ends the stream in good order, and raises LiveGateError when it
    does not, after every answer that came before.
    """

    def __init__(
        self, inbox: Inbox, dial: Callable[[Iterator[bytes]], Any], timeout_s: float | None
    ) -> None:
        """`dial` begins the call with what is to be sent."""
        self._inbox = inbox
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        inbox.on_change = self._changed.notify_all
        self._call = dial(self._requests())
        self._reader = threading.Thread(target=self._read, name="livegate-answers", daemon=True)
        self._reader.start()

    def receive(self, *, timeout_s: float | None = None) -> StreamAnswer | None:
        """The next answer, None after the last; without a timeout, the stream's own holds.

        Raises:
            LiveGateError: what the box ended the stream with; TIMEOUT when it owes an answer for so
                long; CONNECTION_FAILURE or CONNECTION_CLOSE when it is gone.
        """
        return self._run(self._inbox.receive(self._timeout_s if timeout_s is None else timeout_s))

    def close(self) -> None:
        """Cancel what is under way."""
        self._over(None)
        self._call.cancel()
        self._reader.join(JOIN_S)

    def __iter__(self: S) -> S:
        """Itself."""
        return self

    def __next__(self) -> StreamAnswer:
        """As `receive`."""
        answer = self.receive()
        if answer is None:
            raise StopIteration
        return answer

    def __enter__(self: S) -> S:
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

    def _requests(self) -> Iterator[bytes]:
        return iter(())

    def _run(self, steps: Steps[T]) -> T:
        with self._changed:
            try:
                wait_s = next(steps)
                while True:
                    wait_s = steps.send(self._changed.wait(wait_s))
            except StopIteration as done:
                found: T = done.value
                return found

    def _read(self) -> None:
        """What the thread does: take in answers until the call ends."""
        try:
            for content in self._call:
                answer = stream_answer_from_bytes(content)
                with self._changed:
                    self._inbox.put(answer)
            with self._changed:
                self._inbox.hung_up()
        except grpc.RpcError as error:
            end = error_from_call(error)
            end.__cause__ = error
            self._over(end)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            self._over(as_livegate_error(error))
            self._call.cancel()

    def _over(self, end: LiveGateError | None) -> None:
        with self._changed:
            self._inbox.over(end)


class FrameStream(AnswerStream):
    """Frames out, one answer for each. For one thread that sends and one that takes, or one for both.

    No more than `max_unanswered` frames are without a taken answer: who sends and takes in one thread
    takes at least every so many frames.
    """

    def __init__(
        self, inbox: FrameInbox, dial: Callable[[Iterator[bytes]], Any], timeout_s: float
    ) -> None:
        """LivenessClient.stream makes it."""
        self._frames = inbox
        self._writer = FrameWriter()
        self._patience_s = timeout_s
        super().__init__(inbox, dial, timeout_s)

    @property
    def unanswered(self) -> int:
        """Frames whose answer was not taken yet."""
        with self._changed:
            return self._frames.unanswered

    def send(
        self,
        picture: Picture,
        *,
        frame_id: int | None = None,
        frame_pts: int = 0,
        pixel_format: PixelFormat = "BGR",
        captured_ns: int = 0,
        timeout_s: float | None = None,
    ) -> int:
        """Put a frame on its way as soon as there is room; its number, one more than the last or given.

        Args:
            picture: a file's bytes, an array of `pixel_format`, or a ticket.
            frame_id: comes back in the answer, as does `frame_pts`.
            captured_ns: when it was taken, time.monotonic_ns() of the box, for a client that runs
                there; without it a frame is as young as its arrival.
            timeout_s: how long to wait for room; without it, the stream's own.

        Raises:
            LiveGateError: TIMEOUT when too many frames stayed without a taken answer; PARAM_FAILURE for
                an array that is no picture; what the box ended the stream with.
        """
        content = self._writer.write(picture, frame_id, frame_pts, pixel_format, captured_ns)
        number = self._writer.frame_id
        self._run(self._frames.send(content, self._patience_s if timeout_s is None else timeout_s))
        return number

    def ask(
        self,
        picture: Picture,
        *,
        frame_id: int | None = None,
        frame_pts: int = 0,
        pixel_format: PixelFormat = "BGR",
        captured_ns: int = 0,
        timeout_s: float | None = None,
    ) -> StreamAnswer:
        """Send a frame and wait for its answer; only while no other frame is under way.

        Raises:
            LiveGateError: BUSY when one is; else as `send` and `receive`.
        """
        content = self._writer.write(picture, frame_id, frame_pts, pixel_format, captured_ns)
        return self._run(self._frames.ask(content, self._patience_s if timeout_s is None else timeout_s))

    def finish(self) -> None:
        """No more frames follow; the iteration ends with the answer to the last one."""
        with self._changed:
            self._frames.finish()

    def _requests(self) -> Iterator[bytes]:
        while (content := self._run(self._frames.next_request())) is not None:
            yield content
