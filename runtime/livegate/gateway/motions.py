"""check_liveness: the motions that a client asks for against the movements that were seen.

The cloud's thresholds are 0..1 above nothing. Ours begin where a movement counts at all: an event's
confidence is 0.5 at its least height (config.actions) and 1 at twice that. So the cloud's score of an
event is `2 * confidence - 1`: the part of its height above the least. A threshold of 0.2 wants 1.2 of
the least height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from livegate.core.config import ActionsConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.results import Action, ActionEvent, Reason, VideoVerdict
from livegate.ingest.liveness_data import MAX_MOTIONS, Motion, motions_from_text
from livegate.pipelines.asking import compare

ACTION_OF_MOTION = {
    Motion.BLINK: Action.BLINK,
    Motion.MOUTH: Action.MOUTH,
    Motion.NOD: Action.NOD,
    Motion.YAW: Action.SHAKE_LEFT,
}
"""Turns to the right are read as turns to the left before they are compared: either side is YAW."""


@dataclass(frozen=True, slots=True)
class Complexity:
    """One row of the cloud's table: least scores 0..1, and whether the face may get lost."""

    blink: float
    mouth: float
    yaw: float
    nod: float
    allows_loss: bool = False

    def least(self, action: Action) -> float:
        """The least score of an action."""
        return {
            Action.BLINK: self.blink,
            Action.MOUTH: self.mouth,
            Action.NOD: self.nod,
        }.get(action, self.yaw)


COMPLEXITIES = (
    Complexity(blink=0.2, mouth=0.2, yaw=0.1, nod=0.2, allows_loss=True),
    Complexity(blink=0.2, mouth=0.2, yaw=0.1, nod=0.2),
    Complexity(blink=0.5, mouth=0.5, yaw=0.5, nod=0.5),
    Complexity(blink=0.7, mouth=0.7, yaw=0.7, nod=0.7),
)


@dataclass(frozen=True, slots=True)
class MotionResult:
    """One motion that was asked for; `score` 0..1, 0 where it was not seen in its turn."""

    motion: Motion
    is_passed: bool
    score: float


@dataclass(frozen=True, slots=True)
class MotionCheck:
    """The word on a video: passed when there is no reason against it."""

    results: tuple[MotionResult, ...]
    reasons: tuple[Reason, ...]

    @property
    def is_passed(self) -> bool:
        """Whether every motion was seen, and nothing else speaks against the video."""
        return not self.reasons


def check_motions(
    motions: Sequence[Motion], complexity: Complexity, verdict: VideoVerdict, config: ActionsConfig
) -> MotionCheck:
    """Hold the motions, in their order, against a verdict that was asked for no actions."""
    wanted = [ACTION_OF_MOTION[motion] for motion in motions]
    seen = [_one_sided(event) for event in verdict.events]
    strong = [event for event in seen if _score(event) >= complexity.least(event.action)]
    matched, reasons = compare(wanted, (), strong, _nothing, refuse_unasked=False)
    # What was asked for must be strong; what was not asked for counts as soon as it is seen.
    _, more = compare(wanted, (), seen, _nothing, refuse_unasked=config.refuse_unasked)
    unasked = [reason for reason in more if reason is Reason.ACTION_NOT_ASKED_FOR]
    rest = [
        reason
        for reason in verdict.reasons
        if not (complexity.allows_loss and reason is Reason.FACE_LOST)
    ]
    results = tuple(
        MotionResult(motion, one.is_accepted, _score(one.event) if one.event else 0.0)
        for motion, one in zip(motions, matched, strict=True)
    )
    return MotionCheck(results, tuple(dict.fromkeys((*reasons, *unasked, *rest))))


def motion_fields(check: MotionCheck) -> dict[str, Any]:
    """What check_liveness says of the motions."""
    motions = [
        {"motion": one.motion.value, "passed": one.is_passed, "score": one.score}
        for one in check.results
    ]
    reasons = [reason.value for reason in check.reasons]
    return {"result": {"motions": motions, "passed": check.is_passed, "reasons": reasons}}


def wanted_motions(text: str) -> tuple[Motion, ...]:
    """The parameter `motions`.

    Raises:
        RequestError: PARAM_FAILURE for a word that is no motion, none, or too many.
    """
    motions = motions_from_text(text)
    if not 1 <= len(motions) <= MAX_MOTIONS:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"'motions' has {len(motions)} words",
            hint=f'send 1 to {MAX_MOTIONS} with blanks between: "BLINK NOD"',
        )
    return motions


def complexity_from_text(text: str) -> Complexity:
    """The row of "0" to "3"; 1 where nothing is said.

    Raises:
        RequestError: PARAM_FAILURE.
    """
    if text not in ("", "0", "1", "2", "3"):
        raise RequestError(ErrorCode.PARAM_FAILURE, "'complexity' is 0, 1, 2 or 3")
    return COMPLEXITIES[int(text or "1")]


def _one_sided(event: ActionEvent) -> ActionEvent:
    is_right = event.action is Action.SHAKE_RIGHT
    return replace(event, action=Action.SHAKE_LEFT) if is_right else event


def _score(event: ActionEvent) -> float:
    return round(2 * event.confidence - 1, 6)


def _nothing(action: Action) -> float:
    return 0.0
