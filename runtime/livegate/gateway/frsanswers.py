"""The answers of Huawei Cloud's face service: results and their warnings, faces, failures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from livegate.core.config import QualityConfig
from livegate.core.results import Analysis, Box, Decision, Face, Flaw, Reason, Verdict, VideoVerdict
from livegate.gateway.dialect import HttpAnswer
from livegate.gateway.frs import FrsCode
from livegate.pipelines.quality import flaws

LIVENESS, DETECTION = 1031, 9001
MIN_FACE_PIXELS = 40
WARNINGS = {
    1: "The face is not facing forward.",
    4: "Two faces are detected.",
    5: "No face is detected.",
    6: "The range of motion is too small.",
    7: "The video quality is poor or the person in the video is not a real person.",
    8: "Failed to select a preferred image.",
    101: "The overall quality of the facial image is low.",
    102: "The face is blurred.",
    103: "The face angle is too large.",
    105: "The image is dark.",
    106: "The image contains multiple faces.",
}
WARNING_OF_REASON = {
    Reason.NO_FRONTAL_FACE: 1,
    Reason.NO_FACE: 5,
    Reason.FACE_LOST: 5,
    Reason.ACTION_MISSING: 6,
    Reason.SCORE_BELOW_THRESHOLD: 7,
    Reason.PERSON_CHANGED: 7,
    Reason.VIDEO_CUT: 7,
}
WARNING_OF_FLAW = {
    Flaw.LOW_QUALITY: 101,
    Flaw.BLURRED: 102,
    Flaw.TURNED_AWAY: 103,
    Flaw.DARK: 105,
}
SEVERAL_IN_VIDEO, NO_PICTURE, SEVERAL_IN_PICTURE = 4, 8, 106


def picture_answer(picture: bytes, analysis: Analysis, limits: QualityConfig) -> HttpAnswer:
    """What was found in a picture: its liveness where that was asked for, else its faces."""
    verdicts = {verdict.algo_task: verdict for verdict in analysis.verdicts}
    faces = [found.face for verdict in analysis.verdicts for found in verdict.faces]
    faces.sort(key=lambda face: face.box.area, reverse=True)
    if LIVENESS not in verdicts:
        return _faces_answer(faces, analysis)
    measured = [flaw for quality in analysis.qualities if quality for flaw in flaws(quality, limits)]
    codes = {WARNING_OF_FLAW[flaw] for flaw in measured}
    if len(faces) > 1:
        codes.add(SEVERAL_IN_PICTURE)
    return _liveness_answer(picture, verdicts[LIVENESS], faces, codes)


def video_answer(verdict: VideoVerdict) -> HttpAnswer:
    """What was found in a video."""
    result = {
        "alive": verdict.is_alive,
        "actions": [
            {"action": int(one.action), "confidence": one.confidence} for one in verdict.actions
        ],
        "picture": base64.b64encode(verdict.picture).decode(),
    }
    codes = {WARNING_OF_REASON[reason] for reason in verdict.reasons if reason in WARNING_OF_REASON}
    if not verdict.picture:
        codes.add(NO_PICTURE)
    if verdict.most_faces > 1:
        codes.add(SEVERAL_IN_VIDEO)
    return _with_warnings({"video-result": result}, codes)


def _liveness_answer(
    picture: bytes, verdict: Verdict, faces: Sequence[Face], codes: set[int]
) -> HttpAnswer:
    if verdict.decision is Decision.NO_FACE:
        return failure_answer(FrsCode.SILENT_NO_FACE)
    if faces and min(faces[0].box.width, faces[0].box.height) < MIN_FACE_PIXELS:
        width, height = round(faces[0].box.width), round(faces[0].box.height)
        least = f"{MIN_FACE_PIXELS}x{MIN_FACE_PIXELS}"
        return failure_answer(
            FrsCode.BAD_SIZE, f"The largest face has {width}x{height} pixels of {least}."
        )
    result = {
        "alive": verdict.decision is Decision.GENUINE,
        "confidence": verdict.score,
        "picture": base64.b64encode(picture).decode(),
    }
    return _with_warnings({"result": result}, codes)


def _with_warnings(answer: dict[str, Any], codes: set[int]) -> HttpAnswer:
    warnings = [{"warningCode": code, "warningMsg": WARNINGS[code]} for code in sorted(codes)]
    return HttpAnswer(200, msgspec.json.encode({**answer, "warning-list": warnings}))


def _faces_answer(faces: Sequence[Face], analysis: Analysis) -> HttpAnswer:
    if not faces:
        return failure_answer(FrsCode.NO_FACE)
    boxes = [_bounding_box(face.box, analysis.src_width, analysis.src_height) for face in faces]
    return HttpAnswer(200, msgspec.json.encode({"faces": [{"bounding_box": box} for box in boxes]}))


def _bounding_box(box: Box, width: int, height: int) -> dict[str, int]:
    """Whole pixels inside the picture; ours may reach over its edge."""
    left, top = (max(0, round(start)) for start in (box.x, box.y))
    right, bottom = min(width, round(box.x + box.width)), min(height, round(box.y + box.height))
    return {
        "top_left_x": left,
        "top_left_y": top,
        "width": max(0, right - left),
        "height": max(0, bottom - top),
    }


def failure_answer(
    row: FrsCode, fact: str = "", status: int | None = None, this_id: str | None = None
) -> HttpAnswer:
    """A row of the error table; the codes of the cloud's gateway carry the request's id."""
    body = {"error_code": row.value, "error_msg": row.message(fact)}
    if this_id and row.value.startswith("APIG"):
        body["request_id"] = this_id
    return HttpAnswer(status or row.http_status, msgspec.json.encode(body))
