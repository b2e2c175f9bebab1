"""One picture in host memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livegate.core.errors import ErrorCode, RequestError

Pixels = NDArray[np.uint8]


class SharedBlock(Protocol):
    """A block of host memory that a device was shown."""

    address: int
    """Where the device reads its first byte."""

    def close(self) -> None:
        """Take it away from the device. Never raises."""
        ...


Share = Callable[[Pixels], SharedBlock | None]
"""Shows a device a block, (size,) uint8 of whole pages; None where it is refused. Never raises."""


class FrameBlock(Protocol):
    """Memory that many frames lie in, one after the other: the slots of a producer."""

    def device_address(self, share: Share) -> int | None:
        """Where a device reads its first byte, shown by `share` if it was not before; None: nowhere.

        Good as long as one of its frames is held.
        """
        ...


@dataclass(frozen=True, slots=True)
class RawPixels:
    """A picture as its camera gave it, before anything was converted.

    BGR: (H, W, 3) uint8; NV12: (H * 3 / 2, W) uint8, rows of Y, then of U,V pairs. Rows may be strided.
    """

    pixels: Pixels
    is_nv12: bool
    block: FrameBlock | None = None
    """What it lies in; None for memory that comes and goes with it."""
    offset: int = 0
    """Bytes from the block's first to the picture's."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture: (H, W, 3) uint8 BGR, upright, rows may be strided; `captured_ns` is wall time.

    `raw` is the same picture as it came, where that is known and nothing was turned.
    """

    pixels: Pixels
    captured_ns: int
    raw: RawPixels | None = field(default=None, compare=False)

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.pixels.shape[0])


def require_past(captured_ns: int, now_ns: int) -> None:
    """Refuse a capture in the future: another clock was used, and such a frame would never be too old.

    Raises:
        RequestError: PARAM_FAILURE.
    """
    if captured_ns > now_ns:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"captured_ns lies {(captured_ns - now_ns) / 1e9:.3f} s in the future",
            hint="captured_ns is CLOCK_MONOTONIC of this machine, or 0 for now",
        )
