"""What a camera process imports to hand over frames without copying them.

    with FrameProducer("/run/livegate/frames.sock", camera="door", width=1280, height=720) as producer:
        while True:
            with producer.loan() as pixels:     # a slot in the server's memory, yours alone
                camera.read_into(pixels)        # published at the end of the block
            for result in producer.results():
                ...

A slot may also go into a stream of LivenessClient instead of the camera's queue:

    with producer.ticket() as ticket:
        camera.read_into(ticket.pixels)
    stream.send(ticket)                         # now it is the server's; or producer.give_back(ticket)

A block that is left by an exception publishes nothing. `pixels` is not to be touched after its block:
the server reads there. One thread at a time; one producer for each camera.

A frame that was answered mostly has given its slot back to the camera; `loan` then waits for nobody.

A producer whose server went away says so (1024) at every call. It does not reconnect by itself, because
a camera that quietly skips frames looks like a camera that sees nobody: call `reconnect`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, SupportsIndex

from livegate.client.line import FrameLine, gone
from livegate.client.pictures import FrameTicket
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.frame import Pixels
from livegate.shm.geometry import SlotGeometry
from livegate.shm.layout import (
    CAP_RELOAN,
    CAP_RESULTS,
    Grant,
    Hello,
    PixelFormat,
    Publish,
    Release,
    Returned,
)
from livegate.shm.outcome import FrameResult
from livegate.shm.ring import Ticket
from livegate.shm.segment import bytes_in_place, close_mapping

MOST = 1 << 32
"""What a message carries; the server has limits of its own."""
LOST_S = 1.0
"""A ticket that nobody took up for so long will not be."""


class FrameProducer:
    """One camera's end of the frame queue."""

    def __init__(
        self,
        socket_path: str | os.PathLike[str],
        *,
        camera: str,
        width: int,
        height: int,
        pixel_format: Literal["BGR", "NV12"] = "BGR",
        slots: int = 4,
        timeout_s: float = 5.0,
        on_result: Callable[[FrameResult], None] | None = None,
    ) -> None:
        """Nothing is opened before `connect` or the with-block.

        Args:
            socket_path: the server's frames.socket.
            camera: 1 to 63 of A-Z a-z 0-9 . _ -; nobody else's.
            width: pixels.
            height: pixels.
            pixel_format: BGR: (H, W, 3); NV12: (H * 3 / 2, W), both sides even.
            slots: how many are asked for; the server may grant another number.
            timeout_s: how long an answer of the server may take.
            on_result: called by whichever method reads a result, and must not call the producer;
                without it `results` has them.

        Raises:
            RequestError: PARAM_FAILURE for a pixel format that there is not, or a size that is none.
        """
        if pixel_format not in PixelFormat.__members__:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"there is no pixel format {str(pixel_format)[:20]!r}",
                hint="use BGR or NV12",
            )
        for name, value in (("width", width), ("height", height), ("slots", slots)):
            if not isinstance(value, SupportsIndex) or not 1 <= value < MOST:
                why = f"{name} is {value!r}, no number of pixels or slots"
                raise RequestError(ErrorCode.PARAM_FAILURE, why)
        self._path = Path(socket_path)
        wants = CAP_RESULTS | CAP_RELOAN
        self._hello = Hello(camera, width, height, PixelFormat[pixel_format], slots, wants)
        self._timeout_s = timeout_s
        self._on_result = on_result
        self._line: FrameLine | None = None
        self._map: mmap.mmap | None = None
        self._geometry: SlotGeometry | None = None
        self._grant: Grant | None = None
        self._pictures: dict[int, Pixels] = {}
        """By slot, of those that were lent before."""
        self._frame_id = 0
        self._last_ticket: tuple[FrameTicket, float] | None = None
        """With the time when its block ended."""

    @property
    def slots(self) -> int:
        """How many slots the server granted; 0 before `connect`."""
        return self._grant.slots if self._grant else 0

    def fileno(self) -> int:
        """The socket's descriptor, for a selector: readable means: call `results`."""
        return self._connected().fileno()

    def connect(self) -> None:
        """Say hello and map the memory that the server makes for us.

        Raises:
            LiveGateError: CONNECTION_FAILURE when no server answers at the path; EXIST when connected;
                else the server's refusal.
        """
        if self._line is not None:
            raise RequestError(ErrorCode.EXIST, "the producer is connected already")
        self._line = FrameLine(self._path, self._timeout_s, self._on_result)
        try:
            grant, fd = self._line.greet(self._hello)
            try:
                self._map = mmap.mmap(fd, grant.segment_bytes)
            finally:
                os.close(fd)
        except BaseException:
            self.close()
            raise
        self._grant = grant
        self._geometry = SlotGeometry(
            self._hello.width,
            self._hello.height,
            PixelFormat(self._hello.pixel_format),
            grant.stride,
        )

    def reconnect(self) -> None:
        """`close`, then `connect`; what was published before gets no result any more."""
        self.close()
        self.connect()

    def close(self) -> None:
        """Say goodbye and let go; arrays of a loan keep the memory alive, but nobody reads it."""
        line, self._line = self._line, None
        mapping, self._map = self._map, None
        self._grant = None
        self._pictures.clear()
        if line is not None:
            line.close()
        if mapping is not None:
            close_mapping(mapping)

    def loan(
        self,
        *,
        frame_id: int | None = None,
        captured_ns: int | None = None,
        timeout_s: float = 0.0,
    ) -> contextlib.AbstractContextManager[Pixels]:
        """A slot to write, published at the end of the block.

        Args:
            frame_id: comes back in the result; without it, one more than the last.
            captured_ns: CLOCK_MONOTONIC; without it, now.
            timeout_s: how long to wait for a slot, up to the server's frames.block_timeout_ms.

        Raises:
            LiveGateError: QUEUE_FULL when no slot is free: skip the frame; CONNECTION_CLOSE when the
                server is gone.
        """
        return _Loan(self, frame_id, captured_ns, timeout_s)

    @contextlib.contextmanager
    def ticket(self, *, captured_ns: int | None = None, timeout_s: float = 0.0) -> Iterator[FrameTicket]:
        """A slot to write for a stream; it does not go into the camera's queue.

        The stream answers it; `results` has what was found, too, under the stream's number.

        Send it inside or after the block, or `give_back` it. A block that is left by an exception
        gives it back. One that the server does not see within a second, because its stream ended first,
        is taken back when the next slot is asked for.

        Args:
            captured_ns: CLOCK_MONOTONIC; without it, now.
            timeout_s: how long to wait for a slot, up to the server's frames.block_timeout_ms.

        Raises:
            LiveGateError: QUEUE_FULL when no slot is free, FULL while the server has not yet seen the
                last ticket: skip the frame; CONNECTION_CLOSE when the server is gone.
        """
        taken_ns = time.monotonic_ns() if captured_ns is None else captured_ns
        loaned = self._lent(timeout_s)
        segment_id = self._grant.segment_id if self._grant else 0
        pixels = self._pixels(loaned)
        found = FrameTicket(pixels, segment_id, loaned.slot, loaned.generation, taken_ns)
        try:
            yield found
        except BaseException:
            with contextlib.suppress(LiveGateError):
                self.give_back(found)
            raise
        self._last_ticket = found, time.monotonic()

    def give_back(self, ticket: FrameTicket) -> None:
        """Return a ticket that was not sent.

        Raises:
            LiveGateError: NO_EXIST when it was used up: sent, or given back before; CONNECTION_CLOSE.
        """
        line = self._connected()
        if self._grant is None or ticket.segment_id != self._grant.segment_id:
            # A new connection counts its generations from the start: the numbers may be another's.
            raise RequestError(ErrorCode.NO_EXIST, "the ticket is of an earlier connection")
        line.ask(Release(ticket.generation, ticket.slot), Returned)

    @property
    def frame_id(self) -> int:
        """Of the frame that was published last."""
        return self._frame_id

    def results(self, *, timeout_s: float = 0.0) -> tuple[FrameResult, ...]:
        """What came since the last call, oldest first; waits for the first one up to the timeout.

        An OPEN that the server said more than a second ago is turned into HOLD: nobody took it while the
        person stood there. For a ticket that second begins when it was taken.

        Raises:
            LiveGateError: CONNECTION_CLOSE when the server is gone, or what it refused a publish with;
                each once every result before it was taken.
        """
        return self._connected().take(timeout_s)

    def __enter__(self) -> FrameProducer:
        """Connected."""
        if self._line is None:
            self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closed."""
        self.close()

    def _lent(self, timeout_s: float) -> Ticket:
        """A slot to write. Raises as FrameLine.loan."""
        line, last = self._connected(), self._last_ticket
        try:
            return line.loan(timeout_s)
        except LiveGateError as error:
            if error.code is not ErrorCode.FULL or last is None or time.monotonic() - last[1] < LOST_S:
                raise
        self._last_ticket = None
        with contextlib.suppress(LiveGateError):  # or it was used at this moment
            self.give_back(last[0])
        return line.loan(timeout_s)

    def _publish(self, ticket: Ticket, captured_ns: int, frame_id: int | None) -> None:
        """Hand a written slot over. Raises as FrameLine.send."""
        self._frame_id = self._frame_id + 1 if frame_id is None else frame_id
        self._connected().publish(Publish(ticket.generation, captured_ns, self._frame_id, ticket.slot))

    def _pixels(self, ticket: Ticket) -> Pixels:
        """A view of its own, whatever was done to the last one."""
        pixels = self._pictures.get(ticket.slot)
        if pixels is None:
            if self._map is None or self._geometry is None or self._grant is None:
                raise gone()
            offset = self._grant.first_offset + ticket.slot * self._grant.slot_bytes
            pixels = self._geometry.shape(bytes_in_place(self._map, offset, self._geometry))
            self._pictures[ticket.slot] = pixels
        view: Pixels = pixels.view()
        return view

    def _connected(self) -> FrameLine:
        if self._line is None:
            raise LiveGateError(
                ErrorCode.CONNECTION_CLOSE, "the producer is not connected", hint="call connect"
            )
        return self._line


class _Loan:
    """The block of `FrameProducer.loan`."""

    def __init__(
        self, producer: FrameProducer, frame_id: int | None, captured_ns: int | None, timeout_s: float
    ) -> None:
        """Nothing is asked for yet."""
        self._producer = producer
        self._frame_id = frame_id
        self._captured_ns = captured_ns
        self._timeout_s = timeout_s

    def __enter__(self) -> Pixels:
        """The slot's pixels."""
        self._taken_ns = time.monotonic_ns() if self._captured_ns is None else self._captured_ns
        self._ticket = self._producer._lent(self._timeout_s)
        return self._producer._pixels(self._ticket)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish; give the slot back where the block was left by an exception."""
        if kind is None:
            self._producer._publish(self._ticket, self._taken_ns, self._frame_id)
            return
        release = Release(self._ticket.generation, self._ticket.slot)
        # The caller's own error matters more than a server that left meanwhile.
        with contextlib.suppress(LiveGateError):
            self._producer._connected().ask(release, Returned)
