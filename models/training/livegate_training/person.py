"""One cut-out person: what scenes are composed of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.pose import Pose, rolled

Array = NDArray[Any]
BOX_SIDE, BOX_ABOVE, BOX_BELOW = -0.02, 0.38, -0.01
"""How far a face box reaches beyond the 68 landmarks, in parts of their width and height."""
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
FLIPPED = np.array(
    (
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *range(67, 64, -1),
    )
)
"""Where each of the 68 landmarks is found in a mirrored picture."""


@dataclass(frozen=True, slots=True)
class Person:
    """A cut-out: pixels (H, W, 4) uint8 BGR and cover, landmarks (68, 2) float32 in pixels, pose."""

    pixels: Array
    points: Array
    pose: Pose
    identity: str

    def moved(self, matrix: Array, width: int, height: int) -> Person:
        """The person under a similarity (2, 3), in a picture of that size."""
        scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        pixels = _sharply_reduced(self.pixels, scale)
        shrunk = pixels.shape[1] / self.pixels.shape[1], pixels.shape[0] / self.pixels.shape[0]
        to_small = np.diag((1 / shrunk[0], 1 / shrunk[1], 1.0))
        warped = cv2.warpAffine(pixels, matrix @ to_small, (width, height), flags=cv2.INTER_LINEAR)
        angle = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
        return Person(warped, at(self.points, matrix), rolled(self.pose, angle), self.identity)

    def mirrored(self) -> Person:
        """Left and right exchanged."""
        points = self.points[FLIPPED] * (-1, 1) + (self.pixels.shape[1] - 1, 0)
        pose = Pose(-self.pose.yaw_deg, self.pose.pitch_deg, -self.pose.roll_deg)
        flipped = np.ascontiguousarray(self.pixels[:, ::-1])
        return Person(flipped, points.astype(np.float32), pose, self.identity)


def at(points: Array, matrix: Array) -> Array:
    """(K, 2) points under a (2, 3) map, float32."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def box_from_points(points: Array) -> tuple[float, float, float, float]:
    """Left, top, width, height of the face box that the 68 landmarks tell of.

    The margins are the mean ones of the reference detector over the portraits.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = high - low
    left, right = low[0] - BOX_SIDE * width, high[0] + BOX_SIDE * width
    top, bottom = low[1] - BOX_ABOVE * height, high[1] + BOX_BELOW * height
    return float(left), float(top), float(right - left), float(bottom - top)


def five_from_points(points: Array) -> Array:
    """(5, 2): eyes, nose tip, mouth corners, the image's left before its right."""
    eyes = (points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0))
    return np.stack((*eyes, points[30], points[48], points[54]))


def eye_roll(points: Array) -> float:
    """Degrees by which the line of the eyes is turned clockwise."""
    left, right = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    return float(np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0])))


def _sharply_reduced(pixels: Array, scale: float) -> Array:
    """Averaged down before a strong reduction, as a lens and a sensor do; else the pixels themselves."""
    if scale >= 0.6:
        return pixels
    size = (max(2, round(pixels.shape[1] * scale * 1.3)), max(2, round(pixels.shape[0] * scale * 1.3)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
