"""People and places made by hand, for the tests of the training recipe: no folder is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from livegate_training.backgrounds import Backgrounds
from livegate_training.person import Person
from livegate_training.pose import Pose
from livegate_training.shards import Maker, Sample


def marks(side: float = 60.0) -> np.ndarray:
    """68 landmarks of a made-up upright face, `side` pixels wide, about (100, 90)."""
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.3, 0.3, (68, 2))
    jaw = np.linspace(0, np.pi, 17)
    points[:17] = np.stack((-np.cos(jaw) * 0.5, np.sin(jaw) * 0.5), axis=1)
    points[36:42] = (-0.2, -0.15) + 0.05 * _ring(6)
    points[42:48] = (0.2, -0.15) + 0.05 * _ring(6)
    points[48:60] = (0, 0.25) + 0.12 * _ring(12)
    points[60:68] = (0, 0.25) + 0.07 * _ring(8)
    points[30] = (0, 0.08)
    return (points * side + (100, 90)).astype(np.float32)


def _ring(count: int) -> np.ndarray:
    angle = np.pi + np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack((np.cos(angle), np.sin(angle)), axis=1)


def person(colour: tuple[int, int, int] = (80, 120, 200), side: float = 60.0) -> Person:
    """A disc of one colour with landmarks, 200x220 pixels."""
    pixels = np.zeros((220, 200, 4), np.uint8)
    cv2.ellipse(pixels, ((100.0, 90.0), (side * 1.2, side * 1.5), 0.0), (*colour, 255), -1)
    return Person(pixels, marks(side), Pose(5.0, -3.0, 0.0), "nobody")


class OnePerson:
    """People of whom there is one."""

    def make(self, rng: np.random.Generator) -> Person:
        """Him."""
        return person()

    def whole(self, rng: np.random.Generator) -> Person:
        """Him before a wall."""
        one = person()
        pixels = np.where(one.pixels[..., 3:] > 0, one.pixels, np.uint8(180))
        pixels[..., 3] = 255
        return replace(one, pixels=pixels)


def places() -> Backgrounds:
    """Textures only."""
    return Backgrounds(())


def numbers(offset: int) -> Maker:
    """A maker of sample n: n, and n + offset."""

    def make(number: int) -> Sample:
        return {"n": np.array(number), "more": np.array([number + offset])}

    return make


Making = Callable[..., Any]
