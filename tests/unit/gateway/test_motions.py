"""check_liveness: motions in their order, either side, strong enough, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from livegate.core.config import ActionsConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.results import Action, ActionEvent, Reason, VideoVerdict
from livegate.gateway.motions import (
    COMPLEXITIES,
    Complexity,
    MotionCheck,
    check_motions,
    complexity_from_text,
    motion_fields,
    wanted_motions,
)
from livegate.ingest.liveness_data import Motion
from support import video_verdict

BLINK, MOUTH, NOD, YAW = Motion.BLINK, Motion.MOUTH, Motion.NOD, Motion.YAW


def seen(*actions: Action, confidence: float = 1.0, reasons: tuple[Reason, ...] = ()) -> VideoVerdict:
    """These movements, a second each, and what else speaks against the video."""
    events = tuple(
        ActionEvent(action, 1000 * n, 1000 * n + 500, 1000 * n + 900, confidence)
        for n, action in enumerate(actions)
    )
    return video_verdict(events=events, reasons=reasons)


def check(motions: tuple[Motion, ...], verdict: VideoVerdict, complexity: int = 1) -> MotionCheck:
    return check_motions(motions, COMPLEXITIES[complexity], verdict, ActionsConfig())


@pytest.mark.parametrize("side", [Action.SHAKE_LEFT, Action.SHAKE_RIGHT])
def test_yaw_is_a_turn_to_either_side(side: Action) -> None:
    """And nothing was asked of which."""
    assert check((BLINK, YAW), seen(Action.BLINK, side)).is_passed


def test_turn_there_and_back_over_the_middle_is_one_motion() -> None:
    """A head that swings from one side to the other did what was asked for."""
    assert check((YAW, NOD), seen(Action.SHAKE_LEFT, Action.SHAKE_RIGHT, Action.NOD)).is_passed


ACTIONS = {
    BLINK: Action.BLINK,
    MOUTH: Action.MOUTH,
    NOD: Action.NOD,
    YAW: Action.SHAKE_RIGHT,
}


@pytest.mark.parametrize("motions", list(itertools.permutations(Motion, 2)))
def test_motions_count_in_their_order_only(motions: tuple[Motion, Motion]) -> None:
    """The same two the other way round do not pass."""
    done = [ACTIONS[motion] for motion in motions]
    assert check(motions, seen(*done)).is_passed
    assert not check(motions, seen(*reversed(done))).is_passed


def test_missing_motion_does_not_pass() -> None:
    """Its score is 0, and the reason is told."""
    found = check((NOD, MOUTH), seen(Action.NOD))
    assert [one.is_passed for one in found.results] == [True, False]
    assert [one.score for one in found.results] == [1.0, 0.0]
    assert found.reasons == (Reason.ACTION_MISSING,)


def test_other_movement_does_not_pass_unless_the_operator_allows_it() -> None:
    """A video in which somebody does everything answers no question."""
    everything = seen(Action.NOD, Action.MOUTH, Action.SHAKE_LEFT)
    assert check((NOD,), everything).reasons == (Reason.ACTION_NOT_ASKED_FOR,)
    lenient = check_motions((NOD,), COMPLEXITIES[1], everything, ActionsConfig(refuse_unasked=False))
    assert lenient.is_passed


def test_weak_movement_that_was_not_asked_for_counts() -> None:
    """The thresholds of the request are for what it asks for."""
    weak = replace(seen(Action.MOUTH, confidence=0.5).events[0], start_ms=5000, peak_ms=5500)
    verdict = seen(Action.NOD)
    found = check((NOD,), replace(verdict, events=(*verdict.events, weak)), complexity=3)
    assert found.reasons == (Reason.ACTION_NOT_ASKED_FOR,)


LEAST = [
    (0, {BLINK: 0.2, MOUTH: 0.2, YAW: 0.1, NOD: 0.2}),
    (1, {BLINK: 0.2, MOUTH: 0.2, YAW: 0.1, NOD: 0.2}),
    (2, dict.fromkeys(Motion, 0.5)),
    (3, dict.fromkeys(Motion, 0.7)),
]


@pytest.mark.parametrize(("complexity", "least"), LEAST)
@pytest.mark.parametrize("motion", list(Motion))
def test_motion_passes_at_the_tables_threshold(
    complexity: int, least: dict[Motion, float], motion: Motion
) -> None:
    """The whole table: the score is the part of the height above the least that counts."""
    for score, is_passed in ((least[motion], True), (least[motion] - 0.01, False), (1.0, True)):
        found = check((motion,), seen(ACTIONS[motion], confidence=0.5 + score / 2), complexity)
        assert found.is_passed is is_passed
        assert found.results[0].score == pytest.approx(score if is_passed else 0.0)


def test_weak_try_before_a_strong_one_is_passed() -> None:
    """Who tries again passes."""
    verdict = video_verdict(
        events=(
            ActionEvent(Action.NOD, 0, 500, 900, 0.5),
            ActionEvent(Action.NOD, 1000, 1500, 1900, 0.9),
        ),
    )
    found = check((NOD,), verdict, complexity=3)
    assert found.is_passed
    assert found.results[0].score == pytest.approx(0.8)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.FACE_LOST])
@pytest.mark.parametrize("complexity", range(4))
def test_no_other_reason_passes(reason: Reason, complexity: int) -> None:
    """Whatever speaks against the video itself is told and never forgiven."""
    found = check((NOD,), seen(Action.NOD, reasons=(reason,)), complexity)
    assert not found.is_passed
    assert found.reasons == (reason,)


@pytest.mark.parametrize(("complexity", "is_passed"), [(0, True), (1, False), (2, False), (3, False)])
def test_lost_face_passes_where_tracking_may_miss(complexity: int, is_passed: bool) -> None:
    """allow_tracking_miss of the table: the easy complexity only."""
    found = check((NOD,), seen(Action.NOD, reasons=(Reason.FACE_LOST,)), complexity)
    assert found.is_passed is is_passed


def test_fields_are_what_the_document_says() -> None:
    """Motions with their scores, passed as a real boolean, and the reasons."""
    found = motion_fields(check((BLINK, YAW), seen(Action.BLINK, confidence=0.75)))
    assert found == {
        "result": {
            "motions": [
                {"motion": "BLINK", "passed": True, "score": 0.5},
                {"motion": "YAW", "passed": False, "score": 0.0},
            ],
            "passed": False,
            "reasons": ["ACTION_MISSING"],
        }
    }


@pytest.mark.parametrize("text", ["", "   ", "BLINK,NOD", "blink", "SHAKE", "NOD " * 11])
def test_motions_that_are_none_are_refused(text: str) -> None:
    """None, too many, or words that are none."""
    with pytest.raises(RequestError) as caught:
        wanted_motions(text)
    assert caught.value.code is ErrorCode.PARAM_FAILURE


def test_motions_are_read() -> None:
    """One to ten of them."""
    assert wanted_motions("BLINK NOD") == (BLINK, NOD)
    assert wanted_motions("NOD " * 10) == (NOD,) * 10


@pytest.mark.parametrize("text", ["4", "-1", "1.0", "easy", "١"])
def test_complexity_that_is_none_is_refused(text: str) -> None:
    """0 to 3, as digits."""
    with pytest.raises(RequestError, match="complexity"):
        complexity_from_text(text)


def test_complexity_is_read() -> None:
    """The row of the table; 1 where nothing is said."""
    assert [complexity_from_text(str(number)) for number in range(4)] == list(COMPLEXITIES)
    assert complexity_from_text("") == Complexity(0.2, 0.2, 0.1, 0.2)
