"""One producer as the server sees it: its memory, its slots and its queue, without the socket."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from livegate.core.errors import ErrorCode, QueueError, RequestError
from livegate.core.frame import FrameBlock, Pixels, require_past
from livegate.shm.layout import DropReason, PixelFormat, Reloaned, Result
from livegate.shm.lease import Lease, PublishedFrame
from livegate.shm.outcome import DROP_CODES, Outcome, result_from_outcome
from livegate.shm.queue import FrameQueue
from livegate.shm.ring import Clock, Reference, SlotRing, SlotState, Ticket
from livegate.shm.segment import Segment
from livegate.shm.tally import DROP_EVENTS, FrameEvent, FrameTally

Answer = Callable[[Result], bool]
"""Sends a result without waiting; False when it could not."""
Glance = Callable[[PublishedFrame], bool]
"""Leases and answers a frame that shows what was just judged; False: it must wait for its turn.

Called by whoever publishes, with no lock held, while frames are expected to repeat what was judged
(Lease.repeats_until_ns); it must be quick, and may read the slot before the lease.
"""


def look_at_each(published: PublishedFrame) -> bool:
    """A glance that never suffices."""
    return False


@dataclass(frozen=True, slots=True)
class Clocks:
    """Monotonic and wall time, in nanoseconds."""

    now_ns: Clock = time.monotonic_ns
    wall_ns: Clock = time.time_ns


class FrameSource:
    """A producer's slots, from the loan to the result. Safe to call from any thread."""

    def __init__(
        self,
        camera: str,
        segment: Segment,
        ring: SlotRing,
        make_queue: Callable[[Callable[[PublishedFrame, DropReason], None]], FrameQueue[PublishedFrame]],
        *,
        is_trusted: bool,
        answer: Answer,
        tally: FrameTally,
        clocks: Clocks | None = None,
        on_release: Callable[[], None] = lambda: None,
        glance: Glance = look_at_each,
        reloans: bool = False,
    ) -> None:
        """Free slots and an empty queue.

        `make_queue` is given the queue's on_drop; `on_release` hears of a lease that ended while frames
        of the camera wait. `reloans`: the producer takes the slot of a result back on loan.
        """
        self.camera = camera
        self.segment = segment
        self.ring = ring
        self.is_trusted = is_trusted
        self.is_closed = False
        self.queue = make_queue(self._dropped)
        self._answer = answer
        self._count = partial(tally.add, camera)
        self._clocks = clocks or Clocks()
        self.since_ms = self._clocks.wall_ns() // 1_000_000
        self._on_release = on_release
        self._glance = glance
        self._reloans = reloans
        self._telling = threading.Lock()
        """Held while a slot is freed and its producer told, so that word of a slot that is lent again
        goes out in the order of these loans, and before the answer to a LOAN that is that slot."""

    @property
    def pixel_format(self) -> PixelFormat:
        """Of every frame."""
        return self.segment.geometry.pixel_format

    def loan(self, *, timeout_s: float, heard: int = 0) -> Ticket:
        """A slot to write. Raises as SlotRing.loan."""
        try:
            ticket = self.ring.loan(timeout_s=timeout_s, heard=heard)
        except QueueError as error:
            if error.code is ErrorCode.QUEUE_FULL:
                self._count(FrameEvent.NO_SLOT)
            raise
        with self._telling:
            return ticket

    def discard(self, ticket: Ticket) -> None:
        """A loan comes back. Raises as SlotRing.discard."""
        self.ring.discard(ticket)
        self._count(FrameEvent.DISCARDED)

    def publish(
        self, ticket: Ticket, *, captured_ns: int, frame_id: int, timeout_s: float = 0.0
    ) -> None:
        """Queue a written slot, unless a glance is enough; exactly one result tells what became of it.

        Raises as `claim`; a loan that was good is over then, too: its producer has let go of it.
        """
        try:
            frame = self.claim(ticket, captured_ns=captured_ns, frame_id=frame_id)
        except RequestError:
            with contextlib.suppress(RequestError):
                self.discard(ticket)
            raise
        if self._may_glance(frame) and self._glance(frame):
            return
        try:
            self.queue.push(frame, timeout_s=timeout_s)
        except QueueError as error:
            is_full = error.code is ErrorCode.QUEUE_FULL
            self._dropped(frame, DropReason.REJECTED if is_full else DropReason.STOPPED)

    def claim(self, ticket: Ticket, *, captured_ns: int, frame_id: int) -> PublishedFrame:
        """Take a written slot over without queueing it: `lease` or `give_up` ends it.

        Raises:
            RequestError: PARAM_FAILURE for a capture in the future or a negative number, which no
                result could carry; else as SlotRing.publish.
        """
        if frame_id < 0:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the frame's number is {frame_id}",
                hint="number the frames of the frame queue from 0",
            )
        now_ns = self._clocks.now_ns()
        require_past(captured_ns, now_ns)
        self.ring.publish(ticket)
        self._count(FrameEvent.PUBLISHED)
        return PublishedFrame(self, ticket, frame_id, captured_ns or now_ns, now_ns)

    def give_up(self, published: PublishedFrame, reason: DropReason) -> None:
        """A frame that was claimed will not be looked at."""
        self._dropped(published, reason)

    def lease(self, published: PublishedFrame, *, since_ns: int | None = None) -> Lease:
        """Begin to look at a frame. `since_ns`: when that was, if not now.

        Raises:
            RequestError: NO_EXIST when the producer left meanwhile; the frame is counted as dropped.
        """
        try:
            self.ring.lease(published.ticket)
        except RequestError:
            self._count(FrameEvent.GONE)
            raise
        self._count(FrameEvent.LEASED)
        now_ns = self._clocks.now_ns()
        return Lease(
            published,
            leased_ns=now_ns if since_ns is None else since_ns,
            wall_offset_ns=self._clocks.wall_ns() - now_ns,
            now_ns=self._clocks.now_ns,
        )

    def block(self, ticket: Ticket) -> tuple[FrameBlock, int] | None:
        """What a slot that is read in place lies in, and at which byte; None where it is copied."""
        return (self.segment, self.segment.offset(ticket.slot)) if self.is_trusted else None

    def memory(self, ticket: Ticket) -> tuple[Pixels, Pixels, bool]:
        """A leased slot's bytes, its pixels, and whether they are a private copy."""
        if self.is_trusted:
            memory = self.segment.in_place(ticket.slot)
        else:
            memory = self.segment.private_copy(ticket.slot)
            self._count(FrameEvent.COPIED)
            self._count(FrameEvent.COPIED_BYTES, memory.size)
        return memory, self.segment.geometry.shape(memory), not self.is_trusted

    def finish(self, lease: Lease, outcome: Outcome, views: Reference | None) -> None:
        """End a lease: the slot first, so that it is free when the producer hears of it."""
        published = lease.published
        is_ok = outcome.code is ErrorCode.OK
        self._count(FrameEvent.JUDGED if is_ok else FrameEvent.FAILED)
        self.queue.repeats_until_ns = lease.repeats_until_ns
        work_ns = self._clocks.now_ns() - lease.leased_ns
        with self._telling:
            again = self.ring.release(published.ticket, views=views, again=self._reloans)
            self._tell(published, outcome, DropReason.JUDGED, lease.queue_ns, work_ns, again)
        if self.is_closed:
            self.free_if_idle()
        if len(self.queue):  # nobody else waits for the end of this lease
            self._on_release()

    def close(self) -> None:
        """The producer is gone: reclaim every slot; the memory goes when the last lease has ended."""
        self.is_closed = True
        self.queue.stop(DropReason.GONE)
        self.ring.close()
        self.free_if_idle()

    def free_if_idle(self) -> bool:
        """Let the memory go if nobody needs it; True when it is gone."""
        if self.ring.is_idle:
            self.segment.close()
        return self.segment.is_closed

    @property
    def slots(self) -> dict[SlotState, int]:
        """How many slots are in each state."""
        return self.ring.states()

    def _may_glance(self, frame: PublishedFrame) -> bool:
        """Whether that may suffice, it overtakes no other frame, and would not be copied twice."""
        may_repeat = self.is_trusted and frame.captured_ns < self.queue.repeats_until_ns
        return may_repeat and self.queue.is_free_for(frame) and not self.ring.in_flight

    def _dropped(self, frame: PublishedFrame, reason: DropReason) -> None:
        """A published frame will not be looked at."""
        outcome, again = Outcome(code=DROP_CODES[reason]), None
        queue_ns = self._clocks.now_ns() - frame.published_ns
        with self._telling:
            try:
                again = self.ring.drop(frame.ticket, again=self._reloans)
            except RequestError:
                # When the producer leaves at the same moment, its ring takes every slot back by itself.
                if not self.is_closed:
                    raise
            self._count(DROP_EVENTS[reason])
            self._tell(frame, outcome, reason, queue_ns, 0, again)

    def _tell(
        self,
        frame: PublishedFrame,
        outcome: Outcome,
        reason: DropReason,
        queue_ns: int,
        work_ns: int,
        again: Ticket | None,
    ) -> None:
        """Send the result; `again`: its slot, if that is the producer's once more.

        `_telling` is held.
        """
        if self.is_closed:
            return
        result = result_from_outcome(
            outcome,
            frame_id=frame.frame_id,
            slot=frame.ticket.slot,
            generation=frame.ticket.generation,
            reason=reason,
            queue_ns=queue_ns,
            work_ns=work_ns,
            kind=Reloaned if again else Result,
        )
        if not self._answer(result):
            self._count(FrameEvent.RESULT_LOST)
            if again:
                self.ring.take_back(again)
