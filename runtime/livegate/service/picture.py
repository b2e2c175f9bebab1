"""The ways in which a frame of a stream comes, and what each takes to become a Frame."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.frame import Frame, RawPixels
from livegate.core.results import FrameAnswer
from livegate.ingest.image import frame_from_bytes, require_size
from livegate.preprocess.cpu import bgr_from_nv12
from livegate.preprocess.scratch import Scratch
from livegate.service.outcomes import outcome_of_answer
from livegate.shm.geometry import geometry_for
from livegate.shm.layout import DropReason, PixelFormat
from livegate.shm.lease import FrameView, PublishedFrame

NAME = "the frame"


class Picture(Protocol):
    """Pixels that are on their way to be judged."""

    @property
    def captured_ns(self) -> int:
        """Monotonic nanoseconds."""

    def open(self, limits: LimitsConfig, scratch: Scratch) -> contextlib.AbstractContextManager[Frame]:
        """The Frame, good inside the block.

        Raises:
            RequestError: it is not a picture, or not within the limits.
        """

    def tell(self, answer: FrameAnswer) -> None:
        """What was found, for whoever else wants to know; inside the block."""

    def discard(self) -> None:
        """It will not be looked at; nothing happens when it was."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A JPEG, PNG, BMP or WebP file."""

    content: bytes
    captured_ns: int

    @contextlib.contextmanager
    def open(self, limits: LimitsConfig, scratch: Scratch) -> Iterator[Frame]:
        """Decode it."""
        yield frame_from_bytes(self.content, limits, name=NAME)

    def tell(self, answer: FrameAnswer) -> None:
        """Nobody else."""

    def discard(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class RawPicture:
    """Pixels without a file around them; rows follow each other without gaps."""

    width: int
    height: int
    pixel_format: int
    content: bytes
    captured_ns: int

    @contextlib.contextmanager
    def open(self, limits: LimitsConfig, scratch: Scratch) -> Iterator[Frame]:
        """The bytes themselves as an array; NV12 is converted."""
        require_size(self.width, self.height, limits, name=NAME)
        geometry = geometry_for(self.width, self.height, self.pixel_format)
        geometry = replace(geometry, stride=geometry.row_bytes)
        if len(self.content) != geometry.picture_bytes:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"{NAME} has {len(self.content)} bytes, {self.width}x{self.height} in "
                f"{geometry.pixel_format.name} is {geometry.picture_bytes}",
                hint="rows follow each other without gaps",
            )
        pixels = geometry.shape(np.frombuffer(self.content, np.uint8))
        raw = RawPixels(pixels, geometry.pixel_format is PixelFormat.NV12)
        yield _frame(raw, self.captured_ns, scratch)

    def tell(self, answer: FrameAnswer) -> None:
        """Nobody else."""

    def discard(self) -> None:
        """Nothing to give back."""


@dataclass(slots=True)
class QueuedPicture:
    """A slot of the frame queue that was claimed: read in place, then given back to its producer."""

    published: PublishedFrame
    _answer: FrameAnswer | None = field(default=None, init=False)
    _is_done: bool = field(default=False, init=False)

    @property
    def captured_ns(self) -> int:
        """As the producer told."""
        return self.published.captured_ns

    @contextlib.contextmanager
    def open(self, limits: LimitsConfig, scratch: Scratch) -> Iterator[Frame]:
        """Lease the slot for as long as it is looked at."""
        self._is_done = True
        with self.published.source.lease(self.published) as lease:
            yield frame_of_view(lease.view(), scratch)
            if self._answer is not None:
                lease.finish(outcome_of_answer(self._answer))

    def tell(self, answer: FrameAnswer) -> None:
        """The producer hears it on its own socket, too."""
        self._answer = answer

    def discard(self) -> None:
        """Free the slot, unread."""
        if not self._is_done:
            self._is_done = True
            with contextlib.suppress(LiveGateError):  # its producer left, and took the slot along
                self.published.source.give_up(self.published, DropReason.REJECTED)


def frame_of_view(view: FrameView, scratch: Scratch) -> Frame:
    """A leased slot as a Frame: itself, or converted from NV12."""
    return _frame(view.raw, view.captured_ns, scratch)


def _frame(raw: RawPixels, captured_ns: int, scratch: Scratch) -> Frame:
    pixels = bgr_from_nv12(raw.pixels, scratch) if raw.is_nv12 else raw.pixels
    return Frame(pixels, captured_ns, raw)
