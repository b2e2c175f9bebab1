"""Whether what was judged is a hack: one number, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from livegate.core.results import Answer, Decision, Reason, VideoVerdict
from livegate.gateway.hackscore import HACK_LEAST, hack_score
from livegate.gateway.linkface import LinkfaceStatus

LIVENESS = 1031
BROKEN_TAKES = frozenset((Reason.VIDEO_CUT, Reason.PERSON_CHANGED, Reason.FACE_LOST))
"""A video that is not one take of one person is a hack, however genuine its faces are."""


@dataclass(frozen=True, slots=True)
class HackWord:
    """`score` 0..1, above 0.98 a hack; None when no face could be judged, and `why`."""

    score: float | None
    why: str = ""


def hack_word(answer: Answer) -> HackWord:
    """The word on pictures or on a video."""
    if isinstance(answer, VideoVerdict):
        return _of_video(answer)
    verdict = next(one for one in answer.verdicts if one.algo_task == LIVENESS)
    if verdict.decision is Decision.NO_FACE:
        return HackWord(None, "there is no face in the picture")
    return HackWord(hack_score(verdict))


def hack_fields(answer: Answer) -> dict[str, Any]:
    """A score, or why there is none."""
    word = hack_word(answer)
    if word.score is None:
        return {"status": LinkfaceStatus.NO_FACE_DETECTED.value, "reason": word.why}
    return {"status": LinkfaceStatus.OK.value, "score": word.score}


def _of_video(verdict: VideoVerdict) -> HackWord:
    if Reason.NO_FACE in verdict.reasons:
        return HackWord(None, "there is no face in the video")
    if Reason.FACE_TOO_SMALL in verdict.reasons:
        return HackWord(None, "the face in the video is too small")
    if verdict.silent is None:
        return HackWord(None, "the face in the video never looks at the camera")
    score = hack_score(verdict.silent)
    return HackWord(score if BROKEN_TAKES.isdisjoint(verdict.reasons) else max(score, HACK_LEAST))
