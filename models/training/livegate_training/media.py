"""A picture of a person as paper or as a screen: what an attacker holds before the camera.

Print: ink's gamut and black, halftone screens at four angles, paper margins, curl with its shade, cut
edges, eye holes. Replay: a display raster of red, green and blue stripes that the camera samples anew
(moire comes out of that sampling, it is not drawn), gamma, colour temperature, glare, bezel, and the
first JPEG of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.attackranges import AttackRanges, Finish, Ink
from livegate_training.camera import jpeg
from livegate_training.seeds import between, chance

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Medium:
    """A flat thing: pixels (H, W, 4) uint8, and the landmarks (68, 2) of the face that it shows."""

    pixels: Array
    points: Array


def print_of(
    picture: Array,
    cover: Array,
    points: Array,
    ranges: AttackRanges,
    finish: Finish,
    rng: np.random.Generator,
) -> Medium:
    """A picture (H, W, 3) with the person's cover (H, W) as a sheet of paper."""
    inked = _halftone(_gamut(picture, ranges, rng), ranges, finish, rng)
    if finish.grain is not None:
        inked = _grained(inked, between(rng, finish.grain), rng)
    paper: Array = np.full(picture.shape[:2], 255, np.uint8)
    if chance(rng, ranges.cut_out_odds):
        grown = cv2.dilate(cover, np.ones((9, 9), np.uint8))
        paper = cv2.threshold(cv2.GaussianBlur(grown, (0, 0), 4), 110, 255, cv2.THRESH_BINARY)[1]
    if chance(rng, ranges.eye_holes_odds):
        inked = _eye_holes(inked, points, rng)
    sheet = np.dstack((inked, paper))
    if chance(rng, ranges.margin_odds) and paper.min() == 255:
        wide = int(between(rng, ranges.margin) * picture.shape[1])
        white = float(rng.uniform(200, 255))
        sheet = cv2.copyMakeBorder(
            sheet, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=(white, white, white, 255)
        )
        points = points + wide
    return _curled(Medium(sheet, points.astype(np.float32)), ranges, rng)


def screen_of(
    picture: Array,
    points: Array,
    reflection: Array,
    ranges: AttackRanges,
    finish: Finish,
    rng: np.random.Generator,
) -> Medium:
    """A picture (H, W, 3) on a display that mirrors `reflection` (any size)."""
    shown = jpeg(picture, int(rng.integers(40, 96)))
    blue = between(rng, ranges.blue)
    tint = np.array((blue, 1.0, 1 / blue))
    steps = np.linspace(0, 1, 256) ** between(rng, (0.75, 1.35))
    lift = between(rng, (0, 25))
    table = np.clip(lift + (255 - lift) * steps[:, None] * tint * between(rng, (0.85, 1.25)), 0, 255)
    shown = cv2.LUT(shown, table.astype(np.uint8)[None])
    raster = _raster(shown, ranges, finish, rng)
    if chance(rng, ranges.glare_odds):
        raster = _glare(raster, reflection, between(rng, ranges.glare), rng)
    grown = raster.shape[1] / picture.shape[1]
    return _framed(raster, (points + 0.5) * grown - 0.5, ranges, rng)


def _gamut(picture: Array, ranges: AttackRanges, rng: np.random.Generator) -> Array:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None].astype(np.float32)
    # Stronger colours than the picture's may leave the range.
    colour = np.clip(grey + (picture - grey) * between(rng, ranges.saturation), 0, 255)
    black, white = between(rng, ranges.black), rng.uniform(205, 255, 3)
    toned = (colour / 255) ** between(rng, (0.8, 1.3)) * (white - black) + black
    return np.clip(toned, 0, 255).astype(np.float32)


def _halftone(inked: Array, ranges: AttackRanges, finish: Finish, rng: np.random.Generator) -> Array:
    if not chance(rng, ranges.dot_odds):
        return inked.astype(np.uint8)
    period, strength = between(rng, ranges.dot), between(rng, ranges.dot_strength)
    ink = _one_of(finish.inks, rng)
    made = inked.copy()
    for channel, angle in enumerate(np.radians((15, 75, 45)) + rng.normal(0, 0.1)):
        screen = _screen(ink, inked.shape[:2], period, angle, rng)
        dots = 255 / (1 + np.exp(-(inked[..., channel] - screen) / 18))
        made[..., channel] += strength * (dots - made[..., channel])
    return np.clip(made, 0, 255).astype(np.uint8)


def _screen(
    ink: Ink, shape: tuple[int, ...], period: float, angle: float, rng: np.random.Generator
) -> Array:
    """(H, W) 0..255: where the tone of a pixel is above, there is paper, else ink."""
    height, width = shape
    if ink == "dither":
        rows, columns = (max(1, round(2 * side / period)) for side in shape)
        noise = rng.uniform(0, 255, (rows, columns)).astype(np.float32)
        return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    waves = np.cos(2 * np.pi * u / period), np.cos(2 * np.pi * v / period)
    return np.asarray(127.5 + (127.4 * waves[0] if ink == "lines" else 63.7 * (waves[0] + waves[1])))


def _grained(inked: Array, strength: float, rng: np.random.Generator) -> Array:
    """Fibres of the paper: a soft random relief."""
    relief = cv2.GaussianBlur(rng.standard_normal(inked.shape[:2], np.float32), (0, 0), 0.9)
    gain = 1 + 3 * np.float32(strength) * relief
    return np.asarray(cv2.multiply(inked, cv2.merge([gain] * 3), dtype=cv2.CV_8U))


def _one_of(names: tuple[Any, ...], rng: np.random.Generator) -> Any:
    """One of several names; nothing is drawn for a single one."""
    return names[rng.integers(len(names))] if len(names) > 1 else names[0]


def _eye_holes(inked: Array, points: Array, rng: np.random.Generator) -> Array:
    """Cut where the eyes are; another person's skin and eyes show."""
    made = np.ascontiguousarray(inked)
    for eye in (slice(36, 42), slice(42, 48)):
        centre, wide = points[eye].mean(axis=0), float(np.ptp(points[eye][:, 0]))
        ellipse: Any = ((float(centre[0]), float(centre[1])), (wide * 1.5, wide * 0.9), 0.0)
        cv2.ellipse(made, ellipse, rng.uniform(50, 190, 3).tolist(), -1, cv2.LINE_AA)
        cv2.circle(made, (int(centre[0]), int(centre[1])), max(1, int(wide * 0.22)), (25, 25, 30), -1)
        cv2.ellipse(made, ellipse, (235, 235, 235), 1, cv2.LINE_AA)
    return made


def _curled(sheet: Medium, ranges: AttackRanges, rng: np.random.Generator) -> Medium:
    """A bent sheet: columns move, the bend has a light and a dark side."""
    height, width = sheet.pixels.shape[:2]
    bend, phase = between(rng, ranges.curl), between(rng, (0, 2 * np.pi))
    turns = between(rng, (0.5, 1.3))
    column = np.arange(width, dtype=np.float32)
    wave = 2 * np.pi * turns * column / width + phase
    lift = (np.sin(wave) * bend * height * 0.35).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    pixels = cv2.remap(sheet.pixels, x, y + lift[None], cv2.INTER_LINEAR)
    shade = (1 + 4 * bend * np.cos(wave))[None, :, None]
    pixels[..., :3] = np.clip(pixels[..., :3] * shade, 0, 255).astype(np.uint8)
    moved = lift[np.clip(sheet.points[:, 0].astype(int), 0, width - 1)]
    return Medium(pixels, sheet.points - np.stack((np.zeros(68), moved), axis=1).astype(np.float32))


def _raster(shown: Array, ranges: AttackRanges, finish: Finish, rng: np.random.Generator) -> Array:
    """Each pixel of the display as its lights, mixed with the plain picture by a strength."""
    across = int(between(rng, ranges.raster))
    down = max(2, round(shown.shape[0] * across / shown.shape[1]))
    small = cv2.resize(shown, (across, down), interpolation=cv2.INTER_AREA)
    if not chance(rng, ranges.grid_odds):
        return small
    strength = between(rng, ranges.grid_strength)
    large = np.repeat(np.repeat(small, 3, axis=0), 3, axis=1)
    lights = np.full((3, 3, 3), 1 - strength, np.float32)
    raster = _one_of(finish.rasters, rng)
    if raster == "mesh":
        lights[:2, :2] = 1 + strength
    else:
        for channel in range(3):
            lights[:2, 2 - channel, channel] = 1 + strength
    if raster == "rows":
        lights = lights.transpose(1, 0, 2)
    lights *= 1 / lights.mean()
    tiled = np.tile(lights, (down, across, 1))
    return np.asarray(cv2.multiply(large, tiled, dtype=cv2.CV_8U))


def _glare(raster: Array, reflection: Array, strength: float, rng: np.random.Generator) -> Array:
    """The room in the glass, and a lamp."""
    height, width = raster.shape[:2]
    room = cv2.resize(cv2.resize(reflection, (24, 24), interpolation=cv2.INTER_AREA), (width, height))
    added = cv2.addWeighted(raster, 1.0, room, strength, 0)
    if chance(rng, 0.6):
        lamp = cv2.merge([_lamp(rng, width, height)] * 3)
        added = cv2.add(added, lamp * 255, dtype=cv2.CV_8U)
    return np.asarray(added)


def _lamp(rng: np.random.Generator, width: int, height: int) -> Array:
    small = np.zeros((64, 64), np.float32)
    ellipse: Any = (
        tuple(rng.uniform(0, 64, 2)),
        tuple(rng.uniform(2, 24, 2)),
        float(rng.uniform(0, 180)),
    )
    cv2.ellipse(small, ellipse, between(rng, (0.3, 1.2)), -1)
    soft = cv2.GaussianBlur(small, (0, 0), between(rng, (0.6, 5)))
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR))


def with_gloss(light: Array, cover: Array, rng: np.random.Generator) -> Array:
    """A lamp mirrored in glossy paper or glass, where `cover` (H, W) 0..255 is."""
    height, width = light.shape[:2]
    lamp = _lamp(rng, width, height) * cover.astype(np.float32) * np.float32(220 / 255)
    return np.asarray(cv2.add(light, cv2.merge([lamp] * 3), dtype=cv2.CV_8U))


def _framed(raster: Array, points: Array, ranges: AttackRanges, rng: np.random.Generator) -> Medium:
    """The display in its case: a rounded rectangle, thicker above and below."""
    cover = np.full(raster.shape[:2], 255, np.uint8)
    pixels = np.dstack((raster, cover))
    if not chance(rng, ranges.bezel_odds):
        return Medium(pixels, points.astype(np.float32))
    side = int(between(rng, ranges.bezel) * raster.shape[1])
    tall = int(side * between(rng, (1.0, 2.5)))
    colour = float(rng.choice((8, 18, 35, 60, 190, 235)))
    made = cv2.copyMakeBorder(
        pixels, tall, tall, side, side, cv2.BORDER_CONSTANT, value=(colour, colour, colour, 255)
    )
    made[..., 3] = _rounded(made.shape[:2], max(2, int(side * between(rng, (0.5, 2)))))
    return Medium(made, (points + np.array((side, tall))).astype(np.float32))


def _rounded(shape: tuple[int, int], radius: int) -> Array:
    height, width = shape
    radius = min(radius, height // 2 - 1, width // 2 - 1)
    mask: Array = np.zeros(shape, np.uint8)
    cv2.rectangle(mask, (radius, 0), (width - radius, height), 255, -1)
    cv2.rectangle(mask, (0, radius), (width, height - radius), 255, -1)
    for x in (radius, width - radius - 1):
        for y in (radius, height - radius - 1):
            cv2.circle(mask, (x, y), radius, 255, -1)
    return mask
