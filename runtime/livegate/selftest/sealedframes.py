"""Frames that show whether they are whole: a pattern that follows from the number, and its checksum."""

from __future__ import annotations

import zlib

import numpy as np

from livegate.core.frame import Pixels

SEAL_BYTES = 12


def paint(pixels: Pixels, frame_id: int) -> None:
    """Fill (H, W, 3) uint8, at least 4 wide, so that every row depends on the frame's number."""
    height, width = pixels.shape[:2]
    noise = np.arange(width * 3, dtype=np.uint32).reshape(1, width, 3) * 31
    rows = np.arange(height, dtype=np.uint32).reshape(height, 1, 1) * 17
    pixels[:] = (noise + rows + frame_id * 101).astype(np.uint8)
    seal = frame_id.to_bytes(8, "little") + zlib.crc32(pixels[1:].tobytes()).to_bytes(4, "little")
    pixels[0, : SEAL_BYTES // 3] = np.frombuffer(seal, np.uint8).reshape(-1, 3)


def number_of(pixels: Pixels) -> int:
    """The number that the frame says it has."""
    return int.from_bytes(pixels[0, : SEAL_BYTES // 3].tobytes()[:8], "little")


def is_whole(pixels: Pixels) -> bool:
    """Whether the checksum fits what lies below it."""
    seal = pixels[0, : SEAL_BYTES // 3].tobytes()
    return zlib.crc32(pixels[1:].tobytes()).to_bytes(4, "little") == seal[8:]
