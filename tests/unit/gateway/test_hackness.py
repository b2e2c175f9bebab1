"""The word on pictures and videos: a score, or why there is none."""

from __future__ import annotations

import pytest

from livegate.core.results import Analysis, Decision, Reason, StageTimes, Verdict, VideoVerdict
from livegate.gateway.hackness import hack_fields, hack_word
from support import video_verdict

GENUINE = Verdict(1031, "silent_liveness", Decision.GENUINE, 1.0, (), (1.0,), threshold=0.5)
SPOOF = Verdict(1031, "silent_liveness", Decision.SPOOF, 0.0, (), (0.0,), threshold=0.5)
NOBODY = Verdict(1031, "silent_liveness", Decision.NO_FACE, -1.0, (Reason.NO_FACE,), (-1.0,))


def pictures(verdict: Verdict) -> Analysis:
    return Analysis(1020, "", "r", 1, 2, 3, (verdict,), (), StageTimes())


def video(silent: Verdict | None, *reasons: Reason) -> VideoVerdict:
    return video_verdict(silent=silent, reasons=reasons)


def test_pictures_have_the_score_of_silent_liveness() -> None:
    """0 is surely genuine, 1 surely a hack."""
    assert hack_word(pictures(GENUINE)).score == 0
    assert hack_word(pictures(SPOOF)).score == 1


def test_video_without_movement_is_judged_by_its_faces() -> None:
    """No action is asked for."""
    assert hack_word(video(GENUINE)).score == 0
    assert hack_word(video(SPOOF, Reason.SCORE_BELOW_THRESHOLD)).score == 1


@pytest.mark.parametrize("reason", [Reason.VIDEO_CUT, Reason.PERSON_CHANGED, Reason.FACE_LOST])
def test_video_that_is_not_one_take_is_a_hack(reason: Reason) -> None:
    """However genuine its faces are; and it is never made less of one."""
    assert hack_word(video(GENUINE, reason)).score == 0.981
    assert hack_word(video(SPOOF, reason)).score == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (pictures(NOBODY), "no face in the picture"),
        (video(None, Reason.NO_FACE), "no face in the video"),
        (video(None, Reason.FACE_TOO_SMALL), "too small"),
        (video(None, Reason.NO_FRONTAL_FACE), "never looks at the camera"),
        (video(None), "never looks at the camera"),
    ],
)
def test_nobody_to_judge_has_no_score(answer: Analysis | VideoVerdict, why: str) -> None:
    """And never passes for a genuine one."""
    word = hack_word(answer)
    assert word.score is None
    assert why in word.why
    assert hack_fields(answer) == {"status": "NO_FACE_DETECTED", "reason": word.why}
