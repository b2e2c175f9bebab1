"""What a client hands to a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from livegate.core.errors import ErrorCode, RequestError
from livegate.core.frame import Pixels

Overflow = Literal["wait", "newest_wins"]
"""A frame that comes before the one before it is done: waits, or replaces the one that waits (5003)."""
ROOM: dict[Overflow, int] = {"wait": 4, "newest_wins": 16}
"""Frames without a taken answer; as many as the server takes in."""
PixelFormat = Literal["BGR", "NV12"]
CHANNELS = 3


@dataclass(frozen=True, slots=True, eq=False)
class FrameTicket:
    """A slot of the server's memory on loan (FrameProducer.ticket): write `pixels`, then send it.

    `captured_ns` is CLOCK_MONOTONIC of this machine. After it was sent, `pixels` is not to be touched:
    the server reads there.
    """

    pixels: Pixels
    segment_id: int
    slot: int
    generation: int
    captured_ns: int


Picture = bytes | Pixels | FrameTicket
"""A JPEG, PNG, BMP or WebP file; BGR (H, W, 3) or NV12 (H * 3 / 2, W) uint8; a ticket."""


def picture_size(pixels: Pixels, pixel_format: PixelFormat) -> tuple[int, int]:
    """(width, height) of a raw picture.

    Raises:
        RequestError: PARAM_FAILURE when it is no array, or not one of that format.
    """
    if not hasattr(pixels, "shape"):  # a path, or None from a camera that gave nothing
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"a {type(pixels).__name__} is no picture",
            hint="bytes of a JPEG, PNG, BMP or WebP file, an array of pixels, or a ticket",
        )
    shape = pixels.shape
    is_bgr = pixel_format == "BGR" and len(shape) == 3 and shape[2] == CHANNELS
    is_nv12 = pixel_format == "NV12" and len(shape) == 2 and shape[0] % 3 == 0 and shape[1] % 2 == 0
    if pixels.dtype != "uint8" or not (is_bgr or is_nv12) or not pixels.size:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"an array {shape} of {pixels.dtype} is no {pixel_format} picture",
            hint="BGR is (H, W, 3) uint8, NV12 is (H * 3 / 2, W) uint8 with even sides",
        )
    height = shape[0] if is_bgr else shape[0] // 3 * 2
    return int(shape[1]), int(height)
