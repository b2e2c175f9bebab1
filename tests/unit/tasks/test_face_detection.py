"""YuNet's grids by hand, greedy NMS by brute force, and refusals at load."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.results import NO_FACE_SCORE, Box, Decision, Face, Reason
from livegate.manifests.schema import YunetGrid
from livegate.preprocess.scratch import Scratch
from livegate.tasks.face_detection import Plugin, decode_grid, keep_best
from support import config_with, noise, shipped_manifest

STRIDES = (8, 16, 32)
RULE = YunetGrid(
    strides=STRIDES,
    class_output="cls",
    object_output="obj",
    box_output="bbox",
    landmark_output="kps",
    landmarks=("a", "b", "c", "d", "e"),
)


def grids(width: int, height: int) -> dict[str, np.ndarray]:
    """Outputs of an input of that size in which nothing is a face."""
    outputs = {}
    for stride in STRIDES:
        cells = (width // stride) * (height // stride)
        outputs[f"cls_{stride}"] = np.zeros((1, cells, 1), np.float32)
        outputs[f"obj_{stride}"] = np.zeros((1, cells, 1), np.float32)
        outputs[f"bbox_{stride}"] = np.zeros((1, cells, 4), np.float32)
        outputs[f"kps_{stride}"] = np.zeros((1, cells, 10), np.float32)
    return outputs


def put_face(
    outputs: dict[str, np.ndarray],
    stride: int,
    cell: int,
    *,
    score: tuple[float, float] = (1.0, 1.0),
    box: tuple[float, ...] = (0, 0, 0, 0),
    points: tuple[float, ...] = (0,) * 10,
) -> None:
    """A face in one cell."""
    outputs[f"cls_{stride}"][0, cell, 0], outputs[f"obj_{stride}"][0, cell, 0] = score
    outputs[f"bbox_{stride}"][0, cell] = box
    outputs[f"kps_{stride}"][0, cell] = points


def detector(**keys: Any) -> Plugin:
    """The task with the shipped model."""
    return Plugin(shipped_manifest("yunet_n"), config_with(face_detection=keys))


def frame(width: int, height: int) -> Frame:
    """Some frame of that size."""
    return Frame(noise(width, height), 0)


def test_decode_grid_cell_by_hand_is_the_papers_box() -> None:
    """Row 2, column 3 of the 8-pixel grid of a 64 wide input: centre, size and points by hand."""
    outputs = grids(64, 96)
    points = (0.0, 0.0, 1.0, 0.5, -1.0, 2.0, 0.25, 0.25, 3.0, -2.0)
    box = (0.5, -0.25, np.log(4.0), np.log(2.0))
    put_face(outputs, 8, 2 * 8 + 3, score=(0.81, 0.64), box=box, points=points)
    scores, boxes, landmarks = decode_grid(outputs, RULE, 64, 0.6)
    np.testing.assert_allclose(scores, [0.72], rtol=1e-6)  # sqrt(0.81 * 0.64)
    # centre ((3 + 0.5) * 8, (2 - 0.25) * 8) = (28, 14), size (32, 16)
    np.testing.assert_allclose(boxes, [[12, 6, 32, 16]], rtol=1e-6)
    expected = [[24, 16], [32, 20], [16, 32], [26, 18], [48, 0]]
    np.testing.assert_allclose(landmarks[0], expected, rtol=1e-6)


@pytest.mark.parametrize("stride", STRIDES)
def test_decode_grid_every_stride_has_its_own_columns(stride: int) -> None:
    """The last cell of every grid is in the bottom right of the input."""
    outputs = grids(128, 64)
    cells = outputs[f"cls_{stride}"].shape[1]
    put_face(outputs, stride, cells - 1)
    _, boxes, _ = decode_grid(outputs, RULE, 128, 0.5)
    left, top, width, height = boxes[0]
    assert (left + width / 2, top + height / 2) == (128 - stride, 64 - stride)


def test_decode_grid_scores_are_clipped() -> None:
    """Class and object scores beyond 0..1 count as 0 and 1."""
    outputs = grids(64, 64)
    put_face(outputs, 8, 0, score=(7.0, 0.25))
    put_face(outputs, 8, 1, score=(-7.0, -7.0))
    scores, _, _ = decode_grid(outputs, RULE, 64, 0.1)
    np.testing.assert_allclose(scores, [0.5])


def test_decode_grid_score_at_the_limit_passes_and_below_does_not() -> None:
    """A face just at the least score is kept, one below is not."""
    outputs = grids(64, 64)
    put_face(outputs, 8, 0, score=(0.25, 1.0))
    put_face(outputs, 8, 1, score=(0.2499, 1.0))
    scores, _, _ = decode_grid(outputs, RULE, 64, 0.5)
    assert scores.tolist() == [0.5]


def test_decode_grid_without_faces_is_empty_in_the_right_shapes() -> None:
    """No face is no error: empty arrays that concatenate with others."""
    scores, boxes, points = decode_grid(grids(64, 64), RULE, 64, 0.5)
    assert (scores.shape, boxes.shape, points.shape) == ((0,), (0, 4), (0, 5, 2))


@pytest.mark.parametrize("name", ["cls", "obj"])
def test_decode_grid_score_that_is_no_number_is_1030(name: str) -> None:
    """A NaN among the scores ends in 1030, never in `no face`."""
    outputs = grids(64, 64)
    outputs[f"{name}_16"][0, 3, 0] = np.nan
    with pytest.raises(EngineError, match="stride 16"):
        decode_grid(outputs, RULE, 64, 0.6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["bbox", "kps"])
def test_decode_grid_face_that_is_not_finite_is_1030(name: str, value: float) -> None:
    """NaN or infinity in a face that passes is 1030, a good and better face beside it or not."""
    outputs = grids(64, 64)
    put_face(outputs, 8, 0)
    put_face(outputs, 8, 9, score=(0.9, 0.9))
    outputs[f"{name}_8"][0, 9, 3] = value
    with pytest.raises(EngineError) as caught:
        decode_grid(outputs, RULE, 64, 0.6)
    assert caught.value.code is ErrorCode.MODELINFER_FAIL


def test_decode_grid_size_that_overflows_is_1030() -> None:
    """A finite logarithm whose size is no float any more is 1030, without a warning."""
    outputs = grids(64, 64)
    put_face(outputs, 8, 0, box=(0, 0, 0, 1000.0))
    with pytest.raises(EngineError):
        decode_grid(outputs, RULE, 64, 0.6)


@pytest.mark.parametrize("name", ["bbox", "kps"])
def test_decode_grid_place_that_overflows_is_1030(name: str) -> None:
    """A finite offset whose place is no float any more is 1030, without a warning."""
    outputs = grids(64, 64)
    put_face(outputs, 8, 0)
    outputs[f"{name}_8"][0, 0, 1] = 3e38
    with pytest.raises(EngineError, match="stride 8"):
        decode_grid(outputs, RULE, 64, 0.6)


def test_decode_grid_rubbish_in_cells_that_do_not_pass_is_ignored() -> None:
    """Cells below the least score are not decoded, whatever stands in them."""
    outputs = grids(64, 64)
    outputs["bbox_8"][:] = np.nan
    assert len(decode_grid(outputs, RULE, 64, 0.6)[0]) == 0


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


@settings(deadline=None)
@given(
    corners=st.lists(
        st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 40)] * 2, st.integers(0, 9)),
        max_size=25,
    ),
    percent=st.integers(0, 99),
)
def test_keep_best_equals_brute_force(
    corners: list[tuple[int, int, int, int, int]], percent: int
) -> None:
    """Greedy NMS keeps what the definition keeps: no kept box overlaps a better kept one too much."""
    rows = np.array(corners, np.float64).reshape(-1, 5)
    boxes, scores = rows[:, :4], rows[:, 4] / 10
    limit = (percent + 0.5) / 101  # never exactly a quotient of these whole numbers
    expected: list[int] = []
    for candidate in sorted(range(len(boxes)), key=lambda n: -scores[n]):
        if all(iou(boxes[candidate], boxes[kept]) <= limit for kept in expected):
            expected.append(candidate)
    assert keep_best(boxes, scores, limit) == expected


def test_keep_best_same_box_twice_keeps_the_better() -> None:
    """Of two boxes in one place the surer one stays."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 10, 10]], np.float32)
    assert keep_best(boxes, np.array([0.7, 0.9, 0.8], np.float32), 0.3) == [1, 2]


def test_keep_best_of_nothing_is_nothing() -> None:
    """Without boxes nothing is kept."""
    assert keep_best(np.empty((0, 4), np.float32), np.empty(0, np.float32), 0.3) == []


def test_prepare_is_one_letterboxed_input_for_the_detector() -> None:
    """The network's input is the frame at the configured size, sides rounded up to 32."""
    ((name, feeds),) = detector(input_size=320).prepare(frame(640, 400), {}, Scratch())
    assert name == "detector"
    assert feeds["input"].shape == (1, 3, 224, 320)


def test_interpret_faces_are_in_frame_pixels() -> None:
    """Boxes and points are scaled back to the frame, each axis by its own factor."""
    # 640x480 is read at 320x240 in an input of 320x256: half the size.
    outputs = grids(320, 256)
    put_face(outputs, 32, 10 * 2 + 4, box=(0, 0, np.log(2), np.log(3)), points=(1.0,) * 10)
    (face,) = detector().interpret(frame(640, 480), {}, [outputs])
    box = face.box
    assert (box.x, box.y) == pytest.approx(((4 * 32 - 32) * 2, (2 * 32 - 48) * 2))
    assert (box.width, box.height) == pytest.approx((128, 192))
    assert face.landmarks == tuple([pytest.approx((5 * 32 * 2, 3 * 32 * 2))] * 5)
    assert face.score == 1.0


def test_interpret_faces_are_sorted_and_cut_to_max_faces() -> None:
    """The surest faces come first, and no more than are asked for."""
    outputs = grids(320, 320)
    for cell, score in ((0, 0.7), (20, 0.9), (40, 0.8)):
        put_face(outputs, 32, cell, score=(score, score))
    faces = detector(max_faces=2).interpret(frame(320, 320), {}, [outputs])
    assert [round(face.score, 3) for face in faces] == [0.9, 0.8]


def test_interpret_min_score_of_the_configuration_goes_before_the_models() -> None:
    """The model's own least score holds unless the configuration gives one, zero included."""
    outputs = grids(320, 320)
    put_face(outputs, 32, 0, score=(0.5, 0.5))
    picture = frame(320, 320)
    assert detector().interpret(picture, {}, [outputs]) == ()
    assert len(detector(min_score=0.4).interpret(picture, {}, [outputs])) == 1
    assert len(detector(min_score=0.0).interpret(picture, {}, [outputs])) >= 1


def test_fuse_faces_of_several_pictures_are_numbered() -> None:
    """Every face carries the picture that it was found in; the score is the best face's."""

    def face(score: float) -> Face:
        return Face(Box(0, 0, 9, 9), ((0.0, 0.0),) * 5, score)

    verdict = detector().fuse([(face(0.8), face(0.7)), (), (face(0.9),)])
    assert verdict.decision is Decision.FACE
    assert verdict.score == 0.9
    assert verdict.image_scores == (0.8, NO_FACE_SCORE, 0.9)
    assert [(found.image_index, found.face.score) for found in verdict.faces] == [
        (0, 0.8),
        (0, 0.7),
        (2, 0.9),
    ]
    assert verdict.reasons == ()
    assert verdict.threshold == 0.6


def test_fuse_without_faces_is_a_verdict() -> None:
    """No face in any picture is a verdict with its reason, not an error."""
    verdict = detector().fuse([(), ()])
    assert verdict.decision is Decision.NO_FACE
    assert verdict.score == NO_FACE_SCORE
    assert verdict.reasons == (Reason.NO_FACE,)


def test_plugin_model_of_other_rules_is_refused() -> None:
    """A manifest whose rules this task does not know is 1029 at load."""
    with pytest.raises(SetupError, match="minifasnet_pair") as caught:
        Plugin(shipped_manifest("minifasnet_pair"), Config())
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


@pytest.mark.parametrize("name", ["min_score", "nms_iou"])
def test_plugin_model_without_a_threshold_is_refused(name: str) -> None:
    """A manifest without a threshold that the task reads is 1029 at load."""
    manifest = shipped_manifest("yunet_n")
    thresholds = {key: value for key, value in manifest.thresholds.items() if key != name}
    with pytest.raises(SetupError, match=name) as caught:
        Plugin(msgspec.structs.replace(manifest, thresholds=thresholds), Config())
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_plugin_model_without_an_output_of_its_rule_is_refused() -> None:
    """A decode rule that names an output which the network does not have is 1029 at load."""
    manifest = shipped_manifest("yunet_n")
    rule = msgspec.structs.replace(manifest.decode, strides=(8, 16, 32, 64))
    with pytest.raises(SetupError, match="bbox_64") as caught:
        Plugin(msgspec.structs.replace(manifest, decode=rule), Config())
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
