"""The picture that scenarios send when none is named."""

from __future__ import annotations

from pathlib import Path

import simplejpeg

WIDTH, HEIGHT, QUALITY = 640, 480, 90


def load_picture(file: str | None) -> bytes:
    """A file, or NASA's portrait of Eileen Collins (scikit-image) as a 640x480 JPEG of quality 90."""
    if file:
        return Path(file).read_bytes()
    import cv2
    from skimage import data

    portrait = data.astronaut()[:384]  # type: ignore[no-untyped-call]
    pixels = cv2.resize(portrait, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    encoded: bytes = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB")
    return encoded
