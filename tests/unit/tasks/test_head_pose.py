"""Signs, the mean, and the turn of the crop added to the roll."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.results import Box, Face
from livegate.preprocess.scratch import Scratch
from livegate.tasks.head_pose import Plugin
from support import frame, shipped_manifest

LEVEL = ((30.0, 30.0), (50.0, 30.0), (40.0, 40.0), (33.0, 50.0), (47.0, 50.0))
TURNED = ((30.0, 30.0), (50.0, 50.0), (30.0, 50.0), (23.0, 50.0), (37.0, 60.0))
"""Turned 45 degrees clockwise."""


def plugin() -> Plugin:
    """The task with the shipped models."""
    return Plugin(shipped_manifest("fsanet_pair"), Config())


def found(landmarks: Any = LEVEL) -> dict[str, Any]:
    """One face."""
    return {"face_detection": (Face(Box(30, 10, 20, 40), landmarks, 0.9),)}


def answers(*angles: tuple[float, float, float]) -> list[dict[str, np.ndarray]]:
    """One network's answer each."""
    return [{"output": np.array([one], np.float32)} for one in angles]


def test_interpret_mean_in_our_signs() -> None:
    """The networks' left and up become our right and down."""
    pose = plugin().interpret(frame(), found(), answers((20, 10, 4), (10, 20, 0)))
    assert pose is not None
    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx((-15, -15, -2))


def test_interpret_turn_of_the_crop_is_added_to_the_roll() -> None:
    """What was turned away before is told afterwards."""
    pose = plugin().interpret(frame(), found(TURNED), answers((0, 0, 0), (0, 0, -2)))
    assert pose is not None
    assert pose.roll_deg == pytest.approx(46)


def test_no_face_feeds_nothing_and_finds_nothing() -> None:
    """Without a face there is nothing to run and no pose."""
    task = plugin()
    assert task.prepare(frame(), {"face_detection": ()}, Scratch()) == ()
    assert task.interpret(frame(), {"face_detection": ()}, ()) is None


def test_prepare_feeds_both_networks_the_same() -> None:
    """Two networks, one crop, in buffers of their own; (x - 127.5) / 128."""
    (first, one), (second, other) = plugin().prepare(frame(), found(), Scratch())
    assert (first, second) == ("fsanet_1x1", "fsanet_var")
    np.testing.assert_array_equal(one["input"], other["input"])
    assert one["input"].shape == (1, 3, 64, 64)
    assert np.abs(one["input"]).max() <= 1.0


def test_interpret_angle_that_is_no_number_is_1030() -> None:
    """A NaN is an engine's error."""
    with pytest.raises(EngineError, match="not finite"):
        plugin().interpret(frame(), found(), answers((0, np.inf, 0)))


@pytest.mark.parametrize("change", ["decode", "order"])
def test_manifest_of_another_kind_is_1029(change: str) -> None:
    """Another decode rule, or an angle named twice, is refused at load."""
    manifest = shipped_manifest("fsanet_pair")
    other = shipped_manifest("pfld_ghostone").decode
    twice = msgspec.structs.replace(manifest.decode, order=("yaw", "yaw", "roll"))
    wrong = other if change == "decode" else twice
    with pytest.raises(SetupError) as caught:
        Plugin(msgspec.structs.replace(manifest, decode=wrong), Config())
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
