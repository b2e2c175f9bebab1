"""Where the pixels of one slot are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from livegate.core.errors import ErrorCode, RequestError
from livegate.core.frame import Pixels
from livegate.shm.layout import PixelFormat

ROW_ALIGN = 64
"""A row begins on a cache line: OpenCV's and CUDA's wide loads like it, and a DMA engine demands it."""
SLOT_ALIGN = 4096
MIN_SIDE = 2
MAX_SIDE = 16384


@dataclass(frozen=True)
class SlotGeometry:
    """One picture in a slot. Bytes, but for width and height, which are pixels.

    Without `slots`: what every frame asks for is worked out once and kept.
    """

    width: int
    height: int
    pixel_format: PixelFormat
    stride: int

    @cached_property
    def row_bytes(self) -> int:
        """What a row holds, without its padding."""
        return self.width * (3 if self.pixel_format is PixelFormat.BGR else 1)

    @cached_property
    def rows(self) -> int:
        """Rows in memory: NV12 has half as many again, for the colours."""
        return self.height if self.pixel_format is PixelFormat.BGR else self.height * 3 // 2

    @cached_property
    def picture_bytes(self) -> int:
        """From the first row's begin to the last row's padding."""
        return self.stride * self.rows

    @cached_property
    def slot_bytes(self) -> int:
        """Whole pages, so that no two slots share one."""
        return _up(self.picture_bytes, SLOT_ALIGN)

    @cached_property
    def uv_offset(self) -> int:
        """NV12: where the colours begin; 0 for BGR."""
        return self.stride * self.height if self.pixel_format is PixelFormat.NV12 else 0

    @cached_property
    def uv_stride(self) -> int:
        """NV12: from row to row of the colours; 0 for BGR."""
        return self.stride if self.pixel_format is PixelFormat.NV12 else 0

    def shape(self, memory: Pixels) -> Pixels:
        """Flat bytes as pixels: (H, W, 3) for BGR, (H * 3 / 2, W) for NV12. A view, never a copy.

        Args:
            memory: (picture_bytes,) uint8.
        """
        if self.pixel_format is PixelFormat.NV12:
            size: tuple[int, ...] = (self.rows, self.width)
            strides: tuple[int, ...] = (self.stride, 1)
        else:
            size, strides = (self.height, self.width, 3), (self.stride, 3, 1)
        pixels: Pixels = np.ndarray(size, np.uint8, memory, strides=strides)
        return pixels


def geometry_for(width: int, height: int, pixel_format: int) -> SlotGeometry:
    """The geometry that this server gives a picture.

    Raises:
        RequestError: PARAM_FAILURE for an unknown format, or a size that the format does not have;
            OUT_OF_RANGE for sides outside MIN_SIDE..MAX_SIDE.
    """
    try:
        chosen = PixelFormat(pixel_format)
    except ValueError as error:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"there is no pixel format {pixel_format}",
            hint="1 is BGR, 2 is NV12",
        ) from error
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"the picture is {width}x{height}, a side may have {MIN_SIDE} to {MAX_SIDE} pixels",
            hint="scale the picture before it is handed over",
        )
    if chosen is PixelFormat.NV12 and (width % 2 or height % 2):
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"an NV12 picture of {width}x{height} does not exist: both sides are even",
            hint="crop one row or column",
        )
    bytes_per_pixel = 3 if chosen is PixelFormat.BGR else 1
    return SlotGeometry(width, height, chosen, _up(width * bytes_per_pixel, ROW_ALIGN))


def empty_picture(geometry: SlotGeometry) -> Pixels:
    """Private memory for one picture: (picture_bytes,) uint8, not initialised."""
    return np.empty(geometry.picture_bytes, np.uint8)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
