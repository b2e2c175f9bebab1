"""One picture in host memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livegate.core.errors import ErrorCode, RequestError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture: (H, W, 3) uint8 BGR, upright, rows may be strided; `captured_ns` is wall time."""

    pixels: Pixels
    captured_ns: int

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
