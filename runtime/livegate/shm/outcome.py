"""What becomes of a frame, on its way from the pipeline to the producer."""

from __future__ import annotations

import msgspec

from livegate.core.errors import ErrorCode, RequestError
from livegate.core.results import Box, Decision, GateDecision
from livegate.shm.layout import DropReason, Result

DECISION_NUMBERS: dict[Decision, int] = {
    Decision.GENUINE: 1,
    Decision.SPOOF: 2,
    Decision.FACE: 3,
    Decision.NO_FACE: 4,
}
"""The numbers of livegate.v1.Decision; 0 is no decision."""

_DECISIONS: dict[int, Decision | None] = {
    0: None,
    **{number: decision for decision, number in DECISION_NUMBERS.items()},
}

GATE_NUMBERS: dict[GateDecision, int] = {
    GateDecision.OPEN: 1,
    GateDecision.HOLD: 2,
    GateDecision.DENY: 3,
}
"""The numbers of livegate.v1.GateDecision; 0 is no new word."""

_GATES: dict[int, GateDecision | None] = {
    0: None,
    **{number: gate for gate, number in GATE_NUMBERS.items()},
}

_REASONS = {int(reason): reason for reason in DropReason}

CODES: dict[int, ErrorCode] = {int(code): code for code in ErrorCode}
"""Every error code by its number."""

DROP_CODES: dict[DropReason, ErrorCode] = {
    DropReason.JUDGED: ErrorCode.OK,
    DropReason.REPLACED: ErrorCode.QUEUE_FULL,
    DropReason.REJECTED: ErrorCode.QUEUE_FULL,
    DropReason.EXPIRED: ErrorCode.TIMEOUT,
    DropReason.STOPPED: ErrorCode.QUEUE_STOPED,
    DropReason.GONE: ErrorCode.CONNECTION_CLOSE,
}
"""What a producer is told when its frame was not looked at."""


class Outcome(msgspec.Struct, frozen=True):
    """The word on one frame: an error code, or OK and a verdict.

    `score` is 0..1, higher = more genuine; NO_FACE_SCORE without a face. `box` is the best face's.
    `gate` is set when there is a new word for the person in front.
    """

    code: ErrorCode = ErrorCode.OK
    decision: Decision | None = None
    score: float = 0.0
    algo_task: int = 0
    faces: int = 0
    box: Box | None = None
    gate: GateDecision | None = None


class FrameResult(msgspec.Struct, frozen=True):
    """What a producer hears about one of its frames; `reason` says why there is no verdict."""

    frame_id: int
    outcome: Outcome
    reason: DropReason
    queue_ns: int
    work_ns: int

    @property
    def has_verdict(self) -> bool:
        """Whether the frame was judged; without one a gate stays shut."""
        return self.outcome.code is ErrorCode.OK and self.outcome.decision is not None


def result_from_outcome(
    outcome: Outcome,
    *,
    frame_id: int,
    slot: int,
    generation: int,
    reason: DropReason = DropReason.JUDGED,
    queue_ns: int = 0,
    work_ns: int = 0,
    kind: type[Result] = Result,
) -> Result:
    """The packet for a producer; Reloaned where the slot is its own again."""
    box = outcome.box or Box(0.0, 0.0, 0.0, 0.0)
    return kind(
        frame_id=frame_id,
        generation=generation,
        queue_ns=max(0, queue_ns),
        work_ns=max(0, work_ns),
        slot=slot,
        code=outcome.code,
        reason=reason,
        decision=0 if outcome.decision is None else DECISION_NUMBERS[outcome.decision],
        algo_task=outcome.algo_task,
        faces=outcome.faces,
        score=outcome.score,
        x=box.x,
        y=box.y,
        face_width=box.width,
        face_height=box.height,
        gate=0 if outcome.gate is None else GATE_NUMBERS[outcome.gate],
    )


def frame_result_from(result: Result) -> FrameResult:
    """A packet as the producer sees it.

    Raises:
        RequestError: UNREALIZED for a code, a reason, a decision or a word of the gate that this side
            does not know: a newer server must not be misread.
    """
    try:
        code, reason = CODES[result.code], _REASONS[result.reason]
        decision, gate = _DECISIONS[result.decision], _GATES[result.gate]
    except KeyError as error:
        raise RequestError(
            ErrorCode.UNREALIZED,
            f"the result of frame {result.frame_id} has a number that this side does not know: {error}",
            hint="build both sides from the same proto/livegate_shm.h",
        ) from error
    has_box = result.face_width > 0 and result.face_height > 0
    outcome = Outcome(
        code=code,
        decision=decision,
        score=result.score,
        algo_task=result.algo_task,
        faces=result.faces,
        box=Box(result.x, result.y, result.face_width, result.face_height) if has_box else None,
        gate=gate,
    )
    return FrameResult(result.frame_id, outcome, reason, result.queue_ns, result.work_ns)
