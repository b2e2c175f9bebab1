"""State over many frames: who stands in front of a camera, and what the gate says of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from msgspec.structs import replace

from livegate.core.challenge import ChallengeNews
from livegate.core.config import AttentionConfig, GateConfig
from livegate.core.frame import Frame
from livegate.core.results import Decision, Face, GateDecision, Reason, Verdict
from livegate.core.telemetry import StageClock
from livegate.core.view import View
from livegate.pipelines.attention import Attention
from livegate.pipelines.gate import Gate, Vote
from livegate.pipelines.holder import PipelineLease
from livegate.pipelines.pipeline import Pipeline, Step
from livegate.pipelines.subject import Subject, SubjectTracker
from livegate.preprocess.cpu import upright
from livegate.preprocess.scratch import Scratch

FACES = "face_detection"
SILENT = 1031
"""The algo task that the gate listens to."""
EVERY_FRAME = AttentionConfig(recheck_ms=0)
OUT_OF_SIGHT_NS = 200_000_000
"""A detector misses a face now and then, but seldom in every frame of so long."""


class Look(msgspec.Struct, frozen=True):
    """What one frame told. Sizes are the upright picture's; `faces` counts all that were found.

    `news` is what the onlooker said, if there is one.
    """

    width: int
    height: int
    verdicts: tuple[Verdict, ...]
    faces: int
    person: int
    gate: GateDecision | None
    reasons: tuple[Reason, ...]
    news: ChallengeNews | None = None


class Onlooker(Protocol):
    """Who sees every frame beside the gate; pipelines/challenge.py has it."""

    def share(self) -> PipelineLease | None:
        """A lease of the pipeline that it stays with; None: it does not matter which one."""
        ...

    def see(
        self,
        frame: Frame,
        captured_ns: int,
        subject: Subject,
        objections: tuple[Reason, ...],
        clock: StageClock,
        scratch: Scratch,
    ) -> ChallengeNews:
        """A frame, upright, good during the call, and the person in front in it. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class _Plan:
    """The steps of a session on one pipeline: those that find faces, those that judge one."""

    pipeline: Pipeline
    finding: tuple[Step, ...]
    judging: tuple[Step, ...]

    @classmethod
    def on(cls, pipeline: Pipeline, algo_tasks: Sequence[int]) -> _Plan:
        """Raises as Pipeline.plan."""
        plan = pipeline.plan(algo_tasks)
        finding = tuple(step for step in plan if step.task.name == FACES)
        return cls(pipeline, finding, tuple(step for step in plan if step.task.name != FACES))


class Session:
    """One camera or one stream. Frames may be looked at side by side; they count in capture order.

    Each frame leases the pipeline that serves then. When it is another one than before, evidence starts
    anew: votes of other models say nothing of what these would say. Words and persons go on.
    """

    def __init__(
        self,
        lend: Callable[[], PipelineLease],
        algo_tasks: Sequence[int],
        view: View,
        config: GateConfig,
        attention: AttentionConfig = EVERY_FRAME,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Nobody is in front. `lend` gives the pipeline that serves now; PipelineHolder.lease.

        Who answers a challenge is looked at in every frame, whatever `attention` says.

        Raises:
            RequestError: PARAM_FAILURE for an unknown algo task, or none.
            LiveGateError: as `lend`.
        """
        self._lend = lend
        with lend() as pipeline:
            self._plan = _Plan.on(pipeline, algo_tasks)
        self._algo_tasks = tuple(dict.fromkeys(algo_tasks))  # a list of a million is not kept
        self._view = view
        self._max_age_ns = config.max_frame_age_ms * 1_000_000
        self._hysteresis = config.hysteresis
        self._now_ns = now_ns
        self._tracker = SubjectTracker(config.gone_ms, waits=True)
        self._gate = Gate(config)
        self._attention: Attention[Look] = Attention(attention, draw)
        self._heard_ns = 0
        self._was_settled = False
        """Whether nothing was open about the person in front when their face was last judged."""
        self._is_retired = False
        self._lock = threading.Lock()
        self.onlooker: Onlooker | None = None
        """May be set and taken away at any time, from any thread."""

    def look(self, frame: Frame, captured_ns: int, clock: StageClock, scratch: Scratch) -> Look:
        """Judge a frame. `captured_ns` is monotonic time.

        Raises:
            EngineError: a network failed; call `fail` then.
            RequestError: PARAM_FAILURE when the models that serve now do not answer its algo tasks.
        """
        onlooker = self.onlooker
        lease = onlooker.share() if onlooker is not None else None
        with lease or self._lend() as pipeline:
            return self._look(self._planned(pipeline), onlooker, frame, captured_ns, clock, scratch)

    def _planned(self, pipeline: Pipeline) -> _Plan:
        """The plan on a pipeline; one that another pipeline takes the place of ends its evidence."""
        with self._lock:
            if self._plan.pipeline is not pipeline:
                self._plan = _Plan.on(pipeline, self._algo_tasks)
                self._gate.forget()
                self._was_settled = False
                self._attention.forget()
                self._tracker.change_detector()
            return self._plan

    def _look(
        self,
        plan: _Plan,
        onlooker: Onlooker | None,
        frame: Frame,
        captured_ns: int,
        clock: StageClock,
        scratch: Scratch,
    ) -> Look:
        if self._view.rotation or self._view.mirror:  # then what it came as is another picture
            pixels = upright(frame.pixels, self._view.rotation, self._view.mirror, scratch)
            frame = Frame(pixels, frame.captured_ns)
        repeated = self._repeated(frame, captured_ns) if onlooker is None else None
        clock.lap("preprocess")
        if repeated is not None:
            return repeated
        found = plan.pipeline.run(frame, plan.finding, clock, scratch)
        faces: tuple[Face, ...] = found[FACES]
        counting, objections = self._counting(faces, frame)
        with self._lock:
            subject = self._followed(counting, captured_ns)
        # What judges a person is shown the person in front only; the finding stays whole.
        chosen = {FACES: (subject.face,) if subject.face else ()}
        chosen = plan.pipeline.run(frame, plan.judging, clock, scratch, chosen)
        verdicts = plan.pipeline.judge(self._algo_tasks, [{**chosen, FACES: faces}])
        clock.lap("postprocess")
        gate, reasons = self._word(plan, subject, verdicts, captured_ns, objections)
        news = None
        if onlooker is not None:
            news = onlooker.see(frame, captured_ns, subject, objections, clock, scratch)
        look = Look(frame.width, frame.height, verdicts, len(faces), subject.person, gate, reasons, news)
        self._remember(plan, frame, captured_ns, subject, look)
        return look

    def glance(self, frame: Frame, captured_ns: int) -> Look | None:
        """What a frame repeats of what was just judged; None: it must be looked at.

        A picture that would have to be turned first always must.
        """
        if self.onlooker is not None or self._view.rotation or self._view.mirror:
            return None
        with self._lend() as pipeline:
            is_mine = pipeline is self._plan.pipeline  # else what was judged is of models that retired
        return self._repeated(frame, captured_ns) if is_mine else None

    @property
    def repeats_until_ns(self) -> int:
        """Frames captured before then will most likely show what was judged; asked without a lock."""
        return self._attention.due_ns if self.onlooker is None else 0

    def unsee(self) -> None:
        """Keep no picture of whom the last frame showed: its camera is gone, or was turned off."""
        with self._lock:
            self._attention.forget()

    def _repeated(self, frame: Frame, captured_ns: int) -> Look | None:
        """What was judged before, where this frame shows the same; None: it must be looked at."""
        with self._lock:
            if self._tracker.is_late(captured_ns):
                return None
            seen = self._attention.glance(frame, captured_ns)
            if seen is None or (seen.told.width, seen.told.height) != (frame.width, frame.height):
                return None
            subject = self._followed((seen.face,) if seen.face else (), captured_ns)
            if subject.is_new or subject.person != seen.told.person:
                self._attention.forget()
                return None
        return replace(seen.told, gate=None, reasons=(Reason.UNCHANGED,))

    def _followed(self, faces: Sequence[Face], captured_ns: int) -> Subject:
        """Who is in front; the gate begins anew with a new one. The lock is held."""
        subject = self._tracker.follow(faces, captured_ns)
        if subject.is_new:
            self._gate.meet()
        return subject

    def _remember(
        self, plan: _Plan, frame: Frame, captured_ns: int, subject: Subject, look: Look
    ) -> None:
        """Keep what a frame showed, unless the next one may change a word.

        A late one says nothing of now: what a younger one told stays.
        """
        if subject.is_late:
            return
        with self._lock:
            is_mine = plan is self._plan and subject.person == self._tracker.person
            if is_mine and subject.face is not None:
                self._was_settled = self._gate.is_settled
            is_in_doubt = subject.face is None and self._tracker.unseen_ns < OUT_OF_SIGHT_NS
            is_settled = self._was_settled and not is_in_doubt
            if is_mine and (subject.person == 0 or is_settled):
                self._attention.note(frame, captured_ns, subject.face, look)
            else:
                self._attention.forget()

    def fail(self) -> tuple[int, GateDecision | None]:
        """A frame could not be judged: (person, the new word, never OPEN)."""
        with self._lock:
            self._attention.forget()
            self._was_settled = False
            return self._tracker.person, self._gate.fail()

    def retire(self) -> None:
        """Another session takes over: frames that are looked at now get no word any more."""
        with self._lock:
            self._is_retired = True

    def _counting(
        self, faces: tuple[Face, ...], frame: Frame
    ) -> tuple[tuple[Face, ...], tuple[Reason, ...]]:
        """The faces that count, and why the others do not."""
        if self._view.takes_all:
            return faces, ()
        width, height = frame.width, frame.height
        counting: list[Face] = []
        objections: dict[Reason, None] = {}
        for face in faces:
            objection = self._view.objection(face, width, height)
            if objection is None:
                counting.append(face)
            else:
                objections[objection] = None
        return tuple(counting), tuple(objections)

    def _word(
        self,
        plan: _Plan,
        subject: Subject,
        verdicts: Sequence[Verdict],
        captured_ns: int,
        objections: tuple[Reason, ...],
    ) -> tuple[GateDecision | None, tuple[Reason, ...]]:
        silent = next((verdict for verdict in verdicts if verdict.algo_task == SILENT), None)
        if silent is None:
            return None, ()
        is_stale = subject.is_late or self._now_ns() - captured_ns > self._max_age_ns
        vote = Vote.NEITHER if is_stale else self._vote(silent)
        with self._lock:
            # Another thread may have met somebody else, told of a younger frame, or changed the
            # models, meanwhile.
            is_met = subject.person == self._tracker.person
            is_past = subject.is_late or not is_met or captured_ns < self._heard_ns
            is_past = is_past or self._is_retired or plan is not self._plan
            if subject.person == 0 or is_past:
                gate = None
            else:
                self._heard_ns = captured_ns
                gate = self._gate.hear(vote if subject.face else Vote.NEITHER, captured_ns)
            said = self._gate.said
        if subject.face is None:
            return gate, objections or (Reason.NO_FACE,)
        if is_stale or is_past:
            return gate, (Reason.STALE_FRAME,)
        return gate, (_reason(vote, said, silent),)

    def _vote(self, silent: Verdict) -> Vote:
        """A frame near the threshold says nothing (hysteresis); half of each side always speaks."""
        threshold = silent.threshold or 0.0
        side = 1 - threshold if silent.score >= threshold else threshold
        near = min(self._hysteresis, side / 2)
        if silent.decision is Decision.NO_FACE or abs(silent.score - threshold) < near:
            return Vote.NEITHER
        return Vote.GENUINE if silent.decision is Decision.GENUINE else Vote.SPOOF


def _reason(vote: Vote, said: frozenset[GateDecision], silent: Verdict) -> Reason:
    if GateDecision.DENY in said:
        return Reason.ENOUGH_SPOOF_FRAMES
    if GateDecision.OPEN in said:
        return Reason.ENOUGH_GENUINE_FRAMES
    if vote is Vote.NEITHER:
        return Reason.SCORE_NEAR_THRESHOLD
    return Reason.SCORE_BELOW_THRESHOLD if vote is Vote.SPOOF else Reason.NOT_ENOUGH_FRAMES
