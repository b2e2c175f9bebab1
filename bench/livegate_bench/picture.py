"""The pictures that scenarios send when none is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

WIDTH, HEIGHT, QUALITY = 640, 480, 90
FRAME_WIDTH, FRAME_HEIGHT = 1280, 720
NOISE = 3


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


def decoded_frame(picture: bytes) -> Any:
    """(720, 1280, 3) uint8 BGR: the picture before a grey wall, in the middle."""
    return portrait_on_wall(picture, 0.5)


def portrait_on_wall(picture: bytes, across: float) -> Any:
    """The same with the picture's place from 0 (left) to 1 (right); a larger one is scaled down."""
    import cv2

    portrait = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if portrait is None:
        raise ValueError("the picture cannot be decoded")
    scale = min(1.0, FRAME_HEIGHT / portrait.shape[0], FRAME_WIDTH / portrait.shape[1])
    portrait = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = portrait.shape[:2]
    left, top = round((FRAME_WIDTH - width) * across), (FRAME_HEIGHT - height) // 2
    frame = np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 96, np.uint8)
    frame[top : top + height, left : left + width] = portrait
    return frame


def swaying_frames(picture: bytes, count: int, seed: int) -> list[Any]:
    """One sway to and fro, each frame with noise of its own: no two are alike, as of a camera."""
    draw = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        frame = portrait_on_wall(picture, 0.5 + 0.25 * np.sin(2 * np.pi * number / count))
        noise = draw.integers(-NOISE, NOISE + 1, frame.shape, np.int16)
        frames.append(np.clip(frame + noise, 0, 255).astype(np.uint8))
    return frames
