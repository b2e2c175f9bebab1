"""Kiosk scenes: one to five people before a background, faces of any size, truth beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.person import Person, box_from_points
from livegate_training.seeds import between

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """Light (H, W, 3) uint8 before the camera, and the landmarks (68, 2) of each face in it."""

    light: Array
    faces: tuple[Array, ...]


def place(
    person: Person,
    size: tuple[int, int],
    centre: tuple[float, float],
    face_height: float,
    turn_deg: float,
) -> Person:
    """A person with the middle of the face at `centre` and the face so high, in a picture of `size`."""
    left, top, width, height = box_from_points(person.points)
    middle = left + width / 2, top + height / 2
    matrix: Array = cv2.getRotationMatrix2D(middle, turn_deg, face_height / height)
    matrix[:, 2] += np.array(centre) - middle
    return with_body(person).moved(matrix, *size)


def with_body(person: Person) -> Person:
    """The person with the lowest row of pixels drawn on downwards, so that nobody ends at the chest."""
    below = person.pixels.shape[0]
    pixels = cv2.copyMakeBorder(person.pixels, 0, below, 0, 0, cv2.BORDER_REPLICATE)
    return Person(pixels, person.points, person.pose, person.identity)


def filling(
    person: Person,
    size: tuple[int, int],
    centre: tuple[float, float],
    face_height: float,
    turn_deg: float,
) -> Person:
    """As `place`, for a picture that must cover all of `size`: larger or elsewhere where it must."""
    tall, wide = person.pixels.shape[:2]
    left, top, width, height = box_from_points(person.points)
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    seen = np.array((size[0] * abs(cos) + size[1] * abs(sin), size[0] * abs(sin) + size[1] * abs(cos)))
    within = np.array((wide - 4, tall - 4))
    scale = max(face_height / height, float((seen / within).max()))
    backward = np.array(((cos, -sin), (sin, cos))) / scale
    middle = np.array(size) / 2
    wished = np.array((left + width / 2, top + height / 2)) + backward @ (middle - np.array(centre))
    half = seen / scale / 2
    there = np.clip(wished, half + 1, np.array((wide, tall)) - half - 2)
    matrix: Array = np.zeros((2, 3))
    matrix[:, :2] = np.linalg.inv(backward)
    matrix[:, 2] = middle - matrix[:, :2] @ there
    return person.moved(matrix, *size)


def paste(light: Array, person: Person) -> Array:
    """The person, already moved into the picture's pixels, in front of it; (H, W, 3) uint8."""
    cover = person.pixels[..., 3]
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    if not len(rows):
        return light
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    share = cover[part][..., None].astype(np.uint16)
    mixed = light[part] * (255 - share) + person.pixels[part][..., :3] * share
    made = light.copy()
    made[part] = (mixed // 255).astype(np.uint8)
    return made


def crowd(
    people: list[Person],
    light: Array,
    heights: list[float],
    rng: np.random.Generator,
    *,
    tries: int = 12,
) -> Scene:
    """Paste people at free places, the highest face last; never a body over a face that is labelled.

    `heights` are parts of the picture's height; a person without a free place is left out.
    """
    rows, columns = light.shape[:2]
    faces: list[Array] = []
    boxes: list[Array] = []
    order = np.argsort(heights)
    for number in order:
        high = heights[number] * rows
        for _ in range(tries):
            centre = _centre(rng, columns, rows, high)
            one = place(people[number], (columns, rows), centre, high, float(rng.normal(0, 9)))
            if not any(_hidden(box, one.pixels[..., 3]) for box in boxes):
                light = paste(light, one)
                faces.append(one.points)
                boxes.append(np.array(box_from_points(one.points)))
                break
    return Scene(light, tuple(faces))


def _centre(rng: np.random.Generator, width: int, height: int, face: float) -> tuple[float, float]:
    """Somewhere with the whole face in the picture, or in its middle when there is no room."""
    half_x, half_y = 0.42 * face, 0.52 * face
    x = between(rng, (half_x, width - half_x)) if width > 2 * half_x else width / 2
    y = between(rng, (half_y, height - half_y)) if height > 2 * half_y else height / 2
    return x, y


def _hidden(box: Array, cover: Array) -> bool:
    x, y, w, h = (int(v) for v in box)
    grown = cover[max(0, y - h // 8) : y + h + h // 8, max(0, x - w // 8) : x + w + w // 8]
    return bool(grown.size == 0 or (grown > 60).mean() > 0.02)
