"""What the reference models say of a portrait: where geometry cannot tell, they label (distillation).

Landmarks are the mean of two networks in the order of iBUG's 68 points; the pose is the mean of the
reference pose networks and of the head mesh laid onto the landmarks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from livegate.app.build import build_pipeline
from livegate.backends.onnxruntime import silent_library
from livegate.core.config import Config
from livegate.core.frame import Frame
from livegate.core.results import Face, HeadPose
from livegate.core.telemetry import StageClock
from livegate.manifests.schema import EnlargeLevelEyes
from livegate.manifests.store import ModelStore
from livegate.preprocess.ops import plan_turned
from livegate.preprocess.scratch import Scratch
from livegate.tasks.landmarks import points_in_frame

Array = NDArray[Any]
WFLW_TO_IBUG = np.array(
    (
        *range(0, 33, 2),
        *range(33, 38),
        *range(42, 47),
        *range(51, 60),
        *(60, 61, 63, 64, 65, 67),
        *(68, 69, 71, 72, 73, 75),
        *range(76, 96),
    )
)
"""Which of WFLW's 98 points is which of iBUG's 68."""
OPEN_SEE_FACE = np.array([*range(48), *range(49, 54), *range(55, 68)])
"""The 66 points of OpenSeeFace are iBUG's without 48 and 54."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One face: box (left, top, width, height), landmarks (68, 2) in pixels, the networks' pose."""

    box: tuple[float, float, float, float]
    points: Array
    pose: HeadPose


def reference_config() -> Config:
    """The default configuration with the reference pack."""
    config = Config()
    models = msgspec.structs.replace(config.models, pack="reference")
    return msgspec.structs.replace(config, models=models)


class Teachers:
    """The reference detector, two landmark networks, the pose pair."""

    def __init__(self, reference: Path) -> None:
        """Load them."""
        self._pipeline = build_pipeline(reference_config(), ModelStore([reference]))
        self._steps = self._pipeline.plan_tasks(("head_pose",))
        self._ghost = _session(reference / "lmk" / "PFLD_GhostOne_112_1_opt_sim.onnx")
        self._seeing = _session(reference / "lmk" / "osf_lm_model0_opt.onnx")
        self._scratch = Scratch()

    def faces(self, pixels: Array) -> tuple[Face, ...]:
        """All faces of a BGR picture."""
        steps = self._pipeline.plan([9001])
        found = self._pipeline.run(Frame(pixels, 0), steps, StageClock(), self._scratch)
        faces: tuple[Face, ...] = found["face_detection"]
        return faces

    def read(self, pixels: Array) -> Reading | None:
        """The one face of a portrait; None when there is none, or several."""
        found = self._pipeline.run(Frame(pixels, 0), self._steps, StageClock(), self._scratch)
        faces: tuple[Face, ...] = found["face_detection"]
        if len(faces) != 1 or faces[0].score < 0.8:
            return None
        box = faces[0].box
        points = self.landmarks(pixels, faces[0])
        return Reading((box.x, box.y, box.width, box.height), points, found["head_pose"])

    def landmarks(self, pixels: Array, face: Face) -> Array:
        """(68, 2) float32, frame pixels: the mean of both networks where both have the point."""
        ghost = self.ghost_landmarks(pixels, face)
        seeing = self._seeing_landmarks(pixels, face)
        mean = ghost.copy()
        mean[OPEN_SEE_FACE] = (ghost[OPEN_SEE_FACE] + seeing) / 2
        return mean.astype(np.float32)

    def ghost_landmarks(self, pixels: Array, face: Face) -> Array:
        """(68, 2) of the runtime's reference landmark network alone."""

        def parts(crop: Array) -> Array:
            tensor = crop[:, :, ::-1].astype(np.float32) / 127.5 - 1
            raw = self._ghost.run(None, {"input": tensor.transpose(2, 0, 1)[None]})[0]
            return np.asarray(raw).reshape(98, 2)[WFLW_TO_IBUG]

        return _in_crop(pixels, face, EnlargeLevelEyes(enlarge=1.1, is_square=True), 112, parts)

    def _seeing_landmarks(self, pixels: Array, face: Face) -> Array:
        def parts(crop: Array) -> Array:
            colour = crop[:, :, ::-1].astype(np.float32) / 255
            tensor = (colour - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
            feed = tensor.transpose(2, 0, 1)[None].astype(np.float32)
            return _from_heat_maps(np.asarray(self._seeing.run(None, {"input": feed})[0][0])) / 224

        return _in_crop(pixels, face, EnlargeLevelEyes(enlarge=1.22, is_square=False), 224, parts)


def _in_crop(
    pixels: Array, face: Face, rule: EnlargeLevelEyes, side: int, parts: Callable[[Array], Array]
) -> Array:
    plan = plan_turned(face, rule)
    matrix = np.array(plan.frame_from_input(side, side))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(pixels, matrix, (side, side), flags=flags)
    return points_in_frame(parts(crop), plan)


def _from_heat_maps(maps: Array) -> Array:
    """(198, 28, 28): heat, row offset, column offset of 66 points to (66, 2) x, y in 0..223.

    Source: OpenSeeFace's tracker.py, landmarks().
    """
    heat, rows, columns = (
        maps[:66].reshape(66, -1),
        maps[66:132].reshape(66, -1),
        maps[132:].reshape(66, -1),
    )
    best = heat.argmax(axis=1)
    each = np.arange(66)

    def offset(values: Array) -> Array:
        odds = np.clip(values[each, best], 1e-7, 1 - 1e-7)
        return np.asarray(np.log(odds / (1 - odds)) / 16)

    y = 223 * (best // 28 / 27) + 223 * offset(rows)
    x = 223 * (best % 28 / 27) + 223 * offset(columns)
    return np.stack((x, y), axis=1)


def _session(path: Path) -> Any:
    ort = silent_library()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
