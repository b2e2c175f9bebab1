"""Shapes of movements, drawn by hand: what is an action, and what only looks like one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.config import ActionsConfig
from livegate.core.results import Action, ActionEvent, FaceSample
from livegate.pipelines.actions import ActionDetector

STEP_MS = 66
REST = {"yaw": 0.0, "pitch": 0.0, "mouth": 0.03, "eyes": 0.3}
Curve = Callable[[float], float]


def bump(height: float, start_s: float, length_s: float) -> Curve:
    """Out and back, a raised cosine."""

    def at(t_s: float) -> float:
        part = (t_s - start_s) / length_s
        return height * (1 - math.cos(2 * math.pi * part)) / 2 if 0 < part < 1 else 0.0

    return at


def step(height: float, start_s: float) -> Curve:
    """Out, and never back."""
    return lambda t_s: height if t_s >= start_s else 0.0


def samples(
    seconds: float = 4.0, step_ms: int = STEP_MS, rest: dict[str, float] = REST, **curves: Curve
) -> Iterable[FaceSample]:
    """A face at rest, with these movements added."""
    for pts_ms in range(0, round(seconds * 1000), step_ms):
        now = {name: rest[name] + curves.get(name, lambda _: 0.0)(pts_ms / 1000) for name in rest}
        yield FaceSample(pts_ms, now["yaw"], now["pitch"], now["mouth"], now["eyes"])


def seen(track: Iterable[FaceSample], **keys: object) -> list[ActionEvent]:
    """What a detector says of it."""
    detector = ActionDetector(ActionsConfig(), **keys)  # type: ignore[arg-type]
    return [event for sample in track for event in detector.feed(sample)]


def actions(track: Iterable[FaceSample], **keys: object) -> list[Action]:
    """Which ones."""
    return [event.action for event in seen(track, **keys)]


MOVES: dict[Action, dict[str, Curve]] = {
    Action.SHAKE_LEFT: {"yaw": bump(30, 1, 1.5)},
    Action.SHAKE_RIGHT: {"yaw": bump(-30, 1, 1.5)},
    Action.NOD: {"pitch": bump(18, 1, 0.8)},
    Action.MOUTH: {"mouth": bump(0.45, 1, 0.8)},
    Action.BLINK: {"eyes": bump(-0.2, 1, 0.3)},
}


@pytest.mark.parametrize("action", Action)
def test_movement_out_and_back_is_its_action_and_no_other(action: Action) -> None:
    """Each action's own shape gives one event of it, with times around its peak."""
    (event,) = seen(samples(**MOVES[action]))
    assert event.action is action
    assert event.start_ms < event.peak_ms < event.end_ms
    assert event.start_ms >= 1000 - STEP_MS
    assert 0.5 <= event.confidence <= 1.0


@pytest.mark.parametrize("action", Action)
def test_mirrored_swaps_the_sides_only(action: Action) -> None:
    """In a mirror's picture 1 is 2 and 2 is 1; nod, mouth and blink stay."""
    swapped = {Action.SHAKE_LEFT: Action.SHAKE_RIGHT, Action.SHAKE_RIGHT: Action.SHAKE_LEFT}
    assert actions(samples(**MOVES[action]), is_mirrored=True) == [swapped.get(action, action)]


def test_stillness_is_nothing() -> None:
    """A head that sways by two degrees does nothing."""
    assert actions(samples(yaw=bump(2, 0, 4), pitch=bump(-2, 1, 2))) == []


@pytest.mark.parametrize(
    ("name", "height"), [("yaw", 40), ("pitch", 20), ("mouth", 0.5), ("eyes", -0.25)]
)
def test_level_is_no_action(name: str, height: float) -> None:
    """A head that stays turned, a mouth that stays open, eyes that stay shut."""
    assert actions(samples(**{name: step(height, 1.0)})) == []


def test_new_level_is_a_rest_to_move_from() -> None:
    """Who sits down anew, turned a little, can still shake the head."""
    track = samples(9, yaw=lambda t: step(9, 1)(t) + bump(30, 7, 1.5)(t))
    assert actions(track) == [Action.SHAKE_LEFT]


def test_steady_smile_is_no_mouth() -> None:
    """Half an opening from the start on, with noise."""
    smiling = {**REST, "mouth": 0.26}
    assert actions(samples(rest=smiling, mouth=bump(0.04, 1, 1))) == []


def test_smile_that_comes_and_goes_is_no_mouth() -> None:
    """Teeth show by a quarter of the lips' width: less than an opening."""
    assert actions(samples(mouth=bump(0.24, 1, 1.5))) == []


def test_turn_that_began_before_the_video_is_none() -> None:
    """Back is not out and back."""
    assert actions(samples(yaw=lambda t: 40 * math.exp(-2 * t))) == []


def test_turn_through_the_middle_is_both_sides() -> None:
    """Left, and on to the right without a stop, and back."""
    track = samples(5, yaw=lambda t: 30 * math.sin((t - 1) * 2) if 1 < t < 1 + math.pi else 0.0)
    assert actions(track) == [Action.SHAKE_LEFT, Action.SHAKE_RIGHT]


def test_nod_while_turning_is_the_turns() -> None:
    """What moves the head more to the side is a shake."""
    assert actions(samples(yaw=bump(35, 1, 1.5), pitch=bump(13, 1, 1.5))) == [Action.SHAKE_LEFT]


def test_eyes_that_look_down_with_the_head_do_not_blink() -> None:
    """A nod's lids seem to close."""
    assert actions(samples(pitch=bump(18, 1, 0.7), eyes=bump(-0.2, 1.05, 0.5))) == [Action.NOD]


def test_eyes_that_rest_nearly_shut_tell_nothing() -> None:
    """Narrow eyes whose noise is half of them."""
    assert actions(samples(rest={**REST, "eyes": 0.09}, eyes=bump(-0.06, 1, 0.2))) == []


def test_camera_from_below_has_a_rest_of_its_own() -> None:
    """A pitch of -15 all the time: the nod is measured from there."""
    low = {**REST, "pitch": -15.0}
    assert actions(samples(rest=low, pitch=bump(18, 1, 0.8))) == [Action.NOD]


@pytest.mark.parametrize(("nod_deg", "expected"), [(10, 1), (17, 1), (19, 0), (90, 0)])
def test_nod_threshold_is_in_degrees(nod_deg: float, expected: int) -> None:
    """A nod of 18 degrees passes up to there."""
    assert len(actions(samples(pitch=bump(18, 1, 0.8), step_ms=33), nod_deg=nod_deg)) == expected


def test_nod_threshold_of_a_degree_is_still_above_the_noise() -> None:
    """A head that holds still does not nod, whatever was asked for."""
    assert actions(samples(pitch=bump(3, 1, 0.8)), nod_deg=1) == []


@pytest.mark.parametrize(
    ("action", "signal", "from_start"),
    [
        (Action.NOD, "pitch", 9),
        (Action.SHAKE_LEFT, "yaw", 9),
        (Action.SHAKE_RIGHT, "yaw", -9),
        (Action.MOUTH, "mouth", 0.14),
    ],
)
def test_movement_counts_whatever_the_first_pictures_show(
    action: Action, signal: str, from_start: float
) -> None:
    """A head that was bowed when it began, and rose: its nods are measured from where it rests."""
    (move,) = MOVES[action].values()

    def moving(t_s: float) -> float:
        return from_start if t_s < 0.2 else move(t_s)

    assert actions(samples(**{signal: moving})) == [action]


def test_looking_up_is_no_nod() -> None:
    """A nod goes down."""
    assert actions(samples(pitch=bump(-25, 1, 0.8))) == []


def test_almost_tells_how_near_it_came() -> None:
    """Two thirds of a shake are a third of a confidence, and never half."""
    detector = ActionDetector(ActionsConfig())
    for sample in samples(yaw=bump(10, 1, 1.5), step_ms=20):
        detector.feed(sample)
    assert detector.almost(Action.SHAKE_LEFT) == pytest.approx(1 / 3, abs=0.02)
    assert detector.almost(Action.SHAKE_RIGHT) == pytest.approx(0, abs=0.02)


def test_face_that_was_away_in_between_did_nothing() -> None:
    """Out, out of sight for a second, back: nobody knows what was between."""
    track = [s for s in samples(yaw=bump(30, 1, 2.5)) if not 1500 < s.pts_ms < 2600]
    assert actions(track) == []


def test_samples_that_are_not_believed_are_left_out() -> None:
    """Where networks and landmarks disagree there is no pose; the shake around it is seen."""
    track = [
        FaceSample(s.pts_ms, None, None, s.mouth, s.eyes) if 1600 < s.pts_ms < 1800 else s
        for s in samples(**MOVES[Action.SHAKE_LEFT])
    ]
    assert actions(track) == [Action.SHAKE_LEFT]


@settings(max_examples=60)
@given(st.integers(25, 110), st.sampled_from([a for a in Action if a is not Action.BLINK]))
def test_any_frame_rate_sees_the_same(step_ms: int, action: Action) -> None:
    """From 9 to 40 pictures a second."""
    assert actions(samples(step_ms=step_ms, **MOVES[action])) == [action]


@settings(max_examples=60)
@given(st.lists(st.sampled_from([a for a in Action if a is not Action.BLINK]), min_size=1, max_size=4))
def test_sequences_come_out_in_order(order: list[Action]) -> None:
    """Movements one after another."""
    track: list[FaceSample] = []
    for action in order:
        begun_ms = track[-1].pts_ms + STEP_MS if track else 0
        for s in samples(3.0, **MOVES[action]):
            track.append(FaceSample(begun_ms + s.pts_ms, s.yaw_deg, s.pitch_deg, s.mouth, s.eyes))
    assert actions(track) == order
