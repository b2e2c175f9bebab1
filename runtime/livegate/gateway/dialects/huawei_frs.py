"""Huawei FRS: live-detect-face, face-detect and live-detect of Huawei Cloud's face service.

JSON or a multipart form in, JSON out; failures are {"error_code", "error_msg"} with the cloud's codes.
The official SDK calls /v1/.../live-detect, its *Intl methods and the documentation /v2. What the cloud
leaves open is decided in docs/dialects/huawei_frs.md.
"""

from __future__ import annotations

import base64
import hmac
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from livegate.core.config import AccessKey, AccessToken, Config
from livegate.core.errors import ErrorCode, LiveGateError, RequestError, SetupError
from livegate.core.request import CODE_ANALYZE, CODE_VERIFY, AnalyzeRequest, Question, VerifyRequest
from livegate.core.results import Analysis, Answer, Box, Decision, Face, Reason, Verdict, VideoVerdict
from livegate.gateway.base64text import bytes_from_base64
from livegate.gateway.dialect import Head, HttpAnswer, Route
from livegate.gateway.frs import FrsCode, FrsError, frs_code
from livegate.gateway.multipart import is_form, parts_from_form
from livegate.gateway.ratelimit import TokenBucket
from livegate.gateway.sdkhmac import DATE, SdkSignatureCheck
from livegate.ingest.clip_messages import LASTS
from livegate.ingest.image import checked_header

LIVENESS, DETECTION = 1031, 9001
MAX_INPUT_BYTES = 8 << 20
"""Of a file, and of a base64 text: the cloud's limit."""
MIN_FACE_PIXELS = 40
MAX_ACTIONS = 10
ACTIONS = (1, 2, 3, 4, 5)
DEFAULT_NOD_DEG, NOD_DEG = 10.0, (1.0, 90.0)
OBS_PATH = re.compile(r"/[^/\s]+/\S+")
NUMBER = re.compile(r"[0-9]{1,9}")
WINDOW = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")
# Picture files that cameras and phones make and this box does not read: what they begin with.
OTHER_PICTURES = (b"GIF8", b"II*\0", b"MM\0*")
OTHER_BRANDS = (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypavif")
SEVERAL_FACES = {"warningCode": 106, "warningMsg": "The image contains multiple faces."}
VIDEO_WARNINGS = {
    1: "The face is not facing forward.",
    5: "No face is detected.",
    6: "The range of motion is too small.",
    7: "The video quality is poor or the person in the video is not a real person.",
    8: "Failed to select a preferred image.",
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
VIDEO_CODES = frozenset(code for code in ErrorCode if 2001 <= code < 2030) | {
    ErrorCode.DECODE_FAIL,
    ErrorCode.OUT_OF_RANGE,
    ErrorCode.PARAM_FAILURE,
}
Fields = Mapping[str, Any]
"""The fields of a request: JSON values; of a form, texts, and bytes for *_file."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom credentials belong to."""

    name: str
    projects: frozenset[str]
    bucket: TokenBucket

    def enter(self, project: str) -> None:
        """Hold the project against the caller's own, and count the call.

        Raises:
            FrsError: FRS.0028.
            RequestError: FULL.
        """
        if self.projects and project not in self.projects:
            raise FrsError(FrsCode.BAD_PROJECT, f"{self.name} may not name {project[:64]!r}")
        self.bucket.take(self.name)


class Plugin:
    """The dialect."""

    name = "huawei_frs"
    prefixes = ("/v1/", "/v2/")
    credentials = "huawei_frs.keys or huawei_frs.tokens"

    def __init__(self, config: Config) -> None:
        """Know the callers."""
        own = config.huawei_frs
        self._config = own
        self._limits = config.limits
        self.is_authenticated = own.auth != "none" and (own.takes_signatures or own.takes_tokens)
        _require_distinct([key.access for key in own.keys])
        secrets = {key.access: key.secret for key in own.keys}
        self._check = SdkSignatureCheck(secrets, own.clock_window_s)
        self._signers = {key.access: _caller(f"key {key.access}", key) for key in own.keys}
        self._bearers = [(t.token.encode(), _caller(f"token {t.name}", t)) for t in own.tokens]
        self._methods: dict[tuple[str, str], Callable[[Head, Fields], Question]] = {
            ("v1", "live-detect-face"): self._live_detect_face,
            ("v2", "face-detect"): self._face_detect,
            ("v1", "live-detect"): self._live_detect,
            ("v2", "live-detect"): self._live_detect,
            ("v2", "face-compare"): _not_enabled,
            ("v2", "face-sets"): _not_enabled,
        }
        self.routes = tuple(
            Route("POST", f"/{version}/{{project_id}}/{method}") for version, method in self._methods
        )

    def authenticate(self, head: Head) -> None:
        """The token, or as much of the signature as the head holds."""
        if not self.is_authenticated:
            return
        token = head.headers.get("x-auth-token", "")
        if token and self._config.takes_tokens:
            self._bearer(token).enter(_project(head))
        elif not self._config.takes_signatures:
            raise FrsError(FrsCode.NO_HEADER, "X-Auth-Token")
        elif not head.headers.get("authorization"):
            wanted = "X-Auth-Token" if self._config.takes_tokens else "Authorization"
            raise FrsError(FrsCode.NO_HEADER, wanted)
        elif not head.headers.get(DATE):
            raise FrsError(FrsCode.NO_HEADER, "X-Sdk-Date")
        else:
            self._check.admit(head)

    def parse(self, head: Head, body: bytes) -> Question:
        """The rest of the signature, then the message."""
        if self._is_signed(head):
            self._signers[self._check.verify(head, body)].enter(_project(head))
        version, _, method = _segments(head)
        if (version, method) not in self._methods:
            raise FrsError(FrsCode.NO_API, f"{head.path[:200]} is not served here")
        return self._methods[version, method](head, _fields(head, body))

    def render(self, request: Question, answer: Answer) -> HttpAnswer:
        """The cloud's answer; a picture without a face is one of its errors."""
        if isinstance(answer, VideoVerdict):
            return _video_result(answer)
        verdicts = {verdict.algo_task: verdict for verdict in answer.verdicts}
        faces = [found.face for verdict in answer.verdicts for found in verdict.faces]
        faces.sort(key=lambda face: face.box.area, reverse=True)
        if LIVENESS not in verdicts:
            return _face_list(faces, answer)
        picture = request.images[0] if isinstance(request, AnalyzeRequest) and request.images else b""
        return _liveness(picture, verdicts[LIVENESS], faces)

    def render_error(self, error: LiveGateError, request: Question | None) -> HttpAnswer:
        """The cloud's failure; its gateway's codes carry the request's id, too."""
        row = _row_of_video(error) if isinstance(request, VerifyRequest) else frs_code(error)
        is_late_body = row is FrsCode.BACKEND_TIMEOUT and request is None
        status = error.code.http_status if is_late_body else row.http_status
        fact = error.message.removeprefix(LASTS).strip()
        return _failure(row, fact, status, error.fields.get("request_id"))

    def _bearer(self, token: str) -> Caller:
        # Every token is compared, so that the time does not tell which one came near.
        given = token.encode()
        known = [caller for own, caller in self._bearers if hmac.compare_digest(given, own)]
        if not known:
            raise FrsError(FrsCode.BAD_TOKEN, "It is none that this box knows.")
        return known[0]

    def _is_signed(self, head: Head) -> bool:
        has_token = self._config.takes_tokens and bool(head.headers.get("x-auth-token"))
        return self._config.takes_signatures and not has_token

    def _live_detect_face(self, head: Head, fields: Fields) -> AnalyzeRequest:
        return self._question(head, fields, (LIVENESS, DETECTION))

    def _face_detect(self, head: Head, fields: Fields) -> AnalyzeRequest:
        attributes = _text(fields, "attributes")
        if attributes and not all(NUMBER.fullmatch(part) for part in attributes.split(",")):
            raise FrsError(FrsCode.BAD_PARAM, "attributes is a list of numbers with commas between")
        return self._question(head, fields, (DETECTION,))

    def _question(self, head: Head, fields: Fields, tasks: tuple[int, ...]) -> AnalyzeRequest:
        image, limit = _input(fields, "image"), self._limits.max_image_bytes
        if len(image) > limit:
            raise FrsError(FrsCode.BODY_TOO_LARGE, f"[1, {limit}] bytes: the picture")
        try:
            checked_header(image, self._limits, name="the picture")
        except RequestError as error:
            raise FrsError(_row_of_picture(image, error), error.message, hint=error.hint) from error
        return AnalyzeRequest(
            code=CODE_ANALYZE,
            task_id="",
            algo_tasks=tasks,
            images=(image,),
            request_id=head.request_id,
        )

    def _live_detect(self, head: Head, fields: Fields) -> VerifyRequest:
        return parse_video_question(fields, head.request_id)


def parse_video_question(fields: Fields, request_id: str) -> VerifyRequest:
    """What live-detect asks.

    Raises:
        FrsError: FRS.0011, 0012, 0017, 0021, 0022, 0701, 0702, 0704.
    """
    codes = _action_codes(fields)
    windows = _windows_ms(_text(fields, "action_time"), len(codes))
    nod_threshold_deg = _nod_threshold_deg(fields.get("nod_threshold"))
    video = _input(fields, "video")
    return VerifyRequest(
        code=CODE_VERIFY,
        task_id="",
        actions=tuple(map(int, codes)),
        video=video,
        request_id=request_id,
        windows=windows,
        nod_deg=nod_threshold_deg,
    )


def _action_codes(fields: Fields) -> list[str]:
    actions = _text(fields, "actions")
    if not actions:
        raise FrsError(FrsCode.NO_PARAM, "actions")
    codes = [part.strip() for part in actions.split(",")]
    if len(codes) > MAX_ACTIONS:
        raise FrsError(FrsCode.TOO_MANY_ACTIONS, "")
    for code in codes:
        if code not in map(str, ACTIONS):
            raise FrsError(FrsCode.BAD_ACTION, code[:20])
    return codes


def _windows_ms(text: str, actions: int) -> tuple[tuple[int, int], ...]:
    if not text:
        return ()
    found = [WINDOW.fullmatch(part.strip()) for part in text.split(",")]
    windows = tuple((int(match[1]), int(match[2])) for match in found if match)
    if len(windows) != len(found) or len(found) != actions or any(a >= b for a, b in windows):
        raise FrsError(
            FrsCode.BAD_PARAM, 'action_time is "start-end" in milliseconds for each action, with commas'
        )
    return windows


def _nod_threshold_deg(value: Any) -> float:
    """A number in JSON, a text in a form."""
    if value is None or value == "":
        return DEFAULT_NOD_DEG
    try:
        degrees = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        degrees = math.nan
    if not NOD_DEG[0] <= degrees <= NOD_DEG[1]:
        raise FrsError(FrsCode.BAD_PARAM, "nod_threshold is a number from 1 to 90")
    return degrees


def _fields(head: Head, body: bytes) -> Fields:
    content_type = head.headers.get("content-type", "")
    return _form_fields(content_type, body) if is_form(content_type) else _json_fields(body)


def _json_fields(body: bytes) -> Fields:
    if not body.strip():
        return {}
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrsError(FrsCode.BAD_JSON, f"{error}.") from error
    if not isinstance(found, dict):
        raise FrsError(FrsCode.BAD_JSON, "It is not an object.")
    return found


def _form_fields(content_type: str, body: bytes) -> Fields:
    fields: dict[str, Any] = {}
    for part in parts_from_form(content_type, body):
        if part.name in fields:
            raise FrsError(FrsCode.BAD_PARAM, f"the form has {part.name[:40]!r} more than once")
        if part.name.endswith("_file"):
            fields[part.name] = part.content
        else:
            fields[part.name] = part.content.decode("utf-8", "replace")
    return fields


def _input(fields: Fields, kind: str) -> bytes:
    """The bytes of `kind`_base64 or `kind`_file; exactly one input may be there."""
    names = (f"{kind}_base64", f"{kind}_file", f"{kind}_url")
    given = [name for name in names if fields.get(name) not in (None, "", b"")]
    if not given:
        raise FrsError(FrsCode.NO_PARAM, names[0])
    if len(given) > 1:
        raise FrsError(FrsCode.BAD_PARAM, f"{' and '.join(given)} are given, one is read")
    if given[0] == names[2]:
        raise _refused_url(_text(fields, given[0]))
    value = fields[given[0]]
    if isinstance(value, str) and given[0] == names[1]:
        raise FrsError(FrsCode.BAD_PARAM, f"{names[1]} is a file of a multipart form")
    if not isinstance(value, (str, bytes)):
        raise FrsError(FrsCode.BAD_PARAM, f"{given[0]} is not a text")
    if len(value) > MAX_INPUT_BYTES:
        raise FrsError(FrsCode.BODY_TOO_LARGE, f"[1, {MAX_INPUT_BYTES}] bytes: {given[0]}")
    return value if isinstance(value, bytes) else _decoded(value, given[0])


def _decoded(text: str, name: str) -> bytes:
    try:
        return bytes_from_base64(text)
    except ValueError as error:
        row = FrsCode.BAD_IMAGE if name.startswith("image") else FrsCode.BAD_VIDEO
        hint = "send the file's bytes in base64, without a data: prefix"
        raise FrsError(row, f"{name} is not base64: {error}", hint=hint) from error


def _refused_url(url: str) -> FrsError:
    if OBS_PATH.fullmatch(url):
        return FrsError(
            FrsCode.NO_OBS, "This box fetches nothing and has no bucket: send the file or its base64."
        )
    return FrsError(
        FrsCode.BAD_URL, "It is not /bucket/object, and this box fetches nothing: send the file."
    )


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str | None):
        raise FrsError(FrsCode.BAD_PARAM, f"{name} is not a text")
    return value or ""


def _row_of_picture(image: bytes, error: RequestError) -> FrsCode:
    if error.code is not ErrorCode.DECODE_FAIL:
        return FrsCode.BAD_SIZE
    is_other = image.startswith(OTHER_PICTURES) or image[4:12].startswith(OTHER_BRANDS)
    return FrsCode.BAD_FORMAT if is_other else FrsCode.BAD_IMAGE


def _row_of_video(error: LiveGateError) -> FrsCode:
    """A video's errors: its length, what this box does not serve, or a file that cannot be read."""
    if "missing_task" in error.fields or "required" in error.fields:
        return FrsCode.NO_SERVICE
    if error.message.startswith(LASTS):
        return FrsCode.VIDEO_LENGTH
    return FrsCode.BAD_VIDEO if error.code in VIDEO_CODES else frs_code(error)


def _video_result(verdict: VideoVerdict) -> HttpAnswer:
    result = {
        "alive": verdict.is_alive,
        "actions": [
            {"action": int(one.action), "confidence": one.confidence} for one in verdict.actions
        ],
        "picture": base64.b64encode(verdict.picture).decode(),
    }
    codes = {WARNING_OF_REASON[reason] for reason in verdict.reasons if reason in WARNING_OF_REASON}
    if not verdict.picture:
        codes.add(8)
    warnings = [{"warningCode": code, "warningMsg": VIDEO_WARNINGS[code]} for code in sorted(codes)]
    return HttpAnswer(200, msgspec.json.encode({"video-result": result, "warning-list": warnings}))


def _liveness(picture: bytes, verdict: Verdict, faces: Sequence[Face]) -> HttpAnswer:
    if verdict.decision is Decision.NO_FACE:
        return _failure(FrsCode.SILENT_NO_FACE)
    if faces and min(faces[0].box.width, faces[0].box.height) < MIN_FACE_PIXELS:
        width, height = round(faces[0].box.width), round(faces[0].box.height)
        least = f"{MIN_FACE_PIXELS}x{MIN_FACE_PIXELS}"
        return _failure(FrsCode.BAD_SIZE, f"The largest face has {width}x{height} pixels of {least}.")
    result = {
        "alive": verdict.decision is Decision.GENUINE,
        "confidence": verdict.score,
        "picture": base64.b64encode(picture).decode(),
    }
    warnings = [SEVERAL_FACES] if len(faces) > 1 else []
    return HttpAnswer(200, msgspec.json.encode({"result": result, "warning-list": warnings}))


def _face_list(faces: Sequence[Face], analysis: Analysis) -> HttpAnswer:
    if not faces:
        return _failure(FrsCode.NO_FACE)
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


def _failure(
    row: FrsCode, fact: str = "", status: int | None = None, this_id: str | None = None
) -> HttpAnswer:
    body = {"error_code": row.value, "error_msg": row.message(fact)}
    if this_id and row.value.startswith("APIG"):
        body["request_id"] = this_id
    return HttpAnswer(status or row.http_status, msgspec.json.encode(body))


def _not_enabled(head: Head, fields: Fields) -> AnalyzeRequest:
    raise FrsError(FrsCode.NO_SUB_SERVICE, "this box neither compares faces nor keeps them")


def _segments(head: Head) -> tuple[str, str, str]:
    """Version, project and method of a path that a route let through."""
    version, _, rest = head.path[1:].partition("/")
    project, _, method = rest.partition("/")
    return version, project, method


def _project(head: Head) -> str:
    return _segments(head)[1]


def _caller(name: str, own: AccessKey | AccessToken) -> Caller:
    return Caller(name, frozenset(own.projects), TokenBucket(own.rate_limit_rps))


def _require_distinct(access_keys: Sequence[str]) -> None:
    if twice := sorted({access for access in access_keys if access_keys.count(access) > 1}):
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"huawei_frs.keys names {', '.join(twice)} more than once",
            hint="give each access key one secret",
        )
