"""The pictures that scenarios send when none is named."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from livegate_bench.failure import BenchError

WIDTH, HEIGHT, QUALITY = 640, 480, 90
FRAME_WIDTH, FRAME_HEIGHT = 1280, 720


def load_picture(file: str | None) -> bytes:
    """A file, or NASA's portrait of Eileen Collins (scikit-image) as a 640x480 JPEG of quality 90.

    Raises:
        BenchError: there is no scikit-image, as on a box that only serves.
        OSError: the file cannot be read.
    """
    if file:
        return Path(file).read_bytes()
    import cv2

    try:
        from skimage import data
    except ImportError as error:
        raise BenchError(
            "the default portrait comes with scikit-image, which is not here: name a photograph of "
            "a person (--picture FILE; for tune --pictures DIR), or install livegate[demo]"
        ) from error

    portrait = data.astronaut()[:384]  # type: ignore[no-untyped-call]
    pixels = cv2.resize(portrait, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    encoded: bytes = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB")
    return encoded


def name_of(picture: bytes) -> str:
    """Size in pixels and bytes, and the beginning of its digest.

    Raises:
        BenchError: it cannot be decoded.
    """
    height, width = decode(picture).shape[:2]
    return f"{width}x{height}, {len(picture)} bytes, sha256 {hashlib.sha256(picture).hexdigest()[:12]}"


def decode(picture: bytes) -> Any:
    """(H, W, 3) uint8 BGR.

    Raises:
        BenchError: it cannot be decoded.
    """
    import cv2

    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise BenchError("the picture cannot be decoded; --picture names another")
    return pixels


def decoded_frame(picture: bytes) -> Any:
    """(720, 1280, 3) uint8 BGR: the picture before a grey wall, in the middle."""
    return portrait_on_wall(picture, 0.5)


def portrait_on_wall(picture: bytes, across: float) -> Any:
    """The same with the picture's place from 0 (left) to 1 (right)."""
    portrait = decoded_portrait(picture)
    height, width = portrait.shape[:2]
    left, top = round((FRAME_WIDTH - width) * across), (FRAME_HEIGHT - height) // 2
    frame = np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 96, np.uint8)
    frame[top : top + height, left : left + width] = portrait
    return frame


def decoded_portrait(picture: bytes) -> Any:
    """(H, W, 3) uint8 BGR; a picture that is larger than a frame is scaled down."""
    import cv2

    portrait = decode(picture)
    scale = min(1.0, FRAME_HEIGHT / portrait.shape[0], FRAME_WIDTH / portrait.shape[1])
    return cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
