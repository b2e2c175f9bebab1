"""Samples of the silent networks: two views of one photograph, the class, the slice.

Both views are the runtime's `enlarge_level_eyes`: unlike `enlarge_shift_inside` it never shrinks where
a face is large, so that the edges of a page or a telephone stay in sight; beyond the picture is black.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.core.results import Face
from livegate.manifests.schema import EnlargeLevelEyes
from livegate.preprocess.ops import plan_turned
from livegate_training.camera import CameraRanges, photograph, shot_from
from livegate_training.detected import detected
from livegate_training.presentation import Kind, Stage, light_of, setting_from
from livegate_training.seeds import seeded
from livegate_training.shards import Maker, Sample

Array = NDArray[Any]
VIEWS = {
    "face": (EnlargeLevelEyes(enlarge=1.4, is_square=True), 112),
    "context": (EnlargeLevelEyes(enlarge=3.4, is_square=True), 128),
}
"""Rule and side of each view."""
KINDS: tuple[Kind, ...] = ("genuine", "print", "replay")


def view_maker(stage: Stage, camera: CameraRanges, name: str, kinds: tuple[Kind, ...]) -> Maker:
    """Makes sample n; its kind goes round through `kinds`."""

    def make(number: int) -> Sample:
        kind = kinds[number % len(kinds)]
        picture, points = presented(kind, stage, camera, name, number)
        face = detected(points, seeded("detected", name, number), jitter=1.0)
        return {**views_of(picture, face), "kind": np.array(KINDS.index(kind), np.int64)}

    return make


def presented(
    kind: Kind, stage: Stage, camera: CameraRanges, name: str, number: int
) -> tuple[Array, Array]:
    """The photograph (H, W, 3) of presentation n and the landmarks (68, 2) of its face.

    Camera and setting depend on the number alone, never on the kind.
    """
    shot = shot_from(seeded("shot", name, number), camera)
    setting = setting_from(seeded("setting", name, number), stage)
    light, points = light_of(kind, setting, stage, seeded("presentation", name, number))
    return photograph(light, shot), points


def views_of(picture: Array, face: Face) -> Sample:
    """Both views (S, S, 3) uint8 of a face, cut as the runtime cuts them."""
    return {name: _view(picture, face, *view) for name, view in VIEWS.items()}


def _view(picture: Array, face: Face, rule: EnlargeLevelEyes, side: int) -> Array:
    matrix = np.array(plan_turned(face, rule).frame_from_input(side, side))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, (side, side), flags=flags))
