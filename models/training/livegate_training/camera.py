"""The one camera that photographs everything, persons and pictures of persons alike.

Whatever is drawn is light in front of a lens; only here it becomes a picture: exposure, white
balance, blur, noise, sharpening, grey or infrared look, JPEG. Both classes of the silent network pass
this same file with the same ranges, so that no camera artefact tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.seeds import between, chance

Array = NDArray[Any]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CameraRanges:
    """What cameras and their light may do. Spans are drawn from evenly; `_odds` are probabilities."""

    gain: Span = (0.65, 1.35)
    gamma: Span = (0.7, 1.4)
    tint: float = 0.07
    low_light_odds: float = 0.12
    low_light: Span = (0.12, 0.4)
    gradient_odds: float = 0.4
    blur_odds: float = 0.5
    blur: Span = (0.3, 1.6)
    motion_odds: float = 0.1
    noise: Span = (0.0, 7.0)
    sharpen_odds: float = 0.35
    grey_odds: float = 0.12
    jpeg: Span = (45, 97)


@dataclass(frozen=True, slots=True)
class Shot:
    """The settings of one picture, drawn before anything is seen."""

    gain: float
    gamma: float
    tint: tuple[float, float, float]
    gradient: tuple[float, float] | None
    blur: float
    motion: tuple[int, float] | None
    noise: float
    sharpen: float
    is_grey: bool
    jpeg: int
    seed: int


def shot_from(rng: np.random.Generator, ranges: CameraRanges) -> Shot:
    """Draw the settings; the number of draws does not depend on the scene."""
    gain = between(rng, ranges.gain)
    if chance(rng, ranges.low_light_odds):
        gain *= between(rng, ranges.low_light)
    tint = tuple(float(x) for x in rng.normal(1, ranges.tint, 3))
    return Shot(
        gain=gain,
        gamma=between(rng, ranges.gamma),
        tint=(tint[0], tint[1], tint[2]),
        gradient=_slope(rng) if chance(rng, ranges.gradient_odds) else None,
        blur=between(rng, ranges.blur) if chance(rng, ranges.blur_odds) else 0.0,
        motion=_motion(rng) if chance(rng, ranges.motion_odds) else None,
        noise=between(rng, ranges.noise),
        sharpen=between(rng, (0.2, 1.2)) if chance(rng, ranges.sharpen_odds) else 0.0,
        is_grey=chance(rng, ranges.grey_odds),
        jpeg=round(between(rng, ranges.jpeg)),
        seed=int(rng.integers(2**31)),
    )


def _slope(rng: np.random.Generator) -> tuple[float, float]:
    return between(rng, (-0.5, 0.5)), between(rng, (-0.4, 0.4))


def _motion(rng: np.random.Generator) -> tuple[int, float]:
    return int(rng.integers(3, 8)), between(rng, (0, 180))


def photograph(light: Array, shot: Shot, *, scale: float = 1.0) -> Array:
    """(H, W, 3) uint8 light to the (H, W, 3) uint8 BGR picture that the camera stores.

    `scale` shrinks blur for pictures that are drawn at the size of a network's input.
    """
    rng = np.random.default_rng(shot.seed)
    picture = light
    sigma = shot.blur * scale
    if sigma > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    if shot.motion is not None and scale > 0.5:
        picture = cv2.filter2D(picture, -1, _streak(*shot.motion))
    picture = _exposed(picture, shot)
    if shot.sharpen:
        soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
        picture = cv2.addWeighted(picture, 1 + shot.sharpen, soft, -shot.sharpen, 0)
    if shot.noise > 0.3:
        height, width = picture.shape[:2]
        grain = rng.standard_normal((height, width, 3), np.float32) * np.float32(shot.noise)
        picture = cv2.add(picture, grain, dtype=cv2.CV_8U)
    if shot.is_grey:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return jpeg(picture, shot.jpeg)


def jpeg(picture: Array, quality: int) -> Array:
    """The picture after it was stored as a JPEG."""
    is_made, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert is_made
    stored = cv2.imdecode(content, cv2.IMREAD_COLOR)
    assert stored is not None
    return stored


def _exposed(picture: Array, shot: Shot) -> Array:
    steps = np.linspace(0, 1, 256)
    table = np.stack(
        [255 * np.clip(shot.gain * t * steps, 0, 1) ** shot.gamma for t in shot.tint], axis=1
    )
    toned = cv2.LUT(picture, table.astype(np.uint8)[None])
    if shot.gradient is None:
        return np.asarray(toned)
    height, width = picture.shape[:2]
    across = 1 + shot.gradient[0] * np.linspace(-1, 1, width)[None, :]
    down = 1 + shot.gradient[1] * np.linspace(-1, 1, height)[:, None]
    field = (across * down).astype(np.float32)
    return np.asarray(cv2.multiply(toned, cv2.merge([field] * 3), dtype=cv2.CV_8U))


def _streak(length: int, angle: float) -> Array:
    kernel = np.zeros((9, 9), np.float32)
    dx, dy = np.cos(np.radians(angle)) * length / 2, np.sin(np.radians(angle)) * length / 2
    cv2.line(kernel, (round(4 - dx), round(4 - dy)), (round(4 + dx), round(4 + dy)), 1.0, 1)
    return np.asarray(kernel / kernel.sum())
