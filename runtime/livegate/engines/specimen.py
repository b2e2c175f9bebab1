"""Drawn faces, the same on every machine: what engines are proved on.

A face, because a detector that sees nothing answers next to zero whatever is wrong with it. Drawn,
because nobody's photograph has to travel with the package. Random numbers come from SHAKE-256 and the
strokes from additions, products and comparisons of doubles, which IEEE 754 gives one result: so every
version of NumPy on every processor draws the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from livegate.engines.base import Array
from livegate.manifests.schema import InputTensor, Network

DRAWING = 1
"""Counts changes of what is drawn: golden outputs of another one are of other pictures."""
TILES = 16
Reals = NDArray[np.float64]


def golden_inputs(network: Network) -> Iterator[Array]:
    """The input tensors that a network is proved on, in the manifest's layout, order and scale."""
    for pixels in golden_pictures(network):
        yield _tensor(pixels, network.input)


def golden_pictures(network: Network) -> Iterator[NDArray[np.uint8]]:
    """The same as pictures, (H, W, 3) uint8 BGR."""
    recipe = network.golden
    height, width = recipe.sides
    for number in range(recipe.pictures):
        # Free sides change places, so that an engine shows whether it follows them.
        sides = (height, width) if number % 2 == 0 else (width, height)
        told = (network.input.height, network.input.width)
        rows, columns = (
            side if isinstance(name, str) else name for name, side in zip(told, sides, strict=True)
        )
        yield draw_face(recipe.seed, number, rows, columns)


def _tensor(pixels: NDArray[np.uint8], spec: InputTensor) -> Array:
    """One picture as a batch of one."""
    if spec.is_picture:
        return pixels[None]
    ordered = pixels if spec.colour == "BGR" else pixels[..., ::-1]
    scaled = ordered.astype(np.float32) * np.array(spec.scale, np.float32)
    scaled -= np.array(spec.mean, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def draw_face(seed: int, number: int, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 BGR: a face before coloured tiles; `seed` and `number` choose which."""
    dice = hashlib.shake_256(f"livegate specimen {seed} {number}".encode()).digest(32 + 3 * TILES**2)
    thrown = np.frombuffer(dice, np.uint8) / 255.0
    canvas = _Canvas(height, width, thrown[32:].reshape(TILES, TILES, 3), thrown[:32])
    pick = canvas.pick
    skin = np.array([pick(90, 150), pick(120, 180), pick(170, 230)])
    across, along = pick(0.26, 0.32), pick(0.36, 0.42)
    canvas.stroke((0, -0.06), (across * 1.15, along * 1.12), skin * 0.25)
    canvas.stroke((0, 0.03), (across, along), skin)
    canvas.shade((0, 0.03), (across, along), pick(-1, 1))
    eyes, level = pick(0.38, 0.45) * across, pick(-0.08, -0.04)
    for side in (-1, 1):
        canvas.stroke((side * eyes, level - 0.075), (across * 0.28, along * 0.05), skin * 0.3, 0.5)
        canvas.stroke((side * eyes, level), (across * 0.2, along * 0.075), np.full(3, 235.0), 0.4)
        canvas.stroke((side * eyes, level), (across * 0.09, along * 0.07), np.full(3, 35.0), 0.4)
        canvas.stroke((side * across * 0.09, level + 0.19), (across * 0.06, along * 0.04), skin * 0.4)
    canvas.stroke((0, level + 0.13), (across * 0.12, along * 0.18), skin * 0.85, 0.8)
    lips = (across * pick(0.3, 0.45), along * pick(0.06, 0.11))
    canvas.stroke((0, level + 0.29), lips, np.array([90.0, 80.0, 170.0]), 0.5)
    canvas.stroke((0, level + 0.29), (across * 0.3, along * 0.02), np.array([40.0, 30.0, 80.0]), 0.5)
    return canvas.pixels()


class _Canvas:
    """A picture that is being drawn; places and sizes are parts of its shorter side, from its centre."""

    def __init__(self, height: int, width: int, tiles: Reals, dice: Reals) -> None:
        """Coloured tiles, and a centre and a tilt for what comes on them."""
        self._dice = iter(dice)
        rows, columns = np.arange(height) * TILES // height, np.arange(width) * TILES // width
        self._colours = tiles[rows][:, columns] * 160.0 + 40.0
        side, tilt = min(height, width), self.pick(-0.15, 0.15)
        y = (np.arange(height)[:, None] - height * self.pick(0.46, 0.54)) / side
        x = (np.arange(width)[None] - width * self.pick(0.46, 0.54)) / side
        self._x, self._y = x + tilt * y, y - tilt * x

    def pick(self, low: float, high: float) -> float:
        """The next random number, low..high."""
        return low + (high - low) * float(next(self._dice))

    def stroke(
        self, centre: tuple[float, float], radii: tuple[float, float], colour: Reals, soft: float = 0.15
    ) -> None:
        """An ellipse; `soft` is how much of it fades into what lies below."""
        cover = np.clip((1.0 - self._distance(centre, radii)) / soft, 0.0, 1.0)[..., None]
        self._colours = self._colours * (1.0 - cover) + colour * cover

    def shade(self, centre: tuple[float, float], radii: tuple[float, float], light: float) -> None:
        """Light from one side on an ellipse."""
        fall = np.clip(self._x / radii[0] * light + 0.2, -1.0, 1.0)[..., None]
        inside = self._distance(centre, radii)[..., None] < 1.0
        self._colours = np.where(inside, self._colours * (1.0 - 0.35 * fall), self._colours)

    def pixels(self) -> NDArray[np.uint8]:
        """The picture as bytes."""
        return np.clip(np.rint(self._colours), 0, 255).astype(np.uint8)

    def _distance(self, centre: tuple[float, float], radii: tuple[float, float]) -> Reals:
        across, along = (self._x - centre[0]) / radii[0], (self._y - centre[1]) / radii[1]
        return across * across + along * along
