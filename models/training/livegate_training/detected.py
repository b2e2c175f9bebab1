"""A face as a detector would report it: the truth with a detector's errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from livegate.core.results import Box, Face
from livegate_training.person import box_from_points, five_from_points
from livegate_training.seeds import between

Array = NDArray[Any]


def detected(points: Array, rng: np.random.Generator, *, jitter: float) -> Face:
    """The face of 68 landmarks; `jitter` 0 is exact, 1 as bad as a small detector."""
    left, top, width, height = box_from_points(points)
    side = max(width, height)
    x, y = np.array((left + width / 2, top + height / 2)) + rng.normal(0, 0.05 * jitter * side, 2)
    grown = 1 + jitter * between(rng, (-0.12, 0.14))
    eyes = five_from_points(points) + rng.normal(0, 0.015 * jitter * side, (5, 2))
    w, h = width * grown, height * grown
    box = Box(float(x - w / 2), float(y - h / 2), float(w), float(h))
    return Face(box, tuple((float(a), float(b)) for a, b in eyes), 1.0)
