"""Softmax, fusion and the choice of the face, by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.results import NO_FACE_SCORE, Box, Decision, Face, Reason
from livegate.manifests.schema import manifest_from_tables
from livegate.preprocess.scratch import Scratch
from livegate.tasks.silent_liveness import Plugin, softmax
from support import config_with, frame, shipped_manifest

PAIR = "minifasnet_pair"


def liveness(**keys: Any) -> Plugin:
    """The task with the shipped pair."""
    return Plugin(shipped_manifest(PAIR), config_with(silent_liveness=keys))


def face(x: float, y: float, width: float, height: float, score: float = 0.9) -> Face:
    """A face of which only box and score matter."""
    return Face(Box(x, y, width, height), ((0.0, 0.0),) * 5, score)


def logits(*values: float) -> dict[str, np.ndarray]:
    """One network's answer."""
    return {"output": np.array([values], np.float32)}


@given(values=st.lists(st.floats(-80, 80, width=32, allow_subnormal=False), min_size=1, max_size=5))
def test_softmax_is_the_definition(values: list[float]) -> None:
    """Exponentials over their sum, computed here in float64 without any trick."""
    powers = [np.exp(np.float64(value)) for value in values]
    expected = np.array(powers) / sum(powers)
    np.testing.assert_allclose(softmax(np.array(values, np.float32)), expected, atol=1e-5)


def test_softmax_large_logits_do_not_overflow() -> None:
    """Logits whose exponentials are no floats any more are still turned to probabilities."""
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0, -1000.0], np.float32)), [0.5, 0.5, 0])


def test_prepare_without_a_face_runs_nothing() -> None:
    """Where there is no face no network is run."""
    assert liveness().prepare(frame(), {"face_detection": ()}, Scratch()) == ()


def test_prepare_cuts_the_largest_face_for_each_network() -> None:
    """Both networks look at the largest face, not at the surest, each with its own margin."""
    picture = frame(320, 240)
    large, sure = face(180, 120, 40, 40, 0.7), face(20, 20, 20, 20, 0.99)
    calls = liveness().prepare(picture, {"face_detection": (sure, large)}, Scratch())
    alone = liveness().prepare(picture, {"face_detection": (large,)}, Scratch())
    assert [name for name, _ in calls] == ["crop_2_7", "crop_4_0"]
    for (_, feeds), (_, expected) in zip(calls, alone, strict=True):
        assert feeds["input"].shape == (1, 3, 80, 80)
        assert np.array_equal(feeds["input"], expected["input"])
    assert not np.array_equal(calls[0][1]["input"], calls[1][1]["input"])


def test_prepare_face_over_the_edge_is_cut_inside() -> None:
    """A face that reaches over the picture's edge is cut out without an error."""
    for box in ((-30, -30, 60, 60), (300, 220, 80, 80), (-500, -500, 20, 20), (0, 0, 4000, 10)):
        calls = liveness().prepare(frame(320, 240), {"face_detection": (face(*box),)}, Scratch())
        assert len(calls) == 2


def test_prepare_view_that_does_not_shrink_keeps_its_margin() -> None:
    """enlarge_level_eyes on a face that fills the picture has black around it; the other rule cuts."""
    tables = msgspec.to_builtins(shipped_manifest(PAIR))
    tables["networks"][0]["crop"] = {"rule": "enlarge_level_eyes", "enlarge": 3.0, "is_square": True}
    task = Plugin(manifest_from_tables(tables, origin="a test"), Config())
    picture = Frame(np.full((240, 240, 3), 200, np.uint8), 0)
    calls = dict(task.prepare(picture, {"face_detection": (face(0, 0, 240, 240),)}, Scratch()))
    wide, shifted = calls["crop_2_7"]["input"], calls["crop_4_0"]["input"]
    assert (shifted == 200).all()
    assert (wide[0, 0, 40, 40], wide[0, 0, 5, 5], wide[0, 0, 75, 40]) == (200, 0, 0)


def test_prepare_square_view_of_a_face_that_fills_the_picture_is_the_picture() -> None:
    """square_inside spends nothing on what the camera did not see, but for the picture's own shape."""
    tables = msgspec.to_builtins(shipped_manifest(PAIR))
    tables["networks"][0]["crop"] = {"rule": "square_inside", "enlarge": 3.0}
    task = Plugin(manifest_from_tables(tables, origin="a test"), Config())
    picture = Frame(np.full((240, 320, 3), 200, np.uint8), 0)
    calls = dict(task.prepare(picture, {"face_detection": (face(60, 0, 200, 240),)}, Scratch()))
    wide = calls["crop_2_7"]["input"]
    assert (wide[0, 0, 12:68] == 200).all()
    assert (wide[0, 0, :9] == 0).all()
    assert (wide[0, 0, 71:] == 0).all()


def test_interpret_harmonic_mean_lets_the_network_decide_that_is_sure_of_an_attack() -> None:
    """1 / mean(1 / p): a probability of nearly 0 is not made up for by one of nearly 1."""
    tables = msgspec.to_builtins(shipped_manifest(PAIR))
    tables["decode"]["rule"] = "softmax_harmonic_mean"
    task = Plugin(manifest_from_tables(tables, origin="a test"), Config())
    score = task.interpret(frame(), {}, [logits(6.0, 0.0, 0.0), logits(0.0, 6.0, 0.0)])
    low, high = 1 / (np.exp(6) + 2), np.exp(6) / (np.exp(6) + 2)
    assert score == pytest.approx(2 / (1 / low + 1 / high), abs=1e-6)
    assert score < 0.01


def test_interpret_harmonic_mean_of_a_probability_that_underflows_is_0() -> None:
    """Logits so far apart that the probability is 0 in float32 give the score 0, no error."""
    tables = msgspec.to_builtins(shipped_manifest(PAIR))
    tables["decode"]["rule"] = "softmax_harmonic_mean"
    task = Plugin(manifest_from_tables(tables, origin="a test"), Config())
    assert task.interpret(frame(), {}, [logits(500.0, 0.0, 0.0), logits(0.0, 6.0, 0.0)]) == 0.0


def test_interpret_is_the_mean_of_both_networks_probability() -> None:
    """Softmax first, then the mean, then class 1: not the softmax of the mean."""
    first, second = logits(0.0, 2.0, 0.0), logits(1.0, 0.0, 1.0)
    expected = (np.exp(2) / (np.exp(2) + 2) + 1 / (1 + 2 * np.e)) / 2
    score = liveness().interpret(frame(), {}, [first, second])
    assert score == pytest.approx(expected, abs=1e-6)


def test_interpret_without_outputs_is_no_face() -> None:
    """Where nothing was run the finding says that there was no face."""
    assert liveness().interpret(frame(), {}, []) == NO_FACE_SCORE


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_interpret_numbers_that_are_not_finite_are_1030(value: float, place: int) -> None:
    """One number that is not finite, in any class of any network, is 1030 and never a score."""
    values = [0.0, 0.0, 0.0]
    values[place] = value
    with pytest.raises(EngineError) as caught:
        liveness().interpret(frame(), {}, [logits(0, 9, 0), logits(*values)])
    assert caught.value.code is ErrorCode.MODELINFER_FAIL


@pytest.mark.parametrize(
    ("fusion", "findings", "expected"),
    [
        ("min", [0.9, 0.2, 0.7], 0.2),
        ("mean", [0.9, 0.2, 0.7], 0.6),
        ("median", [0.9, 0.2, 0.7], 0.7),
        ("median", [0.9, 0.2, 0.7, 0.6], 0.6),
        ("min", [0.9, -1.0, 0.7], 0.7),
        ("mean", [0.9, -1.0, 0.7], 0.8),
        ("median", [0.9, -1.0, 0.7], 0.7),
        ("min", [0.4], 0.4),
        ("min", [0.0, 0.9], 0.0),
        ("min", [-1.0, -1.0], -1.0),
        ("mean", [-1.0], -1.0),
        ("median", [-1.0, -1.0], -1.0),
    ],
)
def test_fuse_score_follows_the_rule(fusion: str, findings: list[float], expected: float) -> None:
    """Least, mean or lower median of the pictures with a face; -1 only when none has one."""
    verdict = liveness(fusion=fusion).fuse(findings)
    assert verdict.score == pytest.approx(expected)
    assert verdict.image_scores == tuple(findings)


@pytest.mark.parametrize(
    ("findings", "decision", "reasons"),
    [
        ([0.5], Decision.GENUINE, ()),
        ([0.49], Decision.SPOOF, (Reason.SCORE_BELOW_THRESHOLD,)),
        ([0.0], Decision.SPOOF, (Reason.SCORE_BELOW_THRESHOLD,)),
        ([-1.0], Decision.NO_FACE, (Reason.NO_FACE,)),
        ([0.9, -1.0], Decision.GENUINE, (Reason.FACE_MISSING_IN_SOME_IMAGES,)),
        (
            [0.1, -1.0],
            Decision.SPOOF,
            (Reason.SCORE_BELOW_THRESHOLD, Reason.FACE_MISSING_IN_SOME_IMAGES),
        ),
    ],
)
def test_fuse_decision_and_reasons_follow_the_scores(
    findings: list[float], decision: Decision, reasons: tuple[Reason, ...]
) -> None:
    """At the threshold is genuine, below is a spoof, and every reason is given."""
    verdict = liveness().fuse(findings)
    assert verdict.decision is decision
    assert verdict.reasons == reasons
    assert verdict.threshold == 0.5


@given(
    findings=st.lists(
        st.one_of(st.just(-1.0), st.floats(0, 1, allow_subnormal=False)), min_size=1, max_size=16
    ),
    fusion=st.sampled_from(["min", "mean", "median"]),
)
def test_fuse_score_is_within_the_scores_or_no_face(findings: list[float], fusion: str) -> None:
    """Whatever the rule, the score lies between the least and the greatest, or is -1 without faces."""
    score = liveness(fusion=fusion).fuse(findings).score
    seen = [finding for finding in findings if finding >= 0]
    if seen:
        assert min(seen) - 1e-12 <= score <= max(seen) + 1e-12
    else:
        assert score == NO_FACE_SCORE


@pytest.mark.parametrize("threshold", [0.0, 0.95])
def test_fuse_threshold_of_the_configuration_goes_before_the_models(threshold: float) -> None:
    """A configured threshold replaces the model's, zero included."""
    verdict = liveness(threshold=threshold).fuse([0.7])
    assert verdict.threshold == threshold
    assert verdict.decision is (Decision.GENUINE if threshold == 0 else Decision.SPOOF)


def test_plugin_model_of_other_rules_is_refused() -> None:
    """A manifest whose rules this task does not know is 1029 at load."""
    with pytest.raises(SetupError, match="yunet_n") as caught:
        Plugin(shipped_manifest("yunet_n"), Config())
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


@pytest.mark.parametrize("genuine_class", [-1, 3])
def test_plugin_model_without_its_genuine_class_is_refused(genuine_class: int) -> None:
    """A genuine class that the networks do not answer is 1029 at load, not an index error later."""
    manifest = shipped_manifest(PAIR)
    rule = msgspec.structs.replace(manifest.decode, genuine_class=genuine_class)
    with pytest.raises(SetupError, match=f"class {genuine_class}") as caught:
        Plugin(msgspec.structs.replace(manifest, decode=rule), Config())
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_plugin_model_without_its_output_or_threshold_is_refused() -> None:
    """An output or a threshold that the task reads and the manifest lacks is 1029 at load."""
    manifest = shipped_manifest(PAIR)
    rule = msgspec.structs.replace(manifest.decode, output="logits")
    with pytest.raises(SetupError, match="logits"):
        Plugin(msgspec.structs.replace(manifest, decode=rule), Config())
    with pytest.raises(SetupError, match="genuine"):
        Plugin(msgspec.structs.replace(manifest, thresholds={}), Config())
