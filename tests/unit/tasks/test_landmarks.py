"""Points of a crop back in the frame, and refusals at load."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.results import Box, Face
from livegate.manifests.schema import PointsInCrop
from livegate.preprocess.scratch import Scratch
from livegate.tasks.landmarks import Plugin
from support import frame, shipped_manifest

LEVEL = ((30.0, 30.0), (50.0, 30.0), (40.0, 40.0), (33.0, 50.0), (47.0, 50.0))
UPRIGHT_LINE = ((40.0, 20.0), (40.0, 40.0), (30.0, 30.0), (20.0, 22.0), (20.0, 38.0))
"""A face that lies on its left side: its eyes' line runs straight down."""


def plugin() -> Plugin:
    """The task with the shipped model."""
    return Plugin(shipped_manifest("pfld_ghostone"), Config())


def found(landmarks: Any = LEVEL) -> dict[str, Any]:
    """One face of 20x40 about (40, 30), and a smaller one that does not count."""
    face = Face(Box(30, 10, 20, 40), landmarks, 0.9)
    return {"face_detection": (Face(Box(0, 0, 5, 5), LEVEL, 0.99), face)}


def answer(points: dict[int, tuple[float, float]]) -> tuple[dict[str, np.ndarray]]:
    """An output with these points, all others in the middle."""
    raw = np.full((98, 2), 0.5, np.float32)
    for index, point in points.items():
        raw[index] = point
    return ({"output": raw.reshape(1, 196)},)


def test_interpret_parts_become_frame_pixels() -> None:
    """The square is 1.1 x 40 wide about the box's centre; a pixel's centre is half a pixel in."""
    points = plugin().interpret(frame(), found(), answer({54: (0.0, 0.0), 16: (1.0, 0.5)}))
    assert points is not None
    assert points.nose_tip == pytest.approx((40 - 22 - 0.5, 30 - 22 - 0.5))
    assert points.chin == pytest.approx((40 + 22 - 0.5, 30 - 0.5))
    assert points.inner_lips[3] == pytest.approx((39.5, 29.5))


def test_interpret_turned_face_turns_the_points_back() -> None:
    """Eyes one above the other: the crop's right is the frame's below."""
    points = plugin().interpret(frame(), found(UPRIGHT_LINE), answer({54: (1.0, 0.5)}))
    assert points is not None
    assert points.nose_tip == pytest.approx((39.5, 30 + 22 - 0.5))


def test_rings_face_each_other() -> None:
    """Each ring's second and eighth point are upper and lower; WFLW's eyes run in opposite senses."""
    rule = shipped_manifest("pfld_ghostone").decode
    assert (rule.image_left_eye[1], rule.image_left_eye[7]) == (61, 67)
    assert (rule.image_right_eye[1], rule.image_right_eye[7]) == (71, 73)
    assert (rule.inner_lips[2], rule.inner_lips[6]) == (90, 94)


def test_model_of_68_points_is_data() -> None:
    """The common markup: eyes of six points, lips of eight, everything by index."""
    shipped = shipped_manifest("pfld_ghostone")
    assert isinstance(shipped.decode, PointsInCrop)
    decode = msgspec.structs.replace(
        shipped.decode,
        points=68,
        image_left_eye=(36, 37, 38, 39, 40, 41),
        image_right_eye=(45, 44, 43, 42, 47, 46),
        inner_lips=tuple(range(60, 68)),
        nose_tip=30,
        chin=8,
        mouth_corners=(48, 54),
    )
    task = Plugin(msgspec.structs.replace(shipped, decode=decode), Config())
    raw = np.arange(136, dtype=np.float32) / 136
    points = task.interpret(frame(), found(), ({"output": raw.reshape(1, 136)},))
    assert points is not None
    assert [len(points.image_left_eye), len(points.inner_lips)] == [6, 8]
    left, top = 40 - 22 - 0.5, 30 - 22 - 0.5
    assert points.chin == pytest.approx((left + 44 * 16 / 136, top + 44 * 17 / 136))
    assert points.image_right_eye[0] == pytest.approx((left + 44 * 90 / 136, top + 44 * 91 / 136))


def test_no_face_feeds_nothing_and_finds_nothing() -> None:
    """Without a face there is nothing to run and no points."""
    task = plugin()
    assert task.prepare(frame(), {"face_detection": ()}, Scratch()) == ()
    assert task.interpret(frame(), {"face_detection": ()}, ()) is None


def test_prepare_feeds_the_inputs_range() -> None:
    """(x / 255 - 0.5) / 0.5 is within -1 and 1, RGB planes of 112 x 112."""
    ((name, feeds),) = plugin().prepare(frame(), found(), Scratch())
    tensor = feeds["input"]
    assert (name, tensor.shape, tensor.dtype) == ("landmarks", (1, 3, 112, 112), np.float32)
    assert -1.0 <= tensor.min() < -0.5
    assert 0.5 < tensor.max() <= 1.0


def test_interpret_point_that_is_no_number_is_1030() -> None:
    """A NaN is an engine's error, not a face without a nose."""
    with pytest.raises(EngineError, match="not finite"):
        plugin().interpret(frame(), found(), answer({3: (np.nan, 0.0)}))


@pytest.mark.parametrize("change", ["decode", "index"])
def test_manifest_of_another_kind_is_1029(change: str) -> None:
    """Another decode rule, or an index beyond the points, is refused at load."""
    manifest = shipped_manifest("pfld_ghostone")
    other = shipped_manifest("fsanet_pair").decode
    wrong = other if change == "decode" else msgspec.structs.replace(manifest.decode, chin=98)
    with pytest.raises(SetupError) as caught:
        Plugin(msgspec.structs.replace(manifest, decode=wrong), Config())
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
