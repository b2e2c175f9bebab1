"""What people wear or hold before their faces: glasses, masks, hands, drawn from the landmarks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.person import Person
from livegate_training.seeds import between, chance

Array = NDArray[Any]
SKINS = ((150, 178, 222), (128, 160, 205), (95, 130, 182), (60, 85, 135))


def dressed(person: Person, rng: np.random.Generator, odds: tuple[float, float, float]) -> Person:
    """A person with glasses, a mask or a hand, each with its odds; landmarks stay where they are."""
    pixels = person.pixels
    if chance(rng, odds[0]):
        pixels = _with_glasses(pixels, person.points, rng)
    if chance(rng, odds[1]):
        pixels = _with_mask(pixels, person.points, rng)
    if chance(rng, odds[2]):
        pixels = _with_hand(pixels, person.points, rng)
    return replace(person, pixels=pixels)


def _with_glasses(pixels: Array, points: Array, rng: np.random.Generator) -> Array:
    drawn = np.ascontiguousarray(pixels[..., :3])
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    apart = float(np.linalg.norm(right - left))
    axes = (apart * between(rng, (0.55, 0.85)), apart * between(rng, (0.4, 0.65)))
    angle = float(np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0])))
    colour = (rng.uniform(0, 90, 3)).tolist()
    thick = max(1, round(apart * between(rng, (0.02, 0.09))))
    is_dark, glass = chance(rng, 0.25), drawn.copy()
    for centre in (left, right):
        ellipse: Any = ((float(centre[0]), float(centre[1])), axes, angle)
        cv2.ellipse(glass, ellipse, (25, 22, 20) if is_dark else (235, 235, 235), -1)
        cv2.ellipse(drawn, ellipse, colour, thick, cv2.LINE_AA)
    drawn = cv2.addWeighted(drawn, 0.25 if is_dark else 0.9, glass, 0.75 if is_dark else 0.1, 0)
    bridge = [
        tuple(int(v) for v in p) for p in (left + (right - left) * 0.35, left + (right - left) * 0.65)
    ]
    cv2.line(drawn, bridge[0], bridge[1], colour, thick, cv2.LINE_AA)
    return np.dstack((drawn, pixels[..., 3]))


def _with_mask(pixels: Array, points: Array, rng: np.random.Generator) -> Array:
    drawn = np.ascontiguousarray(pixels[..., :3])
    edge = np.concatenate((points[2:15], points[28:29] * 0.6 + points[29:30] * 0.4))
    colour = rng.uniform(60, 250, 3) if chance(rng, 0.5) else np.array((225.0, 215.0, 190.0))
    cv2.fillPoly(drawn, [np.round(edge * 16).astype(np.int32)], colour.tolist(), cv2.LINE_AA, 4)
    for part in (0.35, 0.6):
        fold = points[2:15] * (1 - part) + points[30] * part
        cv2.polylines(
            drawn,
            [np.round(fold * 16).astype(np.int32)],
            False,
            (colour * 0.85).tolist(),
            1,
            cv2.LINE_AA,
            4,
        )
    return np.dstack((drawn, pixels[..., 3]))


def _with_hand(pixels: Array, points: Array, rng: np.random.Generator) -> Array:
    low, high = points.min(axis=0), points.max(axis=0)
    side = float(high[0] - low[0])
    where = low + (high - low) * (rng.uniform(-0.1, 1.1), rng.uniform(0.55, 1.2))
    layer = np.zeros((*pixels.shape[:2], 4), np.uint8)
    draw_fingers(layer, where, side * between(rng, (0.5, 0.9)), between(rng, (-60, 60)), rng)
    cover = layer[..., 3:] / 255.0
    mixed = pixels[..., :3] * (1 - cover) + layer[..., :3] * cover
    return np.dstack((mixed.astype(np.uint8), np.maximum(pixels[..., 3], layer[..., 3])))


def draw_fingers(
    layer: Array, tip: Array, length: float, angle_deg: float, rng: np.random.Generator
) -> None:
    """Three or four fingers that end at `tip`, coming from below turned by an angle, onto (H, W, 4)."""
    skin = np.array(SKINS[rng.integers(len(SKINS))]) * between(rng, (0.8, 1.1))
    angle = np.radians(angle_deg)
    along = np.array((np.sin(angle), np.cos(angle)))
    across = np.array((along[1], -along[0]))
    thick = max(2, round(length * 0.2))
    for finger in range(int(rng.integers(3, 5))):
        end = tip + across * (finger - 1.5) * thick * 1.05 + along * abs(finger - 1.3) * thick * 0.5
        start = end + along * length + across * rng.normal(0, thick * 0.2)
        for shrink, shade in ((1.0, 0.72), (0.78, 1.0)):
            colour = (*np.clip(skin * shade, 0, 255).tolist(), 255)
            first, second = (tuple(int(v) for v in point) for point in (start, end))
            cv2.line(layer, first, second, colour, max(1, round(thick * shrink)), cv2.LINE_AA)
