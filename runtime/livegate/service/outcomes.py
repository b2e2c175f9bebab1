"""What one frame told, as an answer to a stream and as the word to a producer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import replace

from livegate.core.challenge import ChallengeNews
from livegate.core.errors import LiveGateError, as_livegate_error
from livegate.core.frame import Frame
from livegate.core.results import (
    Face,
    FrameAnswer,
    GateDecision,
    Reason,
    StageTimes,
    Verdict,
    largest_face,
)
from livegate.pipelines.session import FACES, SILENT, Look
from livegate.shm.outcome import Outcome


def answer_of_look(
    look: Look, frame: Frame, stages: StageTimes, *, frame_id: int, frame_pts: int
) -> FrameAnswer:
    """A frame that was judged; `frame` is the picture as it came."""
    return FrameAnswer(
        frame_id=frame_id,
        frame_pts=frame_pts,
        timestamp_ms=time.time_ns() // 1_000_000,
        src_width=frame.width,
        src_height=frame.height,
        frame_width=look.width,
        frame_height=look.height,
        verdicts=look.verdicts,
        person=look.person,
        gate=look.gate,
        reasons=look.reasons,
        stages=stages,
        news=look.news,
    )


def answer_of_error(
    error: BaseException,
    *,
    frame_id: int = 0,
    frame_pts: int = 0,
    person: int = 0,
    gate: GateDecision | None = None,
) -> FrameAnswer:
    """A frame, or a camera, that failed."""
    return FrameAnswer(
        frame_id=frame_id,
        frame_pts=frame_pts,
        timestamp_ms=time.time_ns() // 1_000_000,
        person=person,
        gate=gate,
        reasons=(Reason.FAILURE,),
        error=_bare(as_livegate_error(error)),
    )


def answer_with_news(answer: FrameAnswer, news: ChallengeNews) -> FrameAnswer:
    """For whoever answers a challenge: its word stands in the place of the gate's."""
    reasons = answer.reasons if answer.error else news.reasons
    return replace(answer, gate=news.gate, reasons=reasons, news=news)


def answer_of_news(news: ChallengeNews) -> FrameAnswer:
    """What came without a frame."""
    now_ms = time.time_ns() // 1_000_000
    return FrameAnswer(0, 0, now_ms, gate=news.gate, reasons=news.reasons, news=news)


def _bare(error: LiveGateError) -> LiveGateError:
    """An error that waits to be sent must not hold the frames, and with them the pictures."""
    return LiveGateError(error.code, error.message, hint=error.hint, fields=error.fields)


def outcome_of_answer(answer: FrameAnswer) -> Outcome:
    """The word to the producer of a frame."""
    if answer.error is not None:
        return Outcome(code=answer.error.code, gate=answer.gate)
    return outcome_of_verdicts(answer.verdicts, answer.gate)


def outcome_of_verdicts(verdicts: Sequence[Verdict], gate: GateDecision | None) -> Outcome:
    """The word to the producer of a frame that was judged."""
    told = verdicts[0]
    faces: list[Face] = []
    for verdict in verdicts:
        if verdict.algo_task == SILENT:
            told = verdict
        if verdict.task == FACES:
            faces = [found.face for found in verdict.faces]
    largest = largest_face(faces)
    return Outcome(
        decision=told.decision,
        score=told.score,
        algo_task=told.algo_task,
        faces=len(faces),
        box=largest.box if largest else None,
        gate=gate,
    )
