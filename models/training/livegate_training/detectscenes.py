"""Samples of the detector: small kiosk scenes with boxes and five landmarks, and scenes of nobody.

Scenes are composed at the size of the network's input, where a face is as large as the network sees
it. Besides people there are their outlines filled with something else, so that an outline is no face.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.backgrounds import Backgrounds
from livegate_training.camera import CameraRanges, photograph, shot_from
from livegate_training.people import People
from livegate_training.person import Person, box_from_points, five_from_points
from livegate_training.scene import Scene, crowd, filling, paste, place
from livegate_training.seeds import between, between_log, chance, seeded
from livegate_training.shards import Maker, Sample
from livegate_training.worn import dressed

Array = NDArray[Any]
SIDE = 192
MAX_FACES = 6
WORN = (0.15, 0.1, 0.08)
WHOLE = 0.12
"""Part of the scenes that are one portrait as it was taken."""
NOBODY, CLOSE_UP = 0.25, 0.13
"""Of the others: without a face; with one that fills 60..115 % of the picture."""
FACES = (10.0, 120.0)
"""Pixels of face height in the other scenes."""


def scene_maker(people: People, places: Backgrounds, camera: CameraRanges, name: str) -> Maker:
    """Makes sample n: pixels (192, 192, 3), faces (6, 14) as left, top, width, height, five points;
    rows of zeros where there is nobody."""

    def make(number: int) -> Sample:
        rng = seeded("scene", name, number)
        width, height = _inside(rng)
        if chance(rng, WHOLE):
            return _sample(_whole(people, width, height, rng), rng, camera)
        light = places.make(rng, width, height)
        for _ in range(int(rng.choice((0, 0, 1, 2)))):
            light = paste(light, _ghost(people, places, width, height, rng))
        heights = _heights(rng, height)
        crew = [dressed(people.make(rng), rng, WORN) for _ in heights]
        return _sample(crowd(crew, light, heights, rng), rng, camera)

    return make


def _sample(scene: Scene, rng: np.random.Generator, camera: CameraRanges) -> Sample:
    height, width = scene.light.shape[:2]
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:height, :width] = photograph(scene.light, shot_from(rng, camera), scale=0.35)
    return {"pixels": pixels, "faces": rows_of(scene.faces)}


def _whole(people: People, width: int, height: int, rng: np.random.Generator) -> Scene:
    """A portrait before its own wall, filling the picture: the one scene without a seam."""
    person = dressed(people.whole(rng), rng, WORN)
    centre = between(rng, (0.3, 0.7)) * width, between(rng, (0.35, 0.65)) * height
    one = filling(person, (width, height), centre, between(rng, (0.3, 1.0)) * height, rng.normal(0, 9))
    return Scene(np.ascontiguousarray(one.pixels[..., :3]), (one.points,))


def rows_of(faces: tuple[Array, ...]) -> Array:
    """(6, 14) float32 from the landmarks (68, 2) of up to six faces."""
    rows = np.zeros((MAX_FACES, 14), np.float32)
    for row, points in zip(rows, faces[:MAX_FACES], strict=False):
        row[:4] = box_from_points(points)
        row[4:] = five_from_points(points).reshape(-1)
    return rows


def _inside(rng: np.random.Generator) -> tuple[int, int]:
    """Mostly the whole square; else a letterboxed picture in its top left."""
    roll = rng.random()
    if roll < 0.5:
        return SIDE, SIDE
    short = round(SIDE * between(rng, (0.56, 1)))
    return (SIDE, short) if roll < 0.8 else (short, SIDE)


def _heights(rng: np.random.Generator, height: int) -> list[float]:
    """Face heights as parts of the picture's height."""
    roll = rng.random()
    if roll < NOBODY:
        return []
    if roll < NOBODY + CLOSE_UP:
        return [between(rng, (0.6, 1.15))]
    count = int(rng.choice((1, 1, 2, 2, 3, 4, 5)))
    return [between_log(rng, FACES) / height for _ in range(count)]


def _ghost(
    people: People, places: Backgrounds, width: int, height: int, rng: np.random.Generator
) -> Person:
    """The outline of a person filled with a piece of background, or only what is below the chin."""
    person = people.make(rng)
    if chance(rng, 0.5):
        tall, wide = person.pixels.shape[:2]
        person = replace(person, pixels=np.dstack((places.make(rng, wide, tall), person.pixels[..., 3])))
    else:
        pixels = person.pixels.copy()
        pixels[: int(person.points[:, 1].max() + 0.05 * np.ptp(person.points[:, 1])), :, 3] = 0
        pixels[..., 3] = cv2.GaussianBlur(pixels[..., 3], (0, 0), 1.0)
        person = replace(person, pixels=pixels)
    size = between_log(rng, FACES)
    centre = between(rng, (0, width)), between(rng, (0, height))
    return place(person, (width, height), centre, size, float(rng.normal(0, 15)))
