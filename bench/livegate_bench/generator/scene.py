"""What a camera of the bench shows: a person before a wall, with a camera's noise in every frame.

A server looks at a frame in full only where it may show something new, so what is shown decides what a
fleet costs. `turnstile` is the default: somebody comes, stands, goes, and nobody is there for a moment.
`sway` moves all the time, the most that can be asked for; `still` is somebody who waits.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from livegate_bench.picture import FRAME_HEIGHT, FRAME_WIDTH, decoded_portrait

Kind = Literal["turnstile", "still", "sway"]
KINDS: tuple[Kind, ...] = ("turnstile", "still", "sway")
PERIOD_S = 6.0
COMES_S, STANDS_S, GOES_S = 1.0, 3.0, 1.0
"""Of a period; nobody is there for the rest of it."""
BREATH_PX, BREATH_HZ = 3.0, 0.4
SWAY_PX, SWAY_HZ = 160.0, 1.0
NOISE = 3
VARIANTS = 4
GREY = 96


class Scene:
    """Frames for any moment. Safe for many threads."""

    def __init__(self, picture: bytes, kind: Kind, seed: int) -> None:
        """Draw some noise: drawing it for each frame would cost more than judging does."""
        self._kind = kind
        draw = np.random.default_rng(seed)
        wall = np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), GREY, np.uint8)
        self._walls = [_noisy(wall, draw) for _ in range(VARIANTS)]
        self._persons = [_noisy(decoded_portrait(picture), draw) for _ in range(VARIANTS)]

    def paint(self, pixels: Any, number: int, time_s: float) -> None:
        """Write frame `number`, as it is at a time, into (720, 1280, 3) uint8 BGR."""
        pixels[:] = self._walls[number % VARIANTS]
        person = self._persons[number % VARIANTS]
        height, width = person.shape[:2]
        left = left_at(self._kind, time_s, width)
        if left is None:
            return
        top, first, last = (FRAME_HEIGHT - height) // 2, max(0, left), min(FRAME_WIDTH, left + width)
        if last > first:
            pixels[top : top + height, first:last] = person[:, first - left : last - left]


def left_at(kind: Kind, time_s: float, width: int) -> int | None:
    """Where a person's left edge is, in pixels, may be outside; None while nobody is there."""
    middle = (FRAME_WIDTH - width) / 2
    if kind == "sway":
        return round(middle + SWAY_PX * math.sin(2 * math.pi * SWAY_HZ * time_s))
    breath = BREATH_PX * math.sin(2 * math.pi * BREATH_HZ * time_s)
    if kind == "still":
        return round(middle + breath)
    moment_s = time_s % PERIOD_S
    if moment_s < COMES_S:
        return round(-width + (middle + width) * moment_s / COMES_S)
    moment_s -= COMES_S
    if moment_s < STANDS_S:
        return round(middle + breath)
    moment_s -= STANDS_S
    if moment_s < GOES_S:
        return round(middle + (FRAME_WIDTH - middle) * moment_s / GOES_S)
    return None


def _noisy(pixels: Any, draw: np.random.Generator) -> Any:
    noise = draw.integers(-NOISE, NOISE + 1, pixels.shape, np.int16)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)
