"""Samples of the silent networks: three views of one photograph, and the class.

`face` sees the head, `detail` pixels of the camera's own, never scaled, where dots and rasters are, and
`context` what surrounds the face: as much of the picture as the rule `square_inside` finds, so that the
edges of a page or a telephone stay in sight however large the face is, and no pixel is spent on black.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.core.results import Face
from livegate.manifests.schema import EnlargeLevelEyes, SquareInside
from livegate.preprocess.ops import plan_square, plan_turned
from livegate_training.camera import CameraRanges, photograph, shot_from
from livegate_training.detected import detected
from livegate_training.presentation import Kind, Stage, light_of, setting_from
from livegate_training.seeds import seeded
from livegate_training.shards import Maker, Sample

Array = NDArray[Any]
Rule = EnlargeLevelEyes | SquareInside
VIEWS: Mapping[str, tuple[Rule, int]] = {
    "face": (EnlargeLevelEyes(enlarge=1.4, is_square=True), 112),
    "context": (SquareInside(enlarge=4.0), 128),
    "detail": (SquareInside(enlarge=4.0, at_most_px=128), 128),
}
"""Rule and side of each view."""
SPARE = 32
"""Pixels by which a sample's detail is larger than the view, so that it can be shifted unscaled."""
STORED = {**VIEWS, "detail": (SquareInside(enlarge=5.0, at_most_px=128 + SPARE), 128 + SPARE)}
KINDS: tuple[Kind, ...] = ("genuine", "print", "replay")


def view_maker(stage: Stage, camera: CameraRanges, name: str, kinds: tuple[Kind, ...]) -> Maker:
    """Makes sample n; its kind goes round through `kinds`."""

    def make(number: int) -> Sample:
        kind = kinds[number % len(kinds)]
        picture, points = presented(kind, stage, camera, name, number)
        face = detected(points, seeded("detected", name, number), jitter=1.0)
        return {**views_of(picture, face, STORED), "kind": np.array(KINDS.index(kind), np.int64)}

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


def views_of(picture: Array, face: Face, views: Mapping[str, tuple[Rule, int]] = VIEWS) -> Sample:
    """All views (S, S, 3) uint8 of a face, cut as the runtime cuts them."""
    return {name: _view(picture, face, *view) for name, view in views.items()}


def _view(picture: Array, face: Face, rule: Rule, side: int) -> Array:
    height, width = picture.shape[:2]
    if isinstance(rule, SquareInside):
        plan = plan_square(width, height, face.box, rule)
    else:
        plan = plan_turned(face, rule)
    matrix = np.array(plan.frame_from_input(side, side))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, (side, side), flags=flags))
