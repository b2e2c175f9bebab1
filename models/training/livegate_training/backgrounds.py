"""Pictures without faces: textures made here, and any folder of photographs that is named.

Photographs are split by name like people are. A photograph in which the reference detector finds a
face is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.identity import Split, split_of
from livegate_training.seeds import between, chance

Array = NDArray[Any]
SAMPLES = (
    "brick", "cell", "chelsea", "chessboard_RGB", "clock_motion", "coffee", "color", "grass", "gravel",
    "horse", "hubble_deep_field", "ihc", "motorcycle_left", "page", "retina", "rocket", "text",
)  # fmt: skip
"""Of scikit-image's sample pictures those without a person, a statue or a coin."""


@dataclass(frozen=True, slots=True)
class Backgrounds:
    """Photographs (H, W, 3) uint8 BGR of one split; procedural textures beside them."""

    photographs: tuple[Array, ...]

    def make(self, rng: np.random.Generator, width: int, height: int) -> Array:
        """A background of that size, (H, W, 3) uint8."""
        if self.photographs and chance(rng, 0.75):
            return _cut(self.photographs[rng.integers(len(self.photographs))], rng, width, height)
        return texture(rng, width, height)


def read_backgrounds(folder: Path | None, split: Split) -> Backgrounds:
    """The photographs of a folder and scikit-image's samples that belong to a split."""
    files = sorted(folder.glob("*.jpg")) if folder is not None else []
    files += _samples()
    chosen = [file for file in files if split_of(f"place {file.name}") == split]
    pictures = [cv2.imread(str(file), cv2.IMREAD_COLOR) for file in chosen]
    return Backgrounds(tuple(picture for picture in pictures if picture is not None))


def _samples() -> list[Path]:
    try:
        import skimage
    except ImportError:
        return []
    folder = Path(str(skimage.__file__)).parent / "data"
    found = [folder / f"{name}{suffix}" for name in SAMPLES for suffix in (".png", ".jpg")]
    return [file for file in found if file.exists()]


def _cut(picture: Array, rng: np.random.Generator, width: int, height: int) -> Array:
    """A random part, mirrored or not, scaled to the size."""
    rows, columns = picture.shape[:2]
    most = min(rows / height, columns / width)
    scale = most * between(rng, (0.35, 1.0))
    w, h = max(2, int(width * scale)), max(2, int(height * scale))
    x, y = int(rng.integers(0, columns - w + 1)), int(rng.integers(0, rows - h + 1))
    part = picture[y : y + h, x : x + w]
    part = part[:, ::-1] if chance(rng, 0.5) else part
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=way))


def texture(rng: np.random.Generator, width: int, height: int) -> Array:
    """A wall, a room, stripes, tiles, bokeh or clouds: one of several kinds."""
    kinds = (_clouds, _room, _stripes, _bokeh, _shapes)
    made = kinds[rng.integers(len(kinds))](rng, width, height)
    grain = rng.normal(0, between(rng, (0, 6)), (height, width, 1))
    return np.clip(made + grain, 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator) -> Array:
    grey = between(rng, (20, 235))
    return np.clip(grey + rng.normal(0, 28, 3), 0, 255)


def _clouds(rng: np.random.Generator, width: int, height: int) -> Array:
    field: Array = np.zeros((height, width), np.float32)
    for octave in range(2, 7):
        small = rng.normal(0, 1, (2**octave, 2**octave)).astype(np.float32)
        field += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) / 1.6**octave
    part = (field - field.min()) / (np.ptp(field) + 1e-6)
    return np.asarray(part[..., None] * _colour(rng) + (1 - part[..., None]) * _colour(rng))


def _room(rng: np.random.Generator, width: int, height: int) -> Array:
    canvas = np.tile(_colour(rng), (height, width, 1))
    floor = int(height * between(rng, (0.6, 0.95)))
    canvas[floor:] = _colour(rng)
    for _ in range(int(rng.integers(2, 9))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = int(width * between(rng, (0.03, 0.4))), int(height * between(rng, (0.05, 0.7)))
        cv2.rectangle(canvas, (x, y), (x + w, y + h), _colour(rng).tolist(), -1)
        cv2.rectangle(canvas, (x, y), (x + w, y + h), _colour(rng).tolist(), int(rng.integers(1, 4)))
    slope = np.linspace(between(rng, (0.6, 1)), 1, width)[None, :, None]
    return np.asarray(canvas * slope)


def _stripes(rng: np.random.Generator, width: int, height: int) -> Array:
    angle, period = between(rng, (0, np.pi)), between(rng, (4, width / 6))
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    part = 1 / (1 + np.exp(-wave * between(rng, (1, 12))))
    return np.asarray(part[..., None] * _colour(rng) + (1 - part[..., None]) * _colour(rng))


def _bokeh(rng: np.random.Generator, width: int, height: int) -> Array:
    canvas = np.tile(_colour(rng) * 0.5, (height, width, 1))
    for _ in range(int(rng.integers(8, 40))):
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        radius = int(height * between(rng, (0.02, 0.14)))
        spot = canvas.copy()
        cv2.circle(spot, centre, radius, _colour(rng).tolist(), -1)
        canvas += (spot - canvas) * between(rng, (0.2, 0.8))
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), between(rng, (0.5, 4))))


def _shapes(rng: np.random.Generator, width: int, height: int) -> Array:
    canvas = _clouds(rng, width, height)
    for _ in range(int(rng.integers(6, 40))):
        centre = (float(rng.integers(0, width)), float(rng.integers(0, height)))
        axes = (height * between(rng, (0.02, 0.4)), height * between(rng, (0.02, 0.4)))
        thick = -1 if chance(rng, 0.6) else int(rng.integers(1, 5))
        cv2.ellipse(canvas, (centre, axes, between(rng, (0, 180))), _colour(rng).tolist(), thick)
    return canvas
