"""Samples of the face network: one face as the runtime would cut it out, landmarks and angles.

The crop is the runtime's own (`plan_turned`), around a box and eyes that err as a detector's do.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.manifests.schema import EnlargeLevelEyes
from livegate.preprocess.ops import TurnedPlan, plan_turned
from livegate_training.backgrounds import Backgrounds
from livegate_training.camera import CameraRanges, photograph, shot_from
from livegate_training.detected import detected
from livegate_training.people import People
from livegate_training.person import Person, box_from_points
from livegate_training.pose import rolled
from livegate_training.seeds import between_log, seeded
from livegate_training.shards import Maker, Sample
from livegate_training.worn import dressed

Array = NDArray[Any]
RULE = EnlargeLevelEyes(enlarge=1.25, is_square=True)
SIDE = 112
FACE_PIXELS = (22.0, 300.0)
"""Height of the face in the camera's picture: everything from far away to a close-up."""
ROLL_DEG = 18.0
"""Standard deviation: people tilt their heads by 30 degrees, and a tilt must not read as a turn."""
WORN = (0.12, 0.06, 0.08)


def crop_maker(people: People, places: Backgrounds, name: str, camera: CameraRanges) -> Maker:
    """Makes sample n: pixels (112, 112, 3), points (68, 2) in parts of the crop, angles (3,)."""

    def make(number: int) -> Sample:
        rng = seeded("face crop", name, number)
        person = dressed(people.make(rng), rng, WORN)
        seen, picture = stand(person, places, rng, camera)
        return crop_of(picture, seen, rng, jitter=1.0)

    return make


def stand(
    person: Person, places: Backgrounds, rng: np.random.Generator, camera: CameraRanges
) -> tuple[Person, Array]:
    """Put a person before a background, twice as wide as the face, and photograph it."""
    height = between_log(rng, FACE_PIXELS)
    left, top, width, tall = box_from_points(person.points)
    scale = height / max(width, tall)
    side = max(24, int(height * 2.0))
    angle = float(rng.normal(0, ROLL_DEG))
    matrix: Array = cv2.getRotationMatrix2D((left + width / 2, top + tall / 2), angle, scale)
    matrix[:, 2] += side / 2 - np.array((left + width / 2, top + tall / 2))
    matrix[:, 2] += rng.normal(0, 0.04 * height, 2)
    seen = person.moved(matrix, side, side)
    cover = seen.pixels[..., 3:].astype(np.float32) / 255
    light = places.make(rng, side, side) * (1 - cover) + seen.pixels[..., :3] * cover
    return seen, photograph(light.astype(np.uint8), shot_from(rng, camera), scale=min(1.0, height / 100))


def crop_of(picture: Array, seen: Person, rng: np.random.Generator, *, jitter: float) -> Sample:
    """Cut the face out as the runtime does, with a detector's error scaled by `jitter`."""
    plan = plan_turned(detected(seen.points, rng, jitter=jitter), RULE)
    matrix = np.array(plan.frame_from_input(SIDE, SIDE))
    pixels = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    pose = rolled(seen.pose, -plan.roll_deg)
    angles = np.array((pose.yaw_deg, pose.pitch_deg, pose.roll_deg), np.float32)
    return {"pixels": pixels, "points": parts_of(seen.points, plan), "angles": angles}


def parts_of(points: Array, plan: TurnedPlan) -> Array:
    """(K, 2) frame pixels to parts 0..1 of the crop; the inverse of the runtime's points_in_frame."""
    matrix = np.array(plan.frame_from_input(1, 1))
    parts = np.linalg.solve(matrix[:, :2], (points - matrix[:, 2]).T).T + 0.5
    return parts.astype(np.float32)
