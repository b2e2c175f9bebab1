"""Frames of one camera: who is judged, what counts, what the gate says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from livegate.core.challenge import ChallengeNews
from livegate.core.config import AttentionConfig, GateConfig
from livegate.core.errors import EngineError, ErrorCode, RequestError
from livegate.core.frame import Frame
from livegate.core.results import Box, Decision, Face, GateDecision, Reason, Verdict
from livegate.core.telemetry import StageClock
from livegate.core.view import View
from livegate.pipelines.holder import PipelineHolder
from livegate.pipelines.pipeline import Step
from livegate.pipelines.session import EVERY_FRAME, FACES, SILENT, Look, Session
from livegate.preprocess.scratch import Scratch
from support import HANG_S, FakeClock, noise

MS = 1_000_000
OPEN, HOLD, DENY = GateDecision.OPEN, GateDecision.HOLD, GateDecision.DENY


class FakeTask:
    """A name and a number."""

    def __init__(self, name: str, algo_task: int) -> None:
        self.name = name
        self.algo_task = algo_task


class FakePipeline:
    """Finds what it is told to find, and remembers whom it was asked to judge."""

    def __init__(self) -> None:
        self.faces: tuple[Face, ...] = (face(10, 10, 20),)
        self.score, self.threshold = 0.9, 0.5
        self.judged: list[tuple[Face, ...]] = []
        self.sizes: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self.on_judging: Any = lambda: None

    def close(self) -> None:
        pass

    def plan(self, algo_tasks: Sequence[int]) -> tuple[Step, ...]:
        tasks = [FakeTask(FACES, 9001)]
        if SILENT in algo_tasks:
            tasks.append(FakeTask("silent_liveness", SILENT))
        return tuple(Step(task, None) for task in tasks)  # type: ignore[arg-type]

    def run(
        self, frame: Frame, steps: Sequence[Step], clock: Any, scratch: Any, known: Any = None
    ) -> dict[str, Any]:
        found = dict(known or {})
        for step in steps:
            if step.task.name == FACES:
                self.sizes.append((frame.width, frame.height))
                found[FACES] = self.faces
            else:
                if self.error:
                    raise self.error
                self.judged.append(found[FACES])
                self.on_judging()
                found[step.task.name] = self.score if found[FACES] else -1.0
        return found

    def judge(self, algo_tasks: Sequence[int], findings: Sequence[Any]) -> tuple[Verdict, ...]:
        (found,) = findings
        verdicts = []
        for number in algo_tasks:
            if number == SILENT:
                score = found["silent_liveness"]
                decision = Decision.GENUINE if score >= self.threshold else Decision.SPOOF
                decision = Decision.NO_FACE if score < 0 else decision
                told = (SILENT, "silent_liveness", decision, score, (), (score,), ())
                verdicts.append(Verdict(*told, self.threshold))
            else:
                verdicts.append(Verdict(9001, FACES, Decision.FACE, 0.9, (), (0.9,)))
        return tuple(verdicts)


def face(x: float, y: float, side: float) -> Face:
    return Face(Box(x, y, side, side), (), 0.9)


class Camera:
    """A session with a clock of its own; every look is a frame taken now."""

    def __init__(
        self,
        *tasks: int,
        view: View | None = None,
        attention: AttentionConfig = EVERY_FRAME,
        **gate: Any,
    ) -> None:
        self.picture = Frame(noise(100, 80), 0)
        self.pipeline = FakePipeline()
        self.holder = PipelineHolder(self.pipeline)  # type: ignore[arg-type]
        self.clock = FakeClock(10_000 * MS)
        self.session = Session(
            self.holder.lease,
            tasks or (SILENT, 9001),
            view or View(),
            GateConfig(**gate),
            attention,
            now_ns=self.clock,
            draw=lambda: 1.0,  # the longest pause
        )

    def look(self, *, age_ms: int = 0) -> Look:
        self.clock.now_ns += 40 * MS
        captured_ns = self.clock.now_ns - age_ms * MS
        return self.session.look(self.picture, captured_ns, StageClock(), Scratch())


def test_person_opens_the_gate_once() -> None:
    """HOLD, then OPEN at the third genuine frame; the reason stays."""
    camera = Camera()
    looks = [camera.look() for _ in range(5)]
    assert [look.gate for look in looks] == [HOLD, None, OPEN, None, None]
    reasons = [look.reasons for look in looks]
    assert reasons[:2] == [(Reason.NOT_ENOUGH_FRAMES,)] * 2
    assert reasons[2:] == [(Reason.ENOUGH_GENUINE_FRAMES,)] * 3
    assert {look.person for look in looks} == {1}


def test_only_the_person_in_front_is_judged_but_all_faces_are_told() -> None:
    """The finding of face detection stays whole."""
    camera = Camera()
    near, far = face(40, 30, 30), face(0, 0, 10)
    camera.pipeline.faces = (far, near)
    look = camera.look()
    assert camera.pipeline.judged == [(near,)]
    assert look.faces == 2


def test_face_that_does_not_count_is_not_judged() -> None:
    """Nobody in front; the reasons tell why."""
    camera = Camera(view=View(min_face_height=0.5))
    look = camera.look()
    assert camera.pipeline.judged == [()]
    assert (look.person, look.gate, look.reasons) == (0, None, (Reason.FACE_TOO_SMALL,))


def test_nobody_in_front_gets_no_word() -> None:
    """An empty hall is silent."""
    camera = Camera()
    camera.pipeline.faces = ()
    assert [camera.look().gate for _ in range(5)] == [None] * 5
    assert camera.look().reasons == (Reason.NO_FACE,)


def test_next_person_gets_words_of_their_own() -> None:
    """Gone for longer than gone_ms, then somebody comes."""
    camera = Camera(gone_ms=100)
    for _ in range(3):
        camera.look()
    camera.pipeline.faces = ()
    for _ in range(4):
        camera.look()
    camera.pipeline.faces = (face(10, 10, 20),)
    assert [camera.look().gate for _ in range(3)] == [HOLD, None, OPEN]


def test_score_near_the_threshold_decides_nothing() -> None:
    """Hysteresis on both sides of it."""
    camera = Camera(hysteresis=0.05)
    for camera.pipeline.score in (0.54, 0.46, 0.54, 0.46, 0.54):
        look = camera.look()
        assert look.gate in (None, HOLD)
        assert look.reasons == (Reason.SCORE_NEAR_THRESHOLD,)


@pytest.mark.parametrize("threshold", [0.02, 0.5, 0.96, 0.99])
def test_gate_opens_and_denies_at_any_threshold(threshold: float) -> None:
    """The sure ones decide, however little room is left beside the threshold."""
    for score, word in ((1.0, OPEN), (0.0, DENY)):
        camera = Camera(hysteresis=0.05)
        camera.pipeline.threshold, camera.pipeline.score = threshold, score
        assert word in [camera.look().gate for _ in range(5)]
    camera = Camera(hysteresis=0.5)
    camera.pipeline.threshold, camera.pipeline.score = threshold, threshold + (1 - threshold) / 3
    assert camera.look().reasons == (Reason.SCORE_NEAR_THRESHOLD,)


def test_stale_frame_opens_nothing() -> None:
    """From capture to verdict it took too long."""
    camera = Camera(max_frame_age_ms=1000)
    looks = [camera.look(age_ms=1001) for _ in range(6)]
    assert OPEN not in [look.gate for look in looks]
    assert looks[-1].reasons == (Reason.STALE_FRAME,)
    assert [camera.look(age_ms=10).gate for _ in range(3)][-1] is OPEN


def test_frame_that_took_too_long_to_judge_opens_nothing() -> None:
    """The clock is read after the networks, not before."""
    camera = Camera(needed=1, window=1)

    def slow() -> None:
        camera.clock.now_ns += 2000 * MS

    camera.pipeline.on_judging = slow
    assert camera.look().gate is HOLD


def test_older_frame_after_a_younger_one_says_nothing() -> None:
    """Two workers look at two frames; the older one is done last."""
    camera = Camera(needed=1, window=1)
    first = camera.look()
    assert first.gate is OPEN
    camera.pipeline.score = 0.1
    late = camera.look(age_ms=500)
    assert (late.gate, late.reasons) == (None, (Reason.STALE_FRAME,))


def test_vote_on_somebody_who_is_no_longer_in_front_is_lost() -> None:
    """While one frame is judged, another thread meets the next person."""
    camera = Camera(needed=1, window=1)

    def meanwhile() -> None:
        camera.pipeline.on_judging = lambda: None
        camera.pipeline.faces = (face(60, 50, 40),)
        camera.pipeline.score = 0.1
        camera.look()
        camera.pipeline.score = 0.9

    camera.pipeline.on_judging = meanwhile
    look = camera.look()
    assert look.person == 1
    assert look.gate is None
    assert look.reasons == (Reason.STALE_FRAME,)


def test_frame_that_is_judged_while_another_session_takes_over_says_nothing() -> None:
    """The camera was given another region meanwhile: the old one opens nothing."""
    camera = Camera(needed=1, window=1)
    camera.pipeline.on_judging = camera.session.retire
    look = camera.look()
    assert (look.gate, look.reasons) == (None, (Reason.STALE_FRAME,))


def test_failure_is_hold_and_takes_the_evidence_away() -> None:
    """Two good frames, a broken network, and everything begins again."""
    camera = Camera()
    camera.look()
    camera.look()
    camera.pipeline.error = EngineError("broken")
    with pytest.raises(EngineError):
        camera.look()
    assert camera.session.fail() == (1, None)
    camera.pipeline.error = None
    assert [camera.look().gate for _ in range(3)] == [None, None, OPEN]


def test_failure_before_anybody_came_is_hold() -> None:
    """Nobody knows who is there."""
    assert Camera().session.fail() == (0, HOLD)


def test_detection_alone_has_no_gate() -> None:
    """No liveness, no word, no reason."""
    look = Camera(9001).look()
    assert (look.gate, look.reasons) == (None, ())


def test_picture_is_turned_before_anybody_looks() -> None:
    """Sizes in the answer are those of the upright picture."""
    camera = Camera(view=View(rotation=90))
    look = camera.look()
    assert camera.pipeline.sizes == [(80, 100)]
    assert (look.width, look.height) == (80, 100)


def test_task_that_is_asked_for_again_and_again_is_judged_once() -> None:
    """A list as long as a message may be would cost its length at every frame."""
    assert [verdict.algo_task for verdict in Camera(SILENT, *[9001] * 9, SILENT).look().verdicts] == [
        SILENT,
        9001,
    ]


def test_unknown_tasks_are_refused_at_once() -> None:
    """Before the first frame."""

    class Strict(FakePipeline):
        def plan(self, algo_tasks: Sequence[int]) -> tuple[Step, ...]:
            raise RequestError(1031, "unknown")  # type: ignore[arg-type]

    with pytest.raises(RequestError):
        Session(PipelineHolder(Strict()).lease, (1,), View(), GateConfig())  # type: ignore[arg-type]


# --- other models -----------------------------------------------------------------------------------


def test_other_models_begin_evidence_anew() -> None:
    """Two genuine votes of the old models count for nothing; persons go on, the reason is told."""
    camera = Camera()
    looks = [camera.look() for _ in range(2)]
    camera.holder.swap(FakePipeline())  # type: ignore[arg-type]
    looks += [camera.look() for _ in range(3)]
    assert [look.gate for look in looks] == [HOLD, None, None, None, OPEN]
    assert {look.person for look in looks} == {1}


def test_other_models_do_not_say_a_word_again() -> None:
    """Who was let in is not let in twice; the new models may still deny."""
    camera = Camera()
    assert [camera.look().gate for _ in range(3)] == [HOLD, None, OPEN]
    stern = FakePipeline()
    stern.score = 0.1
    camera.holder.swap(stern)  # type: ignore[arg-type]
    assert [camera.look().gate for _ in range(4)] == [None, None, DENY, None]


def test_vote_of_models_that_were_replaced_meanwhile_does_not_count() -> None:
    """The youngest frame of all was begun with them: it gets an answer, and its vote is not counted."""
    camera = Camera()
    for _ in range(2):
        camera.look()
    inner: list[Look] = []

    def overtake() -> None:
        camera.pipeline.on_judging = lambda: None
        camera.holder.swap(FakePipeline())  # type: ignore[arg-type]
        inner.append(camera.look(age_ms=80))  # older than the one that is under way

    camera.pipeline.on_judging = overtake
    outer = camera.look()
    assert (inner[0].gate, outer.gate, outer.reasons) == (None, None, (Reason.STALE_FRAME,))
    assert [camera.look().gate for _ in range(3)] == [None, None, OPEN]


def test_frames_that_an_onlooker_sees_stay_with_its_models() -> None:
    """A challenge under way: the session follows it, and goes over to the new models at its end."""
    camera = Camera()
    bound = camera.holder.lease()

    class Bound:
        def share(self) -> Any:
            return bound.share()

        def see(self, *seen: Any) -> ChallengeNews:
            return ChallengeNews("n", ())

    camera.session.onlooker = Bound()
    new = FakePipeline()
    retirement = camera.holder.swap(new)  # type: ignore[arg-type]
    camera.look()
    assert (len(camera.pipeline.judged), len(new.judged)) == (1, 0)
    assert not retirement.is_over
    bound.release()
    assert retirement.wait(HANG_S)
    camera.look()
    assert (len(camera.pipeline.judged), len(new.judged)) == (1, 1)


def test_models_that_cannot_answer_fail_the_frame_and_keep_the_session() -> None:
    """Until some come that can."""

    class Poor(FakePipeline):
        def plan(self, algo_tasks: Sequence[int]) -> tuple[Step, ...]:
            raise RequestError(ErrorCode.PARAM_FAILURE, "there is no such task")

    camera = Camera()
    camera.look()
    camera.holder.swap(Poor())  # type: ignore[arg-type]
    with pytest.raises(RequestError):
        camera.look()
    camera.session.fail()
    camera.holder.swap(FakePipeline())  # type: ignore[arg-type]
    assert [camera.look().gate for _ in range(3)] == [None, None, OPEN]


def seldom(**gate: Any) -> Camera:
    """A camera whose frames need not all be judged: each 200 ms, five frames; 100 where nobody is."""
    return Camera(attention=AttentionConfig(recheck_ms=200), **gate)


UNCHANGED = (Reason.UNCHANGED,)


def test_person_with_a_word_is_judged_again_every_fifth_frame() -> None:
    """Every frame up to OPEN, then one of five; the others repeat the verdict, and no word."""
    camera = seldom()
    looks = [camera.look() for _ in range(13)]
    assert [look.gate for look in looks[:3]] == [HOLD, None, OPEN]
    is_repeated = [look.reasons == UNCHANGED for look in looks]
    assert is_repeated == [False] * 3 + [True] * 4 + [False] + [True] * 4 + [False]
    assert {(look.person, look.verdicts, look.faces) for look in looks} == {(1, looks[0].verdicts, 1)}
    assert [look.gate for look in looks[3:]] == [None] * 10
    assert len(camera.pipeline.judged) == 5


def test_attack_after_open_is_looked_at_in_every_frame_until_it_is_denied() -> None:
    """The first doubt ends the pauses: DENY is at the third look, two frames after the first."""
    camera = seldom()
    for _ in range(3):
        camera.look()
    camera.pipeline.score = 0.1
    looks = [camera.look() for _ in range(9)]
    assert [look.reasons == UNCHANGED for look in looks] == [True] * 4 + [False] * 3 + [True] * 2
    assert [look.gate for look in looks] == [None] * 6 + [DENY, None, None]


def test_attack_that_looks_otherwise_is_looked_at_at_once() -> None:
    """Another picture in front of the camera is no repetition."""
    camera = seldom()
    for _ in range(4):
        camera.look()
    camera.pipeline.score = 0.1
    camera.picture = Frame(noise(100, 80, seed=9), 0)
    assert [camera.look().gate for _ in range(3)] == [None, None, DENY]


@pytest.mark.parametrize("score", [0.5, 0.47])
def test_person_without_a_word_is_judged_in_every_frame(score: float) -> None:
    """Near the threshold there is no word, so no frame is left out."""
    camera = seldom()
    camera.pipeline.score = score
    assert not any(camera.look().reasons == UNCHANGED for _ in range(10))
    assert len(camera.pipeline.judged) == 10


def test_empty_scene_is_looked_at_twice_as_often() -> None:
    """Nobody in front, nothing moves: after 100 ms, which is the third frame."""
    camera = seldom()
    camera.pipeline.faces = ()
    assert [camera.look().reasons == UNCHANGED for _ in range(7)] == [*[False, True, True] * 2, False]
    assert len(camera.pipeline.sizes) == 3


def test_person_without_a_word_who_is_out_of_sight_is_looked_for_in_every_frame() -> None:
    """A face that was missed in one frame costs no frame until there is a word."""
    camera = seldom(gone_ms=300)
    camera.look()
    camera.pipeline.faces = ()
    assert [camera.look().reasons for _ in range(7)] == [(Reason.NO_FACE,)] * 7


def test_settled_person_out_of_sight_is_looked_for_as_if_nobody_was_there_after_200_ms() -> None:
    """The number stays theirs until they are gone, and the frame in which they are is looked at."""
    camera = seldom(gone_ms=300)
    for _ in range(3):
        camera.look()
    camera.pipeline.faces = ()
    camera.picture = Frame(noise(100, 80, seed=9), 0)
    looks = [camera.look() for _ in range(9)]
    is_repeated = [look.reasons == UNCHANGED for look in looks]
    assert is_repeated == [False] * 5 + [True, True, False, True]
    assert [look.person for look in looks] == [1] * 7 + [0, 0]


def test_doubted_person_out_of_sight_is_looked_for_in_every_frame() -> None:
    """A spoof after OPEN: a detector that misses the face now must not delay DENY."""
    camera = seldom(gone_ms=1000)
    for _ in range(3):
        camera.look()
    camera.pipeline.score = 0.1
    camera.picture = Frame(noise(100, 80, seed=9), 0)
    camera.look()
    with_face, camera.pipeline.faces = camera.pipeline.faces, ()
    assert [camera.look().reasons for _ in range(9)] == [(Reason.NO_FACE,)] * 9
    camera.pipeline.faces = with_face
    assert [camera.look().gate for _ in range(3)] == [None, None, DENY]


def test_settled_person_who_comes_back_into_sight_is_judged_at_once() -> None:
    """In the very frame: it changes the scene."""
    camera = seldom()
    for _ in range(3):
        camera.look()
    with_face, camera.pipeline.faces = camera.pipeline.faces, ()
    before, camera.picture = camera.picture, Frame(noise(100, 80, seed=9), 0)
    assert [camera.look().reasons == UNCHANGED for _ in range(6)] == [False] * 5 + [True]
    camera.pipeline.faces, camera.picture = with_face, before
    look = camera.look()
    assert look.reasons != UNCHANGED
    assert (look.person, look.faces) == (1, 1)


def test_who_answers_a_challenge_is_seen_in_every_frame() -> None:
    """The onlooker misses nothing, whatever the gate has said."""
    camera = seldom()
    seen: list[int] = []

    class Watching:
        def share(self) -> None:
            return None

        def see(self, frame: Any, captured_ns: int, *rest: Any) -> ChallengeNews:
            seen.append(captured_ns)
            return ChallengeNews("n", ())

    for _ in range(4):
        camera.look()
    camera.session.onlooker = Watching()
    for _ in range(6):
        camera.look()
    assert len(seen) == 6
    assert len(camera.pipeline.judged) == 9


def test_other_models_look_at_the_next_frame() -> None:
    """What the old ones judged is not repeated in the new ones' name."""
    camera = seldom()
    for _ in range(4):
        camera.look()
    new = FakePipeline()
    camera.holder.swap(new)  # type: ignore[arg-type]
    assert camera.look().reasons != UNCHANGED
    assert len(new.judged) == 1


def test_failure_makes_the_next_frame_be_looked_at() -> None:
    """A frame that could not be judged leaves nothing to repeat."""
    camera = seldom()
    for _ in range(4):
        camera.look()
    camera.session.fail()
    assert camera.look().reasons != UNCHANGED


def test_frame_of_another_size_is_looked_at() -> None:
    """What is repeated has places in pixels: they say nothing of a larger picture of the same scene."""
    camera = seldom()
    camera.pipeline.faces = ()
    camera.look()
    camera.picture = Frame(np.repeat(np.repeat(camera.picture.pixels, 2, 0), 2, 1), 0)
    look = camera.look()
    assert (look.width, look.height) == (200, 160)
    assert look.reasons != UNCHANGED


def test_late_frame_leaves_what_a_younger_one_told() -> None:
    """It is judged itself, its word does not count, and the next frame still repeats the younger one."""
    camera = seldom()
    for _ in range(4):
        camera.look()
    camera.picture, picture = Frame(noise(100, 80, seed=9), 0), camera.picture
    assert camera.look(age_ms=60).reasons == (Reason.STALE_FRAME,)
    camera.picture = picture
    assert camera.look().reasons == UNCHANGED


def test_frame_may_repeat_until_its_time_and_never_while_somebody_looks_on() -> None:
    """What is asked for whose turn it is: no pause before a word, nor while a challenge is answered."""
    camera = seldom()
    camera.look()
    assert camera.session.repeats_until_ns == 0
    for _ in range(2):
        camera.look()
    assert camera.session.repeats_until_ns == camera.clock.now_ns + 200 * MS
    camera.session.onlooker = object()  # type: ignore[assignment]
    assert camera.session.repeats_until_ns == 0


def test_glance_tells_what_a_frame_repeats_and_runs_no_network() -> None:
    """The verdict without a word, or None: then the frame must be looked at."""
    camera = seldom()
    for _ in range(3):
        camera.look()
    after_ns = camera.clock.now_ns + 1
    look = camera.session.glance(camera.picture, after_ns)
    assert look is not None
    assert (look.gate, look.reasons, look.person) == (None, UNCHANGED, 1)
    assert camera.session.glance(Frame(noise(100, 80, seed=9), 0), after_ns + 1) is None
    assert len(camera.pipeline.judged) == 3


def test_after_a_glance_that_showed_something_else_the_next_frame_is_looked_at() -> None:
    """Else it would be told of before the one that waits for its turn, which then came too late."""
    camera = seldom()
    for _ in range(3):
        camera.look()
    after_ns = camera.clock.now_ns + 1
    assert camera.session.glance(Frame(noise(100, 80, seed=9), 0), after_ns) is None
    assert camera.session.glance(camera.picture, after_ns + 1) is None


def test_new_person_in_a_picture_that_looks_the_same_gets_a_word_of_his_own() -> None:
    """Who was gone for longer than gate.gone_ms is another one, also where nothing else changed."""
    camera = seldom(gone_ms=100)
    for _ in range(3):
        camera.look()
    camera.clock.now_ns += 150 * MS
    told = [camera.look() for _ in range(3)]
    assert [look.person for look in told] == [2, 2, 2]
    assert [look.gate for look in told] == [HOLD, None, OPEN]


def test_glance_says_nothing_of_a_picture_that_must_be_turned_or_that_somebody_watches() -> None:
    """Turning takes memory, and who answers a challenge is seen in every frame."""
    for view, is_watched in ((View(), False), (View(mirror=True), False), (View(), True)):
        camera = Camera(view=view, attention=AttentionConfig(recheck_ms=200))
        camera.pipeline.faces = ()
        camera.picture = Frame(np.full((80, 100, 3), 90, np.uint8), 0)  # the same in a mirror
        camera.look()
        camera.session.onlooker = object() if is_watched else None  # type: ignore[assignment]
        look = camera.session.glance(camera.picture, camera.clock.now_ns + 1)
        assert (look is None) == (is_watched or view.mirror)


def test_glance_says_nothing_once_other_models_serve() -> None:
    """What the old ones judged is not repeated in the new ones' name."""
    camera = seldom()
    for _ in range(3):
        camera.look()
    camera.holder.swap(FakePipeline())  # type: ignore[arg-type]
    assert camera.session.glance(camera.picture, camera.clock.now_ns + 1) is None


def test_camera_that_left_leaves_no_picture_behind() -> None:
    """Nothing is repeated of it: the next frame is judged."""
    camera = seldom()
    for _ in range(4):
        camera.look()
    camera.session.unsee()
    assert camera.session._attention._seen is None
    assert camera.look().reasons != UNCHANGED
