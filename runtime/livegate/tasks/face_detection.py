"""algoTask 9001: where the faces of a picture are.

YuNet's decode rule: W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector" (2023);
the equations are in the manifest schema (YunetGrid). NMS is greedy by score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.results import (
    NO_FACE_SCORE,
    Box,
    Decision,
    DetectedFace,
    Face,
    Reason,
    Verdict,
)
from livegate.engines.base import Array, Feeds
from livegate.manifests.schema import Letterbox, Manifest, YunetGrid
from livegate.preprocess.cpu import tensor_from_letterbox
from livegate.preprocess.ops import LetterboxPlan, plan_letterbox
from livegate.preprocess.scratch import Scratch

Floats = NDArray[np.float32]


class Plugin:
    """Face detection with one anchor-free network. Its finding: faces by falling score."""

    name = "face_detection"
    algo_task = 9001
    is_optional = False
    needs: tuple[str, ...] = ()

    def __init__(self, manifest: Manifest, config: Config) -> None:
        """Check that the manifest speaks of what this file implements.

        Raises:
            SetupError: MODELINIT_FAIL when it does not.
        """
        network = manifest.networks[0]
        if not isinstance(manifest.decode, YunetGrid) or not isinstance(network.crop, Letterbox):
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"model {manifest.id}: face detection knows the rules yunet_grid and "
                "letterbox_top_left only",
            )
        rule = manifest.decode
        names = (rule.class_output, rule.object_output, rule.box_output, rule.landmark_output)
        network.require_outputs(f"{name}_{stride}" for name in names for stride in rule.strides)
        self._network = network
        self._crop = network.crop
        self._decode = rule
        self._size = config.face_detection.input_size
        self._max_faces = config.face_detection.max_faces
        own = config.face_detection.min_score
        self._min_score = manifest.threshold("min_score") if own is None else own
        self._nms_iou = manifest.threshold("nms_iou")
        self.warm_dims = {"batch": 1, "height": self._side, "width": self._side}

    @property
    def _side(self) -> int:
        step = self._crop.multiple_of
        return -(-self._size // step) * step

    def prepare(
        self, frame: Frame, found: Mapping[str, Any], scratch: Scratch
    ) -> tuple[tuple[str, Feeds], ...]:
        """The letterboxed frame for the one network."""
        spec = self._network.input
        tensor = tensor_from_letterbox(
            frame, self._plan(frame), spec, self._crop.pad, scratch, self.name
        )
        return ((self._network.name, {spec.name: tensor}),)

    def interpret(
        self, frame: Frame, found: Mapping[str, Any], outputs: Sequence[Mapping[str, Array]]
    ) -> tuple[Face, ...]:
        """Faces in frame pixels by falling score, best `max_faces`.

        Raises:
            EngineError: a number of a face is not finite.
        """
        plan = self._plan(frame)
        scores, boxes, points = decode_grid(outputs[0], self._decode, plan.input_width, self._min_score)
        kept = keep_best(boxes, scores, self._nms_iou)[: self._max_faces]
        rows = np.concatenate((boxes[kept], points[kept].reshape(-1, 10)), axis=1)
        scale = np.array((plan.scale_x, plan.scale_y) * 7, np.float32)
        return tuple(
            _face(row, float(score)) for row, score in zip(rows / scale, scores[kept], strict=True)
        )

    def fuse(self, findings: Sequence[tuple[Face, ...]]) -> Verdict:
        """All faces of all pictures; the score is the best face's."""
        best = tuple(faces[0].score if faces else NO_FACE_SCORE for faces in findings)
        score = max(best)
        return Verdict(
            algo_task=self.algo_task,
            task=self.name,
            decision=Decision.FACE if score >= 0 else Decision.NO_FACE,
            score=score,
            reasons=() if score >= 0 else (Reason.NO_FACE,),
            image_scores=best,
            faces=tuple(DetectedFace(i, face) for i, faces in enumerate(findings) for face in faces),
            threshold=self._min_score,
        )

    def _plan(self, frame: Frame) -> LetterboxPlan:
        return plan_letterbox(frame.width, frame.height, self._crop, self._size)


def decode_grid(
    outputs: Mapping[str, Array], rule: YunetGrid, input_width: int, min_score: float
) -> tuple[Floats, Floats, Floats]:
    """Turn the grids of all strides into faces at or above a score, in input pixels.

    Only the cells that pass are decoded: on a usual picture that is a handful of thousands.

    Returns:
        Scores (N,), boxes (N, 4) as left, top, width, height, landmarks (N, 5, 2); unordered.

    Raises:
        EngineError: a score is not a number, or a face that passes is not finite.
    """
    parts = []
    for stride in rule.strides:
        object_score = np.clip(outputs[f"{rule.object_output}_{stride}"].reshape(-1), 0, 1)
        scores = np.sqrt(
            np.clip(outputs[f"{rule.class_output}_{stride}"].reshape(-1), 0, 1) * object_score
        )
        if np.isnan(scores).any():
            raise _not_finite(stride)
        cells = np.flatnonzero(scores >= min_score)
        if not len(cells):
            continue
        columns = input_width // stride
        origin = np.stack((cells % columns, cells // columns), axis=1).astype(np.float32)
        raw = outputs[f"{rule.box_output}_{stride}"].reshape(-1, 4)[cells]
        offsets = outputs[f"{rule.landmark_output}_{stride}"].reshape(-1, 5, 2)[cells]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            size = np.exp(raw[:, 2:]) * stride
            corner = (origin + raw[:, :2]) * stride - size / 2
            points = (origin[:, None] + offsets) * stride
        # Before NMS, which would drop such a box, or drop every other box beside it, without a word. Raw
        # numbers, too: minus infinity is the logarithm of a size of 0.
        if not all(np.isfinite(numbers).all() for numbers in (raw, size, corner, points)):
            raise _not_finite(stride)
        parts.append((scores[cells], np.concatenate((corner, size), axis=1), points))
    if not parts:
        return (
            np.empty(0, np.float32),
            np.empty((0, 4), np.float32),
            np.empty((0, 5, 2), np.float32),
        )
    scores, boxes, points = (np.concatenate(column) for column in zip(*parts, strict=True))
    return scores, boxes, points


def keep_best(boxes: Floats, scores: Floats, max_iou: float) -> list[int]:
    """Greedy NMS: indices by falling score, without boxes that overlap a better one too much."""
    left, top = boxes[:, 0], boxes[:, 1]
    right, bottom = left + boxes[:, 2], top + boxes[:, 3]
    area = boxes[:, 2] * boxes[:, 3]
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        order = rest[shared <= max_iou * (area[best] + area[rest] - shared)]
    return kept


def _not_finite(stride: int) -> EngineError:
    return EngineError(f"the grid of stride {stride} holds numbers that are not finite")


def _face(row: Floats, score: float) -> Face:
    x, y, width, height, *points = (float(number) for number in row)
    landmarks = tuple(zip(points[::2], points[1::2], strict=True))
    return Face(Box(x, y, width, height), landmarks, score)
