"""A live challenge over a session that sees what the test says: prompts, ends, and what is skipped."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from livegate.core.challenge import Challenge, ChallengeNews, ChallengeOutcome, PromptKind
from livegate.core.frame import Frame
from livegate.core.results import (
    Action,
    ActionEvent,
    ActionResult,
    Box,
    Face,
    GateDecision,
    Reason,
)
from livegate.core.telemetry import StageClock
from livegate.pipelines.action_session import Sighting, Word
from livegate.pipelines.challenge import LiveChallenge
from livegate.pipelines.evidence import FaceSample
from livegate.pipelines.holder import PipelineHolder
from livegate.pipelines.pipeline import Pipeline
from livegate.pipelines.subject import NOBODY, Subject
from livegate.preprocess.scratch import Scratch
from support import HANG_S, FakeClock, Gate, config_with, frame

MS = 1_000_000
NOD, MOUTH = Action.NOD, Action.MOUTH
HOLD, OPEN, DENY = GateDecision.HOLD, GateDecision.OPEN, GateDecision.DENY
FACE = Face(Box(10, 10, 40, 40), (), 0.9)
PICTURE = frame()


class FakeSession:
    """Sees what the rig says; knows nothing of pictures."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.is_too_small = False
        self.breaks: tuple[Reason, ...] = ()
        self.owes_judging = False
        self.times: list[int] = []
        self.duration_ms = 0
        self.objections: tuple[Reason, ...] = ()

    def expect(self, duration_ms: int) -> None:
        self.duration_ms = duration_ms

    def judge_next(self) -> None:
        self.owes_judging = True

    def is_frontal(self, sample: FaceSample) -> bool:
        return abs(sample.yaw_deg or 0.0) < 15

    def see(self, pts_ms: int, picture: Frame, faces: Any, clock: Any, scratch: Any) -> Sighting:
        self.times.append(pts_ms)
        self._rig.on_see()
        if not faces or self._rig.is_far:
            self.is_too_small = bool(faces)
            return Sighting()
        if not self._rig.yaw_deg:
            self.owes_judging = False
        self.breaks = self._rig.breaks
        events, self._rig.doing = self._rig.doing, ()
        sample = FaceSample(pts_ms, self._rig.yaw_deg, 0.0, 0.0, 0.3)
        return Sighting(sample, tuple(ActionEvent(one, 0, pts_ms, pts_ms, 0.8) for one in events))

    def word(self, wanted: Any) -> Word:
        reasons = self._rig.reasons
        results = tuple(ActionResult(one, is_accepted=True, confidence=0.8) for one in wanted)
        return Word(not reasons, reasons, results, (), None, None, len(self.times), 1, ())


class Rig:
    """A challenge of a nod and a mouth, a clock, and what the next picture shows."""

    def __init__(self, *, lifetime_ms: int = 20_000, **sections: Any) -> None:
        self.clock = FakeClock(5_000_000 * MS)
        self.ends: list[ChallengeOutcome] = []
        self.sessions: list[FakeSession] = []
        self.doing: tuple[Action, ...] = ()
        self.breaks: tuple[Reason, ...] = ()
        self.reasons: tuple[Reason, ...] = ()
        self.yaw_deg = 0.0
        self.is_far = False
        self.on_see: Any = lambda: None
        deadline_ns = self.clock.now_ns + lifetime_ms * MS
        self.holder = PipelineHolder(Pipeline(()))
        self.live = LiveChallenge(
            Challenge("nonce", (NOD, MOUTH), lifetime_ms, deadline_ns, 0),
            self.holder.lease(),
            self._made,
            config_with(**sections),
            self.ends.append,
            now_ns=self.clock,
        )

    def _made(self) -> Any:
        self.sessions.append(FakeSession(self))
        return self.sessions[-1]

    def see(
        self,
        *doing: Action,
        person: int = 1,
        after_ms: int = 67,
        age_ms: int = 0,
        objections: tuple[Reason, ...] = (),
    ) -> ChallengeNews:
        """The next picture, taken `age_ms` before it is looked at; person 0 is nobody."""
        self.doing = doing
        self.clock.now_ns += after_ms * MS
        subject = Subject(person, FACE) if person else NOBODY
        taken_ns = self.clock.now_ns - age_ms * MS
        return self.live.see(PICTURE, taken_ns, subject, objections, StageClock(), Scratch())


def told(news: ChallengeNews) -> Any:
    return news.prompt and (news.prompt.kind, news.prompt.action, news.prompt.index)


def why(news: ChallengeNews | None) -> tuple[Reason, ...]:
    """The reasons of the verdict, which must be there."""
    assert news is not None
    assert news.verdict is not None
    assert news.verdict.is_alive is not bool(news.verdict.reasons)
    return news.verdict.reasons


DO_NOD = (PromptKind.DO, NOD, 0)
DO_MOUTH = (PromptKind.DO, MOUTH, 1)


def test_person_who_does_it_well_is_led_through_and_passes() -> None:
    """HOLD with the first picture, a prompt at each step, OPEN with the last; then silence."""
    rig = Rig()
    news = [rig.see(), rig.see(), rig.see(NOD), rig.see(), rig.see(MOUTH), rig.see(), rig.see()]
    assert [told(one) for one in news] == [
        DO_NOD,
        None,
        (PromptKind.GOOD, NOD, 0),
        DO_MOUTH,
        (PromptKind.GOOD, MOUTH, 1),
        (PromptKind.PASSED, None, 2),
        None,
    ]
    assert [one.gate for one in news] == [HOLD, None, None, None, None, OPEN, None]
    assert [one.verdict is not None for one in news] == [False] * 5 + [True, False]
    assert [one.reasons for one in news[4:6]] == [(Reason.CHALLENGE_OPEN,), (Reason.CHALLENGE_PASSED,)]
    assert why(news[5]) == ()
    assert news[0].prompt is not None
    assert (news[0].prompt.total, news[0].prompt.remaining_ms) == (2, 20_000 - 67)
    assert rig.ends == [ChallengeOutcome.PASSED]
    assert rig.live.is_over
    assert rig.live.left_s is None


def test_nobody_far_and_aside_are_asked_to_come_and_nothing_counts() -> None:
    """Each picture begins anew until somebody stands ready; movements before that say nothing."""
    rig = Rig()
    assert told(rig.see(person=0)) == (PromptKind.SHOW_FACE, None, 0)
    assert told(rig.see(person=0)) is None
    far = rig.see(person=0, objections=(Reason.FACE_TOO_SMALL,))
    assert told(far) == (PromptKind.COME_CLOSER, None, 0)
    rig.is_far = True
    assert told(rig.see()) is None  # still too far away: told already
    rig.is_far, rig.yaw_deg = False, 30.0
    assert told(rig.see(MOUTH)) == (PromptKind.LOOK_STRAIGHT, None, 0)
    rig.yaw_deg = 0.0
    assert told(rig.see(person=7)) == DO_NOD
    assert len(rig.sessions) == 6
    assert [session.times for session in rig.sessions] == [[0]] * 6
    rig.see(person=7)
    assert rig.sessions[-1].times == [0, 67]
    assert len(rig.sessions) == 6
    assert rig.sessions[-1].duration_ms == 20_000


@pytest.mark.parametrize(
    ("action", "reason"),
    [(MOUTH, Reason.ACTION_OUT_OF_ORDER), (Action.SHAKE_LEFT, Reason.ACTION_NOT_ASKED_FOR)],
)
def test_wrong_action_ends_it(action: Action, reason: Reason) -> None:
    """DENY at once."""
    rig = Rig()
    rig.see()
    news = rig.see(action)
    assert why(news) == (reason,)
    assert (news.gate, news.reasons) == (DENY, (Reason.CHALLENGE_FAILED,))
    assert told(news) == (PromptKind.FAILED, None, 0)
    assert rig.ends == [ChallengeOutcome.FAILED]


def test_other_person_ends_it() -> None:
    """The gate's number of the person in front is the challenge's."""
    rig = Rig()
    rig.see(person=4)
    news = rig.see(person=5)
    assert why(news) == (Reason.PERSON_CHANGED,)


@pytest.mark.parametrize(
    ("after_ms", "reasons"),
    [(67, (Reason.PERSON_CHANGED,)), (134, (Reason.PERSON_CHANGED, Reason.TOO_FEW_FRAMES))],
)
def test_break_ends_it_and_a_slow_camera_is_named(after_ms: int, reasons: tuple[Reason, ...]) -> None:
    """A face that changed over a long gap may only have moved: the operator is to hear of the gap."""
    rig = Rig()
    rig.see()
    rig.breaks = (Reason.PERSON_CHANGED,)
    news = rig.see(after_ms=after_ms)
    assert why(news) == reasons


def test_pictures_too_far_apart_end_it() -> None:
    """Nobody knows what happened in between."""
    rig = Rig()
    rig.see()
    assert rig.see(after_ms=400).verdict is None
    news = rig.see(after_ms=401)
    assert why(news) == (Reason.TOO_FEW_FRAMES,)


def test_who_is_not_ready_may_take_their_time_between_pictures() -> None:
    """Gaps before the first DO are nobody's."""
    rig = Rig()
    rig.see(person=0)
    assert told(rig.see(after_ms=5000)) == DO_NOD


def test_silent_liveness_sees_one_more_picture_after_the_last_action() -> None:
    """Who stays turned aside is asked to look, and nothing opens before."""
    rig = Rig()
    rig.see()
    rig.see(NOD)
    rig.see(MOUTH)
    rig.yaw_deg = 30.0
    news = [rig.see() for _ in range(3)]
    assert [told(one) for one in news] == [(PromptKind.LOOK_STRAIGHT, None, 2), None, None]
    assert not rig.live.is_over
    rig.yaw_deg = 0.0
    assert rig.see().gate is OPEN


def test_another_movement_after_the_last_one_ends_it() -> None:
    """All is done, and the strictness lasts to the end."""
    rig = Rig()
    rig.see()
    rig.see(NOD)
    rig.see(MOUTH)
    rig.yaw_deg = 30.0
    assert rig.see(Action.SHAKE_LEFT).gate is DENY


def test_session_has_the_last_word() -> None:
    """Everything was done, and silent liveness says no."""
    rig = Rig()
    rig.reasons = (Reason.SCORE_BELOW_THRESHOLD,)
    rig.see()
    rig.see(NOD)
    rig.see(MOUTH)
    news = rig.see()
    assert why(news) == (Reason.SCORE_BELOW_THRESHOLD,)
    assert (news.gate, rig.ends) == (DENY, [ChallengeOutcome.FAILED])


def test_deadline_ends_it_with_the_next_picture() -> None:
    """However far the person has come: the last nanosecond counts, the one after does not."""
    rig = Rig(lifetime_ms=1000)
    rig.see(after_ms=900)
    assert rig.see(NOD, after_ms=100).verdict is None
    news = rig.see(MOUTH, after_ms=1)
    assert why(news)[0] is Reason.TIMEOUT
    assert (news.gate, rig.ends) == (DENY, [ChallengeOutcome.EXPIRED])


def test_deadline_ends_it_without_a_picture() -> None:
    """A camera that stands still: told once, to whoever asks when the time is up."""
    rig = Rig(lifetime_ms=1000)
    assert rig.live.left_s == 1.0
    assert rig.live.expire() is None
    rig.clock.now_ns += 1000 * MS + 1
    news = rig.live.expire()
    assert why(news)[0] is Reason.TIMEOUT
    assert rig.live.expire() is None
    assert rig.ends == [ChallengeOutcome.EXPIRED]


def test_failure_of_a_network_ends_it_and_reaches_nobody_else() -> None:
    """The camera's other watchers hear their answer."""

    def broken(*wanted: Any) -> Any:
        raise MemoryError

    rig = Rig()
    rig.see()
    rig.on_see = broken
    rig.sessions[-1].word = broken  # type: ignore[assignment, method-assign] - and is not asked
    news = rig.see()
    assert why(news) == (Reason.FAILURE,)
    assert (news.gate, rig.ends) == (DENY, [ChallengeOutcome.FAILED])


def test_who_leaves_frees_it_once() -> None:
    """ABANDONED, not DENY; frames that still come bring nothing."""
    rig = Rig()
    rig.see()
    rig.live.abandon()
    rig.live.abandon()
    assert rig.ends == [ChallengeOutcome.ABANDONED]
    news = rig.see(NOD)
    assert (told(news), news.gate, news.verdict) == (None, None, None)
    assert rig.live.expire() is None


def test_pictures_are_sampled_and_old_ones_left_out() -> None:
    """15 a second of 60; a stale one and one that comes too late say nothing, and nothing ends."""
    rig = Rig(video={"sample_fps": 15.0}, gate={"max_frame_age_ms": 500})
    for _ in range(60):
        rig.see(after_ms=17)
    times = rig.sessions[-1].times
    assert 14 <= len(times) <= 17
    count = len(times)
    rig.see(after_ms=100, age_ms=501)  # too old to be true of anybody
    rig.see(after_ms=0, age_ms=200)  # younger than the limit, and older than the last one
    assert len(times) == count
    rig.see(after_ms=0)
    assert len(times) == count + 1
    assert not rig.live.is_over


def test_verdict_that_is_too_late_waits_for_a_younger_picture() -> None:
    """OPEN is said of somebody who stands there now, and of nobody who is not in the picture."""
    rig = Rig()
    rig.see()
    rig.see(NOD)
    rig.see(MOUTH)

    def slow() -> None:
        rig.clock.now_ns += 1001 * MS

    rig.on_see = slow
    assert rig.see().gate is None
    assert not rig.live.is_over
    rig.on_see = lambda: None
    assert rig.see(person=0, age_ms=800).gate is None
    assert not rig.live.is_over
    assert rig.see(age_ms=500).gate is OPEN


def test_frame_that_finds_another_one_under_way_is_skipped() -> None:
    """Two workers look at a camera's frames side by side; neither waits for the other."""
    rig = Rig()
    gate = Gate()
    rig.on_see = gate
    first = threading.Thread(target=rig.see)
    first.start()
    assert gate.entered.wait(HANG_S)
    rig.on_see = lambda: pytest.fail("two at once")
    news = rig.see()
    assert (told(news), news.gate) == (None, None)
    assert rig.live.expire() is None
    gate.open()
    first.join(HANG_S)
    assert not first.is_alive()
    assert len(rig.sessions) == 1
