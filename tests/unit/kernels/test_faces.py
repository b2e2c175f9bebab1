"""Decode and NMS of the kernel's own sources, on real threads, against the task that runs on the CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels_on_cpu import KernelsOnCpu, compiled
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.results import Face
from livegate.kernels.faces import (
    MAX_GRIDS,
    MAX_THREADS,
    FaceLimits,
    candidate_bytes,
    faces_from_found,
    found_bytes,
    launch_face_detection,
)
from livegate.manifests.schema import Letterbox, YunetGrid
from livegate.preprocess.ops import LetterboxPlan, plan_letterbox
from livegate.tasks.face_detection import Plugin
from support import config_with, shipped_manifest

MANIFEST = shipped_manifest("yunet_n")
RULE = MANIFEST.decode
assert isinstance(RULE, YunetGrid)
NAMES = (RULE.class_output, RULE.object_output, RULE.box_output, RULE.landmark_output)
WIDTHS = (1, 1, 4, 10)
FRAME = Frame(np.zeros((150, 201, 3), np.uint8), 0)
SIZE = 160
GUARD = 0xA5
Outputs = dict[str, np.ndarray]


def plan_of(frame: Frame) -> LetterboxPlan:
    """How the detector looks at that frame."""
    crop = MANIFEST.networks[0].crop
    assert isinstance(crop, Letterbox)
    return plan_letterbox(frame.width, frame.height, crop, SIZE)


def random_outputs(seed: int, *, passing: float, scores: int = 0) -> Outputs:
    """Grids in which a part of the cells passes.

    With `scores`, so many different ones and sizes of whole strides: equal scores, boxes that touch, and
    overlaps that are exactly the limit.
    """
    random, plan = np.random.default_rng(seed), plan_of(FRAME)
    outputs = {}
    for stride in RULE.strides:
        cells = (plan.input_width // stride) * (plan.input_height // stride)
        grids = [random.uniform(-0.2, 1.2, (1, cells, 1)) for _ in range(2)]
        grids[1][random.random((1, cells, 1)) >= passing] = 0
        grids += [random.normal(0, 1, (1, cells, width)) for width in WIDTHS[2:]]
        if scores:
            grids[:2] = [np.ceil(grid * scores) / scores for grid in grids[:2]]
            grids[2] = np.zeros_like(grids[2])
            grids[2][..., :2] = random.integers(-1, 2, grids[2][..., :2].shape) / 2
        outputs |= {
            f"{name}_{stride}": grid.astype(np.float32) for name, grid in zip(NAMES, grids, strict=True)
        }
    return outputs


def faces_of_the_kernel(
    kernels: KernelsOnCpu, outputs: Outputs, limits: FaceLimits, threads: int, frame: Frame = FRAME
) -> tuple[Face, ...]:
    """What the kernel finds, in memory that is full of rubbish before; nothing behind it is touched."""
    plan = plan_of(frame)
    sizes = candidate_bytes(RULE, plan), found_bytes(limits.max_faces)
    candidates, found = (np.full(size + 64, GUARD, np.uint8) for size in sizes)
    launch = launch_face_detection(
        RULE,
        {name: output.ctypes.data for name, output in outputs.items()},
        plan,
        limits,
        candidates_address=candidates.ctypes.data,
        found_address=found.ctypes.data,
    )
    kernels.run(launch, threads=threads)
    for memory in (candidates, found):
        assert (memory[-64:] == GUARD).all()
    return faces_from_found(found[:-64].tobytes(), RULE)


def faces_of_the_task(outputs: Outputs, limits: FaceLimits) -> tuple[Face, ...]:
    """What the task finds that runs on the CPU."""
    keys = {"min_score": limits.min_score, "max_faces": limits.max_faces, "input_size": SIZE}
    manifest = msgspec.structs.replace(
        MANIFEST, thresholds={**MANIFEST.thresholds, "nms_iou": limits.max_iou}
    )
    return Plugin(manifest, config_with(face_detection=keys)).interpret(FRAME, {}, [outputs])


def assert_same(told: tuple[Face, ...], expected: tuple[Face, ...]) -> None:
    """The same faces in the same order: scores to the bit, places to a thousandth of a pixel."""
    assert [face.score for face in told] == [face.score for face in expected]
    for one, other in zip(told, expected, strict=True):
        boxes = [(f.box.x, f.box.y, f.box.width, f.box.height) for f in (one, other)]
        np.testing.assert_allclose(*boxes, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(one.landmarks, other.landmarks, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2, 32])
@pytest.mark.parametrize("passing", [0.0, 0.02, 0.3, 1.0])
def test_faces_are_the_tasks(kernels: KernelsOnCpu, passing: float, threads: int) -> None:
    """Few, many and no candidates; however many threads share the work."""
    limits = FaceLimits(0.6, 0.3, 64)
    outputs = random_outputs(int(passing * 100), passing=passing)
    told = faces_of_the_kernel(kernels, outputs, limits, threads)
    assert_same(told, faces_of_the_task(outputs, limits))
    assert bool(told) == (passing > 0)


@pytest.mark.parametrize("max_iou", [0.0, 1 / 3, 0.5, 1.0])
def test_faces_of_equal_scores_are_found_in_the_order_of_cells(max_iou: float) -> None:
    """Ties, boxes that only touch, and overlaps of exactly the limit end as they do on the CPU."""
    limits = FaceLimits(0.5, max_iou, 64)
    outputs = random_outputs(5, passing=0.2, scores=4)
    expected = faces_of_the_task(outputs, limits)
    assert len({face.score for face in expected}) < len(expected)
    for threads in (1, 8):
        assert_same(faces_of_the_kernel(compiled(), outputs, limits, threads), expected)


@pytest.mark.parametrize("max_faces", [1, 3, 10_000])
def test_faces_are_the_best_so_many(max_faces: int) -> None:
    """The limit keeps the best; room for more than there are cells is no harm."""
    limits = FaceLimits(0.3, 0.9, max_faces)
    outputs = random_outputs(6, passing=0.5)
    told = faces_of_the_kernel(compiled(), outputs, limits, 8)
    assert_same(told, faces_of_the_task(outputs, limits))


@given(
    seed=st.integers(0, 2**32),
    passing=st.floats(0, 1),
    min_score=st.floats(0, 1, width=32),
    max_iou=st.floats(0, 1, width=32),
    threads=st.sampled_from([1, 4]),
)
@settings(max_examples=40, deadline=None)
def test_faces_of_any_grids_are_the_tasks(
    seed: int, passing: float, min_score: float, max_iou: float, threads: int
) -> None:
    """Any grids and any limits, zero and one included."""
    limits = FaceLimits(min_score, max_iou, 20)
    outputs = random_outputs(seed, passing=passing)
    told = faces_of_the_kernel(compiled(), outputs, limits, threads)
    assert_same(told, faces_of_the_task(outputs, limits))


NONSENSE = st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 100.0])


@example(stride=8, output=2, at=3, number=-np.inf)
@example(stride=32, output=3, at=7, number=3e38)
@example(stride=16, output=2, at=0, number=3e38)
@example(stride=16, output=0, at=0, number=np.nan)
@given(
    stride=st.sampled_from(RULE.strides),
    output=st.integers(0, 3),
    at=st.integers(0, 400),
    number=NONSENSE,
)
@settings(max_examples=80, deadline=None)
def test_nonsense_in_a_grid_is_refused_where_the_task_refuses_it(
    stride: int, output: int, at: int, number: float
) -> None:
    """What is not finite, or becomes so, in a cell that counts, is an error that names the grid."""
    outputs = random_outputs(9, passing=0.4)
    target = outputs[f"{NAMES[output]}_{stride}"].reshape(-1)
    target[at % len(target)] = number
    limits = FaceLimits(0.6, 0.3, 16)

    def told(find: Callable[[], tuple[Face, ...]]) -> tuple[Face, ...] | str:
        try:
            return find()
        except EngineError as error:
            return error.message

    expected = told(lambda: faces_of_the_task(outputs, limits))
    found = told(lambda: faces_of_the_kernel(compiled(), outputs, limits, 4))
    if isinstance(expected, str) or isinstance(found, str):
        assert found == expected
    else:
        assert_same(found, expected)


def test_launch_is_one_block_of_a_power_of_two() -> None:
    """The kernel halves its threads until one is left."""
    addresses = {f"{name}_{stride}": 0 for name in NAMES for stride in RULE.strides}
    launch = launch_face_detection(
        RULE,
        addresses,
        plan_of(FRAME),
        FaceLimits(0.5, 0.3, 4),
        candidates_address=0,
        found_address=0,
    )
    assert launch.grid == (1, 1, 1)
    assert launch.block == (MAX_THREADS, 1, 1)
    assert MAX_THREADS & (MAX_THREADS - 1) == 0


def test_rule_with_too_many_strides_is_refused() -> None:
    """The kernel has room for so many grids and says so at load, not by reading beside them."""
    rule = msgspec.structs.replace(RULE, strides=(4, 8, 16, 32, 64))
    with pytest.raises(SetupError, match=f"takes {MAX_GRIDS} strides") as refused:
        launch_face_detection(
            rule, {}, plan_of(FRAME), FaceLimits(0.5, 0.3, 4), candidates_address=0, found_address=0
        )
    assert refused.value.code is ErrorCode.MODELINIT_FAIL


def test_answer_that_is_cut_short_is_never_read_beyond() -> None:
    """An answer smaller than what it counts raises; it does not read what lies behind."""
    answer = (ctypes.c_int * 5)(3, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="Buffer size too small"):
        faces_from_found(bytes(answer), RULE)
