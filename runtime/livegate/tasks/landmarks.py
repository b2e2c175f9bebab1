"""The finer landmarks of the largest face: eyes, lips, nose tip, chin.

A regressor of all points at once (PFLD: X. Guo et al., "PFLD: A Practical Facial Landmark Detector",
2019) on a crop whose eyes are level. Serves the actions of a video; nobody asks for it by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.results import FacePoints, Point, Verdict, largest_face
from livegate.engines.base import Array, Feeds
from livegate.manifests.schema import EnlargeLevelEyes, Manifest, PointsInCrop
from livegate.preprocess.cpu import tensor_from_turned
from livegate.preprocess.ops import TurnedPlan, plan_turned
from livegate.preprocess.scratch import Scratch

Floats = NDArray[np.float64]


class Plugin:
    """Landmarks with one network. Its finding: FacePoints, None without a face."""

    name = "landmarks"
    algo_task: int | None = None
    is_optional = True
    needs = ("face_detection",)
    warm_dims: Mapping[str, int] = {}

    def __init__(self, manifest: Manifest, config: Config) -> None:
        """Check that the manifest speaks of what this file implements.

        Raises:
            SetupError: MODELINIT_FAIL when it does not.
        """
        network, rule = manifest.networks[0], manifest.decode
        if not isinstance(rule, PointsInCrop) or not isinstance(network.crop, EnlargeLevelEyes):
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"model {manifest.id}: landmarks know the rules points_in_crop and "
                "enlarge_level_eyes only",
            )
        network.require_outputs((rule.output,))
        if not all(0 <= index < rule.points for index in rule.indices):
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"model {manifest.id}: [decode] names a point beyond the {rule.points} there are",
            )
        self._network = network
        self._crop = network.crop
        self._decode = rule

    def prepare(
        self, frame: Frame, found: Mapping[str, Any], scratch: Scratch
    ) -> tuple[tuple[str, Feeds], ...]:
        """The largest face, cut out level; nothing when there is no face."""
        plan = self._plan(found)
        if plan is None:
            return ()
        spec, pad = self._network.input, self._crop.pad
        tensor = tensor_from_turned(frame, plan, spec, pad, scratch, self.name)
        return ((self._network.name, {spec.name: tensor}),)

    def interpret(
        self, frame: Frame, found: Mapping[str, Any], outputs: Sequence[Mapping[str, Array]]
    ) -> FacePoints | None:
        """The points in frame pixels.

        Raises:
            EngineError: a coordinate is not finite.
        """
        plan = self._plan(found)
        if plan is None or not outputs:
            return None
        raw = outputs[0][self._decode.output].reshape(-1)[: self._decode.points * 2]
        if not np.isfinite(raw).all():
            raise EngineError(f"{self.name}: the network answered numbers that are not finite")
        return _named(points_in_frame(raw.reshape(-1, 2), plan), self._decode)

    def fuse(self, findings: Sequence[Any]) -> Verdict:
        """Has no number, so nobody asks."""
        raise NotImplementedError

    def _plan(self, found: Mapping[str, Any]) -> TurnedPlan | None:
        face = largest_face(found["face_detection"])
        return None if face is None else plan_turned(face, self._crop)


def points_in_frame(parts: Array, plan: TurnedPlan) -> Floats:
    """(K, 2) parts of a crop to (K, 2) frame pixels."""
    # An input of 1x1 has its only pixel's centre at 0.5, so that parts are input pixels less a half.
    matrix = np.array(plan.frame_from_input(1, 1), np.float64)
    points: Floats = (parts.astype(np.float64) - 0.5) @ matrix[:, :2].T + matrix[:, 2]
    return points


def _named(points: Floats, rule: PointsInCrop) -> FacePoints:
    def at(index: int) -> Point:
        return float(points[index, 0]), float(points[index, 1])

    return FacePoints(
        image_left_eye=tuple(map(at, rule.image_left_eye)),
        image_right_eye=tuple(map(at, rule.image_right_eye)),
        inner_lips=tuple(map(at, rule.inner_lips)),
        mouth_corners=(at(rule.mouth_corners[0]), at(rule.mouth_corners[1])),
        nose_tip=at(rule.nose_tip),
        chin=at(rule.chin),
    )
