"""One person who answers a challenge in front of a camera: prompts on the way, then a verdict.

    ready     nobody, too far away, not frontal: SHOW_FACE, COME_CLOSER, LOOK_STRAIGHT; nothing counts
    acting    DO the next action ... GOOD, strictly: one person, always in sight, no other movement
    closing   all is done; one more frontal picture for silent liveness
    over      PASSED or FAILED, once

While nobody is ready each picture begins anew with a session that knows nothing, so that who steps up,
looks down at a screen or gives way to somebody else spoils nothing. From the first DO on one session
judges as it judges a video, and its word at the end decides: prompts are a guide, never the verdict.

It stands in the place of the gate on its stream: HOLD, then OPEN for who passes or DENY, each once. What
cannot be told for sure (a network that fails, pictures too far apart) is a failure.

It stays to its end with the pipeline that served when it was taken up; so do the frames that it sees.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from livegate.core.challenge import (
    Challenge,
    ChallengeNews,
    ChallengeOutcome,
    ChallengeVerdict,
    Prompt,
    PromptKind,
)
from livegate.core.config import Config
from livegate.core.frame import Frame
from livegate.core.results import Action, GateDecision, Reason
from livegate.core.sampling import Sampling
from livegate.core.telemetry import StageClock, get_logger
from livegate.pipelines.action_session import ActionSession, Sighting, Word
from livegate.pipelines.holder import PipelineLease
from livegate.pipelines.steps import Steps
from livegate.pipelines.subject import Subject
from livegate.preprocess.scratch import Scratch

MS = 1_000_000
NEAR_MS = 400
"""Frames further apart than this are too few to see a movement, or a swap, in."""
SLOW_MS = 90
"""A face that changes over a longer gap may only have moved: measured, heads that nod at 10 pictures a
second change as much as faces that are swapped."""
REASON_OF: dict[ChallengeOutcome | None, Reason] = {
    None: Reason.CHALLENGE_OPEN,
    ChallengeOutcome.PASSED: Reason.CHALLENGE_PASSED,
}
log = get_logger("livegate.challenge")


class LiveChallenge:
    """A challenge that was taken up. Frames may come from any thread; those that overlap are skipped."""

    def __init__(
        self,
        challenge: Challenge,
        lease: PipelineLease,
        make: Callable[[], ActionSession],
        config: Config,
        on_end: Callable[[ChallengeOutcome], None],
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Nobody is in front.

        Args:
            challenge: what is asked for.
            lease: of its pipeline; released at its end.
            make: makes sessions on that pipeline that know nothing.
            config: thresholds and times.
            on_end: called once.
            now_ns: monotonic time.
        """
        self._challenge = challenge
        self._lease = lease
        self._make = make
        self._on_end = on_end
        self._now_ns = now_ns
        self._sampling = Sampling(config.video.sample_fps)
        self._max_age_ns = config.gate.max_frame_age_ms * MS
        self._steps = Steps(challenge.actions, refuse_unasked=config.actions.refuse_unasked)
        self._session: ActionSession | None = None
        self._person = 0
        self._first_ns = self._last_ns = self._newest_ns = 0
        self._gap_ms = 0
        self._told: tuple[PromptKind, int] | None = None
        self._has_held = False
        self._outcome: ChallengeOutcome | None = None
        self._busy = threading.Lock()
        self._ending = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, one way or another."""
        return self._outcome is not None

    @property
    def left_s(self) -> float | None:
        """Seconds until `expire` has something to say; None when it never will."""
        if self.is_over:
            return None
        return max(0.05, (self._challenge.deadline_ns - self._now_ns()) / 1e9)

    def share(self) -> PipelineLease | None:
        """A lease of its pipeline, for the frames that it sees; None when it is over."""
        return self._lease.share()

    def let_go(self) -> None:
        """The deadline has passed: no picture needs its pipeline; the next one is told of the end."""
        self._lease.release()

    @property
    def silence(self) -> ChallengeNews:
        """What is told of a frame that brought nothing new."""
        reason = REASON_OF.get(self._outcome, Reason.CHALLENGE_FAILED)
        return ChallengeNews(self._challenge.nonce, (reason,))

    def see(
        self,
        frame: Frame,
        captured_ns: int,
        subject: Subject,
        objections: tuple[Reason, ...],
        clock: StageClock,
        scratch: Scratch,
    ) -> ChallengeNews:
        """The next frame, upright; never raises.

        Args:
            frame: good during the call.
            captured_ns: monotonic time; frames that are not younger than the last are skipped.
            subject: the person in front, as the gate sees them.
            objections: why other faces do not count.
            clock: of this frame.
            scratch: of this thread.
        """
        if not self._busy.acquire(blocking=False):
            return self.silence
        try:
            if self.is_over:
                return self.silence
            if self._now_ns() > self._challenge.deadline_ns:
                return self._fail(Reason.TIMEOUT)
            if not self._is_due(captured_ns):
                return self._news()
            return self._look(frame, captured_ns, subject, objections, clock, scratch)
        except Exception:
            log.exception("a challenge failed")
            self._session = None  # whatever it would say now is not to be trusted
            return self._fail(Reason.FAILURE)
        finally:
            self._busy.release()

    def expire(self) -> ChallengeNews | None:
        """The end that the deadline brings when no frame comes; None when there is none to tell."""
        if self._now_ns() <= self._challenge.deadline_ns or not self._busy.acquire(blocking=False):
            return None
        try:
            return None if self.is_over else self._fail(Reason.TIMEOUT)
        finally:
            self._busy.release()

    def abandon(self) -> None:
        """Whoever answered has left; nothing happens when it is over."""
        self._close(ChallengeOutcome.ABANDONED)

    def _is_due(self, captured_ns: int) -> bool:
        """Whether a frame is young enough, newer than all before it, and one of those to look at."""
        if self._now_ns() - captured_ns > self._max_age_ns or captured_ns <= self._newest_ns:
            return False
        self._newest_ns = captured_ns
        return self._sampling.takes(captured_ns / MS)

    def _look(
        self,
        frame: Frame,
        captured_ns: int,
        subject: Subject,
        objections: tuple[Reason, ...],
        clock: StageClock,
        scratch: Scratch,
    ) -> ChallengeNews:
        self._gap_ms = (captured_ns - self._last_ns) // MS
        self._last_ns = captured_ns
        session = self._session or self._make_one(captured_ns)
        faces = (subject.face,) if subject.face else ()
        if self._session is None:
            sighting = session.see(0, frame, faces, clock, scratch)
            return self._welcome(session, sighting, subject, objections)
        if self._gap_ms > NEAR_MS:
            return self._fail(Reason.TOO_FEW_FRAMES)
        if subject.face is not None and subject.person != self._person:
            return self._fail(Reason.PERSON_CHANGED)
        sighting = session.see((captured_ns - self._first_ns) // MS, frame, faces, clock, scratch)
        return self._follow(session, sighting, captured_ns)

    def _make_one(self, captured_ns: int) -> ActionSession:
        """A session whose time begins with this frame; silent liveness is spread over the lifetime."""
        self._first_ns = captured_ns
        session = self._make()
        session.expect(self._challenge.lifetime_ms)
        return session

    def _welcome(
        self,
        session: ActionSession,
        sighting: Sighting,
        subject: Subject,
        objections: tuple[Reason, ...],
    ) -> ChallengeNews:
        """Nothing was asked for yet; who stands ready is asked for the first action."""
        if sighting.sample is None:
            is_far = session.is_too_small or Reason.FACE_TOO_SMALL in objections
            return self._tell(PromptKind.COME_CLOSER if is_far else PromptKind.SHOW_FACE)
        if not session.is_frontal(sighting.sample):
            return self._tell(PromptKind.LOOK_STRAIGHT)
        self._session, self._person = session, subject.person
        return self._tell(PromptKind.DO)

    def _follow(self, session: ActionSession, sighting: Sighting, captured_ns: int) -> ChallengeNews:
        """Something was asked for: count what was done, and end it at the first objection."""
        if breaks := session.breaks:
            is_slow = Reason.PERSON_CHANGED in breaks and self._gap_ms > SLOW_MS
            return self._fail(*breaks, *((Reason.TOO_FEW_FRAMES,) if is_slow else ()))
        before = self._steps.done
        for event in sorted(sighting.events, key=lambda one: one.peak_ms):
            if objection := self._steps.feed(event):
                return self._fail(objection)
        if self._steps.done > before:
            session.judge_next()
            return self._tell(PromptKind.GOOD, self._challenge.actions[self._steps.done - 1])
        if self._steps.next is not None:
            return self._tell(PromptKind.DO)
        is_stale = self._now_ns() - captured_ns > self._max_age_ns
        if session.owes_judging or is_stale or sighting.sample is None:
            return self._tell(PromptKind.LOOK_STRAIGHT)
        return self._conclude(())

    def _fail(self, *reasons: Reason) -> ChallengeNews:
        return self._conclude(reasons)

    def _conclude(self, objections: tuple[Reason, ...]) -> ChallengeNews:
        """The end: what a video's session says of it, and what else speaks against it."""
        session = self._session or self._make()
        word = session.word(self._challenge.actions)
        is_alive = word.is_alive and not objections
        outcome = ChallengeOutcome.PASSED if is_alive else ChallengeOutcome.FAILED
        if Reason.TIMEOUT in objections:
            outcome = ChallengeOutcome.EXPIRED
        if not self._close(outcome):
            return self.silence
        return self._news(
            self._prompt(PromptKind.PASSED if is_alive else PromptKind.FAILED, None),
            verdict_of_word(word, objections, duration_ms=(self._last_ns - self._first_ns) // MS),
            gate=GateDecision.OPEN if is_alive else GateDecision.DENY,
        )

    def _close(self, outcome: ChallengeOutcome) -> bool:
        """End it once, and let the session go; False when it had ended already."""
        with self._ending:
            if self._outcome is not None:
                return False
            self._outcome = outcome
        self._session = None
        self._lease.release()
        self._on_end(outcome)
        return True

    def _tell(self, kind: PromptKind, action: Action | None = None) -> ChallengeNews:
        """A prompt, unless it was the last one told."""
        told, self._told = self._told, (kind, self._steps.done)
        if told == self._told:
            return self._news()
        return self._news(self._prompt(kind, self._steps.next if kind is PromptKind.DO else action))

    def _prompt(self, kind: PromptKind, action: Action | None) -> Prompt:
        left_ms = max(0, (self._challenge.deadline_ns - self._now_ns()) // MS)
        index = self._steps.done - 1 if kind is PromptKind.GOOD else self._steps.done
        return Prompt(kind, action, index, len(self._challenge.actions), left_ms)

    def _news(
        self,
        prompt: Prompt | None = None,
        verdict: ChallengeVerdict | None = None,
        gate: GateDecision | None = None,
    ) -> ChallengeNews:
        if gate is None and not self._has_held:
            self._has_held, gate = True, GateDecision.HOLD
        return replace(self.silence, gate=gate, prompt=prompt, verdict=verdict)


def verdict_of_word(word: Word, objections: tuple[Reason, ...], *, duration_ms: int) -> ChallengeVerdict:
    """What a session said, and what else speaks against it."""
    portrait = word.portrait
    reasons = tuple(dict.fromkeys((*objections, *word.reasons)))
    return ChallengeVerdict(
        is_alive=not reasons,
        reasons=reasons,
        actions=word.actions,
        events=word.events,
        silent=word.silent,
        picture=portrait.jpeg if portrait else b"",
        picture_box=portrait.box if portrait else None,
        picture_pts_ms=portrait.pts_ms if portrait else 0,
        samples=word.samples,
        duration_ms=duration_ms,
    )
