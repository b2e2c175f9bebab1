"""A published frame in the hands of the one who looks at it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import msgspec

from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.frame import Frame, FrameBlock, Pixels, RawPixels
from livegate.shm.layout import DropReason, PixelFormat
from livegate.shm.outcome import Outcome
from livegate.shm.ring import Reference, Ticket


class FrameView(msgspec.Struct, frozen=True):
    """The pixels of one leased frame.

    `pixels` lies inside the slot and is read-only, unless `is_copy`. BGR: (H, W, 3) uint8;
    NV12: (H * 3 / 2, W) uint8, rows of Y, then of U,V pairs. Rows may be strided. `captured_ns` is wall
    time, as a Frame's.
    """

    camera: str
    frame_id: int
    pixel_format: PixelFormat
    pixels: Pixels
    captured_ns: int
    is_copy: bool
    block: FrameBlock | None = None
    """The producer's slots; None for a copy."""
    offset: int = 0

    @property
    def raw(self) -> RawPixels:
        """The picture as it came, for whoever reads it in place."""
        is_nv12 = self.pixel_format is PixelFormat.NV12
        return RawPixels(self.pixels, is_nv12, self.block, self.offset)

    def frame(self) -> Frame:
        """The picture for a pipeline, without a copy.

        Raises:
            RequestError: UNREALIZED for NV12, whose conversion is a pass of preprocessing's.
        """
        if self.pixel_format is not PixelFormat.BGR:
            raise RequestError(
                ErrorCode.UNREALIZED,
                f"a frame in {self.pixel_format.name} is not a BGR picture yet",
                hint="convert view().pixels first, or publish BGR",
            )
        return Frame(self.pixels, self.captured_ns, self.raw)


class PublishedFrame(msgspec.Struct, frozen=True):
    """What waits in a queue: whose frame it is, and the ticket. Times are monotonic."""

    source: Holder
    ticket: Ticket
    frame_id: int
    captured_ns: int
    published_ns: int


class Holder(Protocol):
    """Where leased pixels come from and where the word on them goes."""

    @property
    def camera(self) -> str:
        """The producer's name."""

    @property
    def pixel_format(self) -> PixelFormat:
        """Of every frame."""

    @property
    def is_closed(self) -> bool:
        """Whether the producer is gone."""

    def lease(self, published: PublishedFrame, *, since_ns: int | None = None) -> Lease:
        """Begin to look at a frame. `since_ns`: when that was, if not now."""

    def give_up(self, published: PublishedFrame, reason: DropReason) -> None:
        """Never look at it."""

    def memory(self, ticket: Ticket) -> tuple[Pixels, Pixels, bool]:
        """(all bytes that views hang on, the pixels, whether they are a copy)."""

    def block(self, ticket: Ticket) -> tuple[FrameBlock, int] | None:
        """What the pixels lie in, and at which byte; None for a copy."""

    def finish(self, lease: Lease, outcome: Outcome, views: Reference | None) -> None:
        """End a lease: free its slot, tell the producer."""


class Lease:
    """The right to read one slot, until `finish`. For one thread at a time.

        with broker.pop() as lease:
            lease.finish(judge(lease.frame()))

    A block that is left without a word ends in an error for the producer: a gate that waits for a
    verdict stays shut. Let go of the arrays with the lease: the slot goes back to the producer when
    the last of them is dead, and until then it is one slot short. `camera` says whose frame it is,
    `frame_id` is the producer's own number.
    """

    def __init__(
        self,
        published: PublishedFrame,
        *,
        leased_ns: int,
        wall_offset_ns: int,
        now_ns: Callable[[], int],
    ) -> None:
        """`wall_offset_ns` is wall time minus monotonic time."""
        self.published = published
        self.camera = published.source.camera
        self.frame_id = published.frame_id
        self.leased_ns = leased_ns
        self.repeats_until_ns = 0
        """Frames captured before then will most likely show the same: who judges may say so."""
        self._wall_offset_ns = wall_offset_ns
        self._now_ns = now_ns
        self._view: FrameView | None = None
        self._bytes: Reference | None = None
        self._is_finished = False

    @property
    def queue_ns(self) -> int:
        """From its publishing to the lease."""
        return self.leased_ns - self.published.published_ns

    @property
    def age_ns(self) -> int:
        """From the capture to now."""
        return self._now_ns() - self.published.captured_ns

    @property
    def has_producer(self) -> bool:
        """Whether its producer is still there; nobody hears the word on an orphan."""
        return not self.published.source.is_closed

    @property
    def is_finished(self) -> bool:
        """Whether the lease has ended."""
        return self._is_finished

    def view(self) -> FrameView:
        """The pixels; the same ones at every call.

        Raises:
            LiveGateError: INNER after the end of the lease.
        """
        self._refuse_finished()
        if self._view is None:
            source = self.published.source
            memory, pixels, is_copy = source.memory(self.published.ticket)
            self._bytes = None if is_copy else weakref.ref(memory)
            captured_ns = self.published.captured_ns + self._wall_offset_ns
            block, offset = source.block(self.published.ticket) or (None, 0)
            self._view = FrameView(
                self.camera,
                self.frame_id,
                source.pixel_format,
                pixels,
                captured_ns,
                is_copy,
                block,
                offset,
            )
        return self._view

    def frame(self) -> Frame:
        """`view().frame()`: the picture for a pipeline. Raises as both."""
        return self.view().frame()

    def finish(self, outcome: Outcome) -> None:
        """Free the slot and tell the producer.

        Raises:
            LiveGateError: INNER when the lease has ended already.
        """
        self._refuse_finished()
        self._is_finished = True
        self._view = None
        self.published.source.finish(self, outcome, self._bytes)

    def fail(self, error: LiveGateError) -> None:
        """`finish` with an error and no verdict."""
        self.finish(Outcome(code=error.code))

    def __enter__(self) -> Lease:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the lease, with the error's code if it was left by one."""
        if not self._is_finished:
            code = error.code if isinstance(error, LiveGateError) else ErrorCode.INNER
            self.finish(Outcome(code=code))

    def _refuse_finished(self) -> None:
        if self._is_finished:
            raise LiveGateError(
                ErrorCode.INNER,
                f"the lease of frame {self.frame_id} of {self.camera} has ended",
                hint="a lease is good for one word",
            )
