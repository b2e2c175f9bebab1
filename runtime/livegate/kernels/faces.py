"""Parameters of the kernel that turns YuNet's grids into faces, and its answer.

The structures are those of kernels/face_detection.cuh, field by field.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.results import Box, Face
from livegate.kernels.launch import Launch
from livegate.manifests.schema import YunetGrid
from livegate.preprocess.ops import LetterboxPlan

MAX_GRIDS = 4
MAX_THREADS = 512
"""In the one block that looks at a picture; a power of two."""
CANDIDATE_BYTES = 20
"""A score and a box: what the kernel keeps of a cell while it works."""


class DeviceGrid(ctypes.Structure):
    """The four outputs of one stride."""

    _fields_ = (
        ("class_score", ctypes.c_void_p),
        ("object_score", ctypes.c_void_p),
        ("box", ctypes.c_void_p),
        ("landmarks", ctypes.c_void_p),
        ("columns", ctypes.c_int),
        ("rows", ctypes.c_int),
        ("stride", ctypes.c_int),
    )


class DeviceDetection(ctypes.Structure):
    """Everything that the kernel is told."""

    _fields_ = (
        ("grids", DeviceGrid * MAX_GRIDS),
        ("candidates", ctypes.c_void_p),
        ("found", ctypes.c_void_p),
        ("grid_count", ctypes.c_int),
        ("max_faces", ctypes.c_int),
        ("min_score", ctypes.c_float),
        ("max_iou", ctypes.c_float),
        ("scale_x", ctypes.c_float),
        ("scale_y", ctypes.c_float),
    )


class FoundFace(ctypes.Structure):
    """One face, in frame pixels."""

    _fields_ = (
        ("score", ctypes.c_float),
        ("box", ctypes.c_float * 4),
        ("landmarks", ctypes.c_float * 10),
    )
    score: float


class FoundFaces(ctypes.Structure):
    """What the kernel writes in front of the faces."""

    _fields_ = (("count", ctypes.c_int), ("is_not_finite", ctypes.c_int * MAX_GRIDS))
    count: int


@dataclass(frozen=True, slots=True)
class FaceLimits:
    """Which faces count: score 0..1, intersection over union 0..1, how many."""

    min_score: float
    max_iou: float
    max_faces: int


def candidate_bytes(rule: YunetGrid, plan: LetterboxPlan) -> int:
    """Device memory that the kernel works in; it needs no clearing."""
    cells = sum(_grid_size(plan, stride)[0] * _grid_size(plan, stride)[1] for stride in rule.strides)
    return cells * CANDIDATE_BYTES


def found_bytes(max_faces: int) -> int:
    """Device memory for the answer; it needs no clearing."""
    return ctypes.sizeof(FoundFaces) + max_faces * ctypes.sizeof(FoundFace)


def launch_face_detection(
    rule: YunetGrid,
    outputs: Mapping[str, int],
    plan: LetterboxPlan,
    limits: FaceLimits,
    *,
    candidates_address: int,
    found_address: int,
) -> Launch:
    """Decode, NMS and conversion to frame pixels, in one block.

    Args:
        rule: which output is what.
        outputs: addresses of the network's outputs by name: float32, C-contiguous, batch 1.
        plan: how the frame became the input.
        limits: which faces count.
        candidates_address: device memory of `candidate_bytes`.
        found_address: device memory of `found_bytes`.

    Raises:
        SetupError: MODELINIT_FAIL when the rule has more strides than the kernel knows.
    """
    if len(rule.strides) > MAX_GRIDS:
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"the kernel takes {MAX_GRIDS} strides, the model has {len(rule.strides)}",
        )
    names = (rule.class_output, rule.object_output, rule.box_output, rule.landmark_output)
    grids = [
        DeviceGrid(*(outputs[f"{name}_{stride}"] for name in names), *_grid_size(plan, stride), stride)
        for stride in rule.strides
    ]
    detection = DeviceDetection(
        (DeviceGrid * MAX_GRIDS)(*grids),
        candidates_address,
        found_address,
        len(grids),
        limits.max_faces,
        limits.min_score,
        limits.max_iou,
        plan.scale_x,
        plan.scale_y,
    )
    return Launch("livegate_face_detection", (1, 1, 1), (MAX_THREADS, 1, 1), (detection,))


def faces_from_found(answer: bytes, rule: YunetGrid) -> tuple[Face, ...]:
    """The kernel's answer, copied to the host: faces in frame pixels by falling score.

    Raises:
        EngineError: a number of a grid is not finite.
    """
    head = FoundFaces.from_buffer_copy(answer)
    flags = (ctypes.c_int * MAX_GRIDS).from_buffer_copy(answer, FoundFaces.is_not_finite.offset)
    for stride, flag in zip(rule.strides, flags, strict=False):
        if flag:
            raise EngineError(f"the grid of stride {stride} holds numbers that are not finite")
    start, step = ctypes.sizeof(FoundFaces), ctypes.sizeof(FoundFace)
    return tuple(_face(answer, start + number * step) for number in range(head.count))


def _face(answer: bytes, offset: int) -> Face:
    found = FoundFace.from_buffer_copy(answer, offset)
    points = tuple(found.landmarks)
    return Face(Box(*found.box), tuple(zip(points[::2], points[1::2], strict=True)), found.score)


def _grid_size(plan: LetterboxPlan, stride: int) -> tuple[int, int]:
    """Columns and rows."""
    return plan.input_width // stride, plan.input_height // stride
