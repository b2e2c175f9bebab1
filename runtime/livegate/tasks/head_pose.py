"""Yaw, pitch and roll of the largest face.

FSA-Net: T.-Y. Yang et al., "FSA-Net: Learning Fine-Grained Structure Aggregation for Head Pose
Estimation from a Single Image" (CVPR 2019). The crop is turned until the eyes are level, since the
networks saw little roll in training; the turn is added to their roll afterwards. Serves the actions
of a video; nobody asks for it by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.results import Face, HeadPose, Verdict, largest_face
from livegate.engines.base import Array, Feeds
from livegate.manifests.schema import AnglesMean, EnlargeLevelEyes, Manifest, Network
from livegate.preprocess.cpu import tensor_from_turned
from livegate.preprocess.ops import eye_roll_deg, plan_turned
from livegate.preprocess.scratch import Scratch


class Plugin:
    """Head pose with any number of networks. Its finding: HeadPose, None without a face."""

    name = "head_pose"
    algo_task: int | None = None
    is_optional = True
    needs = ("face_detection",)
    warm_dims: Mapping[str, int] = {}

    def __init__(self, manifest: Manifest, config: Config) -> None:
        """Check that the manifest speaks of what this file implements.

        Raises:
            SetupError: MODELINIT_FAIL when it does not.
        """
        rule = manifest.decode
        is_known = all(isinstance(network.crop, EnlargeLevelEyes) for network in manifest.networks)
        if not isinstance(rule, AnglesMean) or not is_known:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"model {manifest.id}: head pose knows the rules angles_mean and "
                "enlarge_level_eyes only",
            )
        if set(rule.order) != {"yaw", "pitch", "roll"}:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL, f"model {manifest.id}: [decode] order names an angle twice"
            )
        for network in manifest.networks:
            network.require_outputs((rule.output,))
        self._networks = manifest.networks
        self._decode = rule
        signs = {
            "yaw": 1.0 if rule.yaw_positive == "image_right" else -1.0,
            "pitch": 1.0 if rule.pitch_positive == "down" else -1.0,
            "roll": 1.0 if rule.roll_positive == "clockwise" else -1.0,
        }
        self._signs = np.array([signs[name] for name in rule.order])

    def prepare(
        self, frame: Frame, found: Mapping[str, Any], scratch: Scratch
    ) -> tuple[tuple[str, Feeds], ...]:
        """The largest face, cut out level for each network; nothing when there is no face."""
        face = largest_face(found["face_detection"])
        if face is None:
            return ()
        return tuple(
            (network.name, self._feed(network, frame, face, scratch)) for network in self._networks
        )

    def _feed(self, network: Network, frame: Frame, face: Face, scratch: Scratch) -> Feeds:
        crop = network.crop
        assert isinstance(crop, EnlargeLevelEyes)
        plan = plan_turned(face, crop)
        tensor = tensor_from_turned(frame, plan, network.input, crop.pad, scratch, network.name)
        return {network.input.name: tensor}

    def interpret(
        self, frame: Frame, found: Mapping[str, Any], outputs: Sequence[Mapping[str, Array]]
    ) -> HeadPose | None:
        """The mean of the networks' angles, in LiveGate's signs.

        Raises:
            EngineError: an angle is not finite.
        """
        face = largest_face(found["face_detection"])
        if face is None or not outputs:
            return None
        angles = np.array([output[self._decode.output].reshape(-1)[:3] for output in outputs])
        if not np.isfinite(angles).all():
            raise EngineError(f"{self.name}: the networks answered numbers that are not finite")
        mean = angles.astype(np.float64).mean(axis=0) * self._signs
        named = dict(zip(self._decode.order, map(float, mean), strict=True))
        return HeadPose(named["yaw"], named["pitch"], named["roll"] + eye_roll_deg(face))

    def fuse(self, findings: Sequence[Any]) -> Verdict:
        """Has no number, so nobody asks."""
        raise NotImplementedError
