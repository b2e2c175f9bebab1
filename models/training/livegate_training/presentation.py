"""What stands before the camera of the silent network: a person, or a medium that shows one.

Leakage, and what is done against it. The portraits are photographs already: old grain, old JPEG, few
pixels. If only genuine samples came straight from them, the network would learn the portraits. So both
classes use the same portraits, the same backgrounds and one camera (camera.py) whose settings are
drawn from the sample's number before the class is looked at; genuine persons are softened as much as
the longer way of an attack softens; persons of both classes stand in rooms with edges, frames and
hands, so that an edge alone is no sign; face sizes are the same, so that the black that a crop has
beyond the picture is no sign either.

A cut-out has a seam around hair and shoulders that no photograph has. So some settings are whole: the
portrait stays before its own wall and fills the picture, in front of the camera or inside the attacker's
medium. Which settings are whole is drawn before the class is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.attackranges import AttackRanges, Finish
from livegate_training.backgrounds import Backgrounds
from livegate_training.camera import CameraRanges, photograph, shot_from
from livegate_training.media import Medium, print_of, screen_of, with_gloss
from livegate_training.people import People
from livegate_training.person import Person, box_from_points
from livegate_training.pose import Pose
from livegate_training.scene import filling, paste, place, with_body
from livegate_training.seeds import between, chance
from livegate_training.worn import draw_fingers, dressed

Array = NDArray[Any]
Kind = Literal["genuine", "print", "replay"]
FRAMES = ((640, 480), (640, 480), (480, 640), (640, 360), (800, 600))
INNER = ((360, 480), (480, 480), (300, 534), (534, 400))
WORN = (0.12, 0.02, 0.06)
WHOLE_FACES = (0.5, 0.95)
"""Face heights of whole settings: a portrait that fills a picture is near."""
FIRST_CAMERA = CameraRanges(
    low_light_odds=0.0, blur=(0.2, 0.8), noise=(0, 3), jpeg=(70, 97), grey_odds=0.0
)
"""The attacker's own: he picks a good picture."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Who and what there is to draw from; `whole_odds` is how often a portrait keeps its own wall.

    An attack is drawn from `attacks` or, as often as each of them, from one of `others`.
    """

    people: People
    places: Backgrounds
    attacks: AttackRanges
    whole_odds: float = 0.0
    finish: Finish = field(default_factory=Finish)
    others: tuple[AttackRanges, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What is drawn before the class is known: frame size, face height and place, softness, a wall."""

    size: tuple[int, int]
    face_height: float
    centre: tuple[float, float]
    soft: float
    is_whole: bool = False


def setting_from(rng: np.random.Generator, stage: Stage) -> Setting:
    """Draw a setting."""
    # Without whole settings nothing is drawn for them: the frozen test stays what it was.
    is_whole = stage.whole_odds > 0 and chance(rng, stage.whole_odds)
    width, height = FRAMES[rng.integers(len(FRAMES))]
    part = between(rng, WHOLE_FACES if is_whole else stage.attacks.face_height)
    high = min(part * height, width * 1.1)
    return Setting(
        size=(width, height),
        face_height=high,
        centre=(
            width / 2 + between(rng, (-0.5, 0.5)) * max(0.1 * width, width - high * 0.8),
            height / 2 + between(rng, (-0.4, 0.5)) * max(0.05 * height, height - high),
        ),
        soft=between(rng, (0.0, 1.1)) if chance(rng, 0.6) else 0.0,
        is_whole=is_whole,
    )


def light_of(
    kind: Kind, setting: Setting, stage: Stage, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The scene (H, W, 3) before the camera and the landmarks (68, 2) of the face in front."""
    if kind == "genuine" and setting.is_whole:
        return _with_whole_person(setting, stage, rng)
    light = _room_with_others(setting, stage, rng)
    if kind == "genuine":
        return _with_person(light, setting, stage, rng)
    return _with_attack(light, kind, setting, stage, rng)


def _room_with_others(setting: Setting, stage: Stage, rng: np.random.Generator) -> Array:
    light = stage.places.make(rng, *setting.size)
    for _ in range(int(rng.choice((0, 0, 0, 1, 2)))):
        width, height = setting.size
        small = setting.face_height * between(rng, (0.2, 0.55))
        centre = between(rng, (0, width)), between(rng, (0.2 * height, 0.8 * height))
        light = paste(light, place(stage.people.make(rng), setting.size, centre, small, 0.0))
    return light


def _with_person(
    light: Array, setting: Setting, stage: Stage, rng: np.random.Generator
) -> tuple[Array, Array]:
    person = dressed(stage.people.make(rng), rng, WORN)
    turn = float(rng.normal(0, 6))
    one = place(person, setting.size, setting.centre, setting.face_height, turn)
    if setting.soft:
        one = Person(
            cv2.GaussianBlur(one.pixels, (0, 0), setting.soft), one.points, one.pose, one.identity
        )
    light = paste(light, one)
    if chance(rng, 0.12):
        light = _with_hands(light, [tuple(p) for p in _edge_points(setting, rng)], setting, rng)
    return light, one.points


def _with_whole_person(setting: Setting, stage: Stage, rng: np.random.Generator) -> tuple[Array, Array]:
    person = dressed(stage.people.whole(rng), rng, WORN)
    one = filling(person, setting.size, setting.centre, setting.face_height, float(rng.normal(0, 5)))
    light = np.ascontiguousarray(one.pixels[..., :3])
    if chance(rng, 0.12):
        light = _with_hands(light, [tuple(p) for p in _edge_points(setting, rng)], setting, rng)
    return light, one.points


def _with_attack(
    light: Array, kind: Kind, setting: Setting, stage: Stage, rng: np.random.Generator
) -> tuple[Array, Array]:
    stage = _with_one_of_its_ranges(stage, rng)
    ranges = stage.attacks
    is_borderless = chance(rng, ranges.borderless_odds)
    if not is_borderless and chance(rng, 0.4):
        light = paste(light, _holder(setting, stage, rng))
    medium = _medium(kind, setting, stage, rng, close=is_borderless)
    matrix = _held(medium, setting, ranges, rng, fill=is_borderless)
    pixels = _warped(medium.pixels, matrix, setting.size)
    flat = Person(pixels, medium.points, _NO_POSE, "")
    light = paste(_shadow(light, pixels[..., 3], rng), flat)
    if chance(rng, ranges.gloss_odds):
        light = with_gloss(light, pixels[..., 3], rng)
    if kind == "replay" and chance(rng, ranges.banding_odds):
        light = _banded(light, pixels[..., 3], rng)
    if chance(rng, ranges.hand_odds):
        light = _with_hands(light, _grips(medium, matrix, rng), setting, rng)
    points = cv2.perspectiveTransform(medium.points[None].astype(np.float64), matrix)[0]
    return light, points.astype(np.float32)


def _with_one_of_its_ranges(stage: Stage, rng: np.random.Generator) -> Stage:
    """Nothing is drawn where there is one only: the frozen test stays what it was."""
    if not stage.others:
        return stage
    all_ranges = (stage.attacks, *stage.others)
    return replace(stage, attacks=all_ranges[rng.integers(len(all_ranges))])


def _medium(
    kind: Kind, setting: Setting, stage: Stage, rng: np.random.Generator, *, close: bool
) -> Medium:
    """The attacker's picture, taken by another camera, on paper or on a screen."""
    width, height = INNER[rng.integers(len(INNER))]
    high = height * between(rng, (0.3, 0.5) if close else (0.35, 0.7))
    centre = width / 2 + float(rng.normal(0, width * 0.05)), height * between(rng, (0.42, 0.52))
    if setting.is_whole:
        person = dressed(stage.people.whole(rng), rng, WORN)
        one = filling(person, (width, height), centre, high, float(rng.normal(0, 4)))
        picture = np.ascontiguousarray(one.pixels[..., :3])
    else:
        person = dressed(stage.people.make(rng), rng, WORN)
        one = place(person, (width, height), centre, min(high, width * 0.8), float(rng.normal(0, 4)))
        picture = paste(stage.places.make(rng, width, height), one)
    picture = photograph(picture, shot_from(rng, FIRST_CAMERA))
    if kind == "print":
        return print_of(picture, one.pixels[..., 3], one.points, stage.attacks, stage.finish, rng)
    reflection = stage.places.make(rng, 64, 64)
    return screen_of(picture, one.points, reflection, stage.attacks, stage.finish, rng)


def _held(
    medium: Medium, setting: Setting, ranges: AttackRanges, rng: np.random.Generator, *, fill: bool
) -> Array:
    """(3, 3) from the medium's pixels to the frame's: the face as high and where the setting says."""
    height, width = medium.pixels.shape[:2]
    left, top, w, h = box_from_points(medium.points)
    scale = setting.face_height / max(h, w)
    if fill:
        scale = max(scale, 1.08 * setting.size[0] / width, 1.08 * setting.size[1] / height)
    turn = np.radians(between(rng, ranges.turn) * rng.choice((-1, 1)) * (0.3 if fill else 1))
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    corners = np.array(((0, 0), (width, 0), (width, height), (0, height)), np.float64)
    face = np.array((left + w / 2, top + h / 2))
    seen = (corners - face) @ np.array(((cos, sin), (-sin, cos))) + setting.centre
    pull = between(rng, ranges.tilt) * scale * min(width, height)
    seen += rng.uniform(-1, 1, (4, 2)) * pull
    if fill:
        seen = _over_the_frame(seen, setting.size)
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32)))


def _over_the_frame(seen: Array, size: tuple[int, int]) -> Array:
    """Corners shifted so that the medium covers the frame, as far as a shift can."""
    for axis in (0, 1):
        low = max(seen[(0, 3) if axis == 0 else (0, 1), axis])
        high = min(seen[(1, 2) if axis == 0 else (2, 3), axis])
        seen[:, axis] -= max(0.0, low) + min(0.0, high - size[axis])
    return seen


def _warped(pixels: Array, matrix: Array, size: tuple[int, int]) -> Array:
    """The camera's sampling: area averages only where the medium is far finer than the frame."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if scale < 0.3:
        half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return _warped(half, matrix @ np.diag((2.0, 2.0, 1.0)), size)
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_LINEAR))


def _holder(setting: Setting, stage: Stage, rng: np.random.Generator) -> Person:
    """The attacker himself behind his picture: hair or shoulders may show."""
    x, y = setting.centre
    offset = rng.normal(0, 0.5, 2) * setting.face_height
    high = setting.face_height * between(rng, (0.6, 1.1))
    return place(
        with_body(stage.people.make(rng)), setting.size, (x + offset[0], y + offset[1]), high, 0.0
    )


def _shadow(light: Array, cover: Array, rng: np.random.Generator) -> Array:
    soft = cv2.GaussianBlur(cover, (0, 0), between(rng, (2, 14))).astype(np.float32) / 255
    return np.asarray((light * (1 - between(rng, (0, 0.45)) * soft)[..., None]).astype(np.uint8))


def _banded(light: Array, cover: Array, rng: np.random.Generator) -> Array:
    rows = np.arange(light.shape[0])
    wave = np.sin(2 * np.pi * rows / between(rng, (20, 200)) + between(rng, (0, 6)))
    gain = 1 + between(rng, (0.03, 0.2)) * wave[:, None] * (cover / 255.0)
    return np.clip(light * gain[..., None], 0, 255).astype(np.uint8)


def _grips(medium: Medium, matrix: Array, rng: np.random.Generator) -> list[tuple[float, float]]:
    """One or two places on the medium's edges, in frame pixels."""
    height, width = medium.pixels.shape[:2]
    places = ((0.03, 0.7), (0.97, 0.7), (0.3, 0.97), (0.7, 0.97), (0.05, 0.4), (0.95, 0.4), (0.6, 0.03))
    chosen = [places[n] for n in rng.choice(len(places), int(rng.integers(1, 3)), replace=False)]
    edge = np.array([(x * width, y * height) for x, y in chosen])
    return [tuple(p) for p in cv2.perspectiveTransform(edge[None], matrix)[0]]


def _edge_points(setting: Setting, rng: np.random.Generator) -> Array:
    (x, y), high = setting.centre, setting.face_height
    return np.array(((x + rng.choice((-1, 1)) * high * between(rng, (0.6, 1.2)), y + high * 0.4),))


def _with_hands(light: Array, tips: list[Any], setting: Setting, rng: np.random.Generator) -> Array:
    layer = np.zeros((*light.shape[:2], 4), np.uint8)
    for x, y in tips:
        inward = np.degrees(np.arctan2(x - setting.size[0] / 2, max(1.0, y - setting.size[1] / 4)))
        long = setting.face_height * between(rng, (0.3, 0.6))
        draw_fingers(layer, np.array((x, y)), long, float(inward) + float(rng.normal(0, 15)), rng)
    layer = cv2.GaussianBlur(layer, (0, 0), 1.0)
    return paste(light, Person(layer, np.zeros((68, 2)), _NO_POSE, ""))


_NO_POSE = Pose(0.0, 0.0, 0.0)
