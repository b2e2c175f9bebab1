"""Huawei FRS: live-detect-face, face-detect and live-detect of Huawei Cloud's face service.

JSON or a multipart form in, JSON out; failures are {"error_code", "error_msg"} with the cloud's codes.
The official SDK calls /v1/.../live-detect, its *Intl methods and the documentation /v2. What the cloud
leaves open is decided in docs/dialects/huawei_frs.md.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from livegate.core.config import AccessKey, AccessToken, Config
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.request import CODE_ANALYZE, CODE_VERIFY, AnalyzeRequest, Question, VerifyRequest
from livegate.core.results import Answer, VideoVerdict
from livegate.gateway.base64text import bytes_from_base64
from livegate.gateway.dialect import Fetch, Head, HttpAnswer, Route
from livegate.gateway.distinct import require_distinct
from livegate.gateway.frs import FrsCode, FrsError, frs_code
from livegate.gateway.frsanswers import (
    DETECTION,
    LIVENESS,
    failure_answer,
    picture_answer,
    video_answer,
)
from livegate.gateway.multipart import is_form, parts_from_form
from livegate.gateway.ratelimit import TokenBucket
from livegate.gateway.sdkhmac import DATE, SdkSignatureCheck
from livegate.ingest.headers import is_other_picture
from livegate.ingest.image import checked_header

MAX_INPUT_BYTES = 8 << 20
"""Of a file, and of a base64 text: the cloud's limit."""
MAX_ACTIONS = 10
ACTIONS = (1, 2, 3, 4, 5)
DEFAULT_NOD_DEG, NOD_DEG = 10.0, (1.0, 90.0)
OBS_PATH = re.compile(r"/[^/\s]+/[^\s/][^\r\n\t]*")
NUMBER = re.compile(r"[0-9]{1,9}")
WINDOW = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")
VIDEO_CODES = frozenset(code for code in ErrorCode if 2001 <= code < 2030) | {
    ErrorCode.DECODE_FAIL,
    ErrorCode.OUT_OF_RANGE,
    ErrorCode.PARAM_FAILURE,
}
DEGREES = re.compile(r"[0-9]{1,9}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")
Scalar = str | int | float | bool | None


class Message(msgspec.Struct, kw_only=True):
    """The fields that are read: what else a body holds is passed over without memory for it."""

    image_base64: Scalar = None
    image_file: Scalar = None
    image_url: Scalar = None
    attributes: Scalar = None
    video_base64: Scalar = None
    video_file: Scalar = None
    video_url: Scalar = None
    actions: Scalar = None
    action_time: Scalar = None
    nod_threshold: Scalar = None


_decoder = msgspec.json.Decoder(Message)
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
        self._quality = config.quality
        self._fetch_s = config.urls.timeout_s
        self.is_authenticated = own.auth != "none" and (own.takes_signatures or own.takes_tokens)
        names = (key.access for key in own.keys)
        require_distinct(names, "huawei_frs.keys", hint="give each access key one secret")
        secrets = {key.access: key.secret for key in own.keys}
        self._check = SdkSignatureCheck(secrets, own.clock_window_s)
        self._signers = {key.access: _caller(f"key {key.access}", key) for key in own.keys}
        self._bearers = [(t.token.encode(), _caller(f"token {t.name}", t)) for t in own.tokens]
        self._methods: dict[tuple[str, str], Callable[[Head, Fields], Question | Fetch]] = {
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

    def parse(self, head: Head, body: bytes) -> Question | Fetch:
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
            return video_answer(answer)
        picture = request.images[0] if isinstance(request, AnalyzeRequest) and request.images else b""
        return picture_answer(picture, answer, self._quality)

    def render_error(self, error: LiveGateError, request: Question | None) -> HttpAnswer:
        """The cloud's failure; its gateway's codes carry the request's id, too."""
        row = _row_of_video(error) if isinstance(request, VerifyRequest) else frs_code(error)
        is_late_body = row is FrsCode.BACKEND_TIMEOUT and request is None
        status = error.code.http_status if is_late_body else row.http_status
        length_s = error.fields.get("length_s")
        fact = f"{length_s} s" if length_s and row is FrsCode.VIDEO_LENGTH else error.message
        return failure_answer(row, fact, status, error.fields.get("request_id"))

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

    def _live_detect_face(self, head: Head, fields: Fields) -> Question | Fetch:
        return self._about_picture(head, fields, (LIVENESS, DETECTION))

    def _face_detect(self, head: Head, fields: Fields) -> Question | Fetch:
        attributes = _text(fields, "attributes")
        if attributes and not all(NUMBER.fullmatch(part.strip()) for part in attributes.split(",")):
            raise FrsError(FrsCode.BAD_PARAM, "attributes is a list of numbers with commas between")
        return self._about_picture(head, fields, (DETECTION,))

    def _about_picture(self, head: Head, fields: Fields, tasks: tuple[int, ...]) -> Question | Fetch:
        def ask(image: bytes) -> AnalyzeRequest:
            self._check_picture(image)
            return AnalyzeRequest(
                code=CODE_ANALYZE,
                task_id="",
                algo_tasks=tasks,
                images=(image,),
                request_id=head.request_id,
                wants_quality=LIVENESS in tasks,
            )

        return self._with_input(fields, "image", ask)

    def _live_detect(self, head: Head, fields: Fields) -> Question | Fetch:
        asked = video_question(fields, head.request_id)
        return self._with_input(fields, "video", lambda video: replace(asked, video=video))

    def _with_input(
        self, fields: Fields, kind: str, ask: Callable[[bytes], Question]
    ) -> Question | Fetch:
        """The question about what was sent, or will be once `kind`_url is fetched."""
        name = _given_input(fields, kind)
        if name.endswith("_url"):
            return Fetch(_checked_url(_text(fields, name)), MAX_INPUT_BYTES, self._fetch_s, ask)
        return ask(_sent_bytes(fields, name))

    def _check_picture(self, image: bytes) -> None:
        limit = self._limits.max_image_bytes
        if len(image) > limit:
            raise FrsError(FrsCode.BODY_TOO_LARGE, f"[1, {limit}] bytes: the picture")
        try:
            checked_header(image, self._limits, name="the picture")
        except RequestError as error:
            raise FrsError(_row_of_picture(image, error), error.message, hint=error.hint) from error


def video_question(fields: Fields, request_id: str) -> VerifyRequest:
    """What live-detect asks, still without its video.

    Raises:
        FrsError: FRS.0011, 0012, 0702, 0704.
    """
    codes = _action_codes(fields)
    return VerifyRequest(
        code=CODE_VERIFY,
        task_id="",
        actions=tuple(map(int, codes)),
        video=b"",
        request_id=request_id,
        windows=_windows_ms(_text(fields, "action_time"), len(codes)),
        nod_deg=_nod_threshold_deg(fields.get("nod_threshold")),
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
    if isinstance(value, str) and DEGREES.fullmatch(value):
        value = float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not NOD_DEG[0] <= value <= NOD_DEG[1]:
        raise FrsError(FrsCode.BAD_PARAM, "nod_threshold is a number from 1 to 90")
    return float(value)


def _fields(head: Head, body: bytes) -> Fields:
    content_type = head.headers.get("content-type", "")
    return _form_fields(content_type, body) if is_form(content_type) else _json_fields(body)


def _json_fields(body: bytes) -> Fields:
    if not body.strip():
        return {}
    try:
        return msgspec.structs.asdict(_decoder.decode(body))
    except msgspec.ValidationError as error:
        fact, _, path = str(error).partition(" - at `$.")
        if not path:
            raise FrsError(FrsCode.BAD_JSON, "It is not an object.") from error
        raise FrsError(FrsCode.BAD_PARAM, f"{path.rstrip('`')}: {fact}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrsError(FrsCode.BAD_JSON, f"{error}.") from error


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


def _given_input(fields: Fields, kind: str) -> str:
    """The name of the one input that is there."""
    names = (f"{kind}_base64", f"{kind}_file", f"{kind}_url")
    given = [name for name in names if fields.get(name) not in (None, "", b"")]
    if not given:
        raise FrsError(FrsCode.NO_PARAM, names[0])
    if len(given) > 1:
        raise FrsError(FrsCode.BAD_PARAM, f"{' and '.join(given)} are given, one is read")
    return given[0]


def _sent_bytes(fields: Fields, name: str) -> bytes:
    value = fields[name]
    if isinstance(value, str) and name.endswith("_file"):
        raise FrsError(FrsCode.BAD_PARAM, f"{name} is a file of a multipart form")
    if not isinstance(value, (str, bytes)):
        raise FrsError(FrsCode.BAD_PARAM, f"{name} is not a text")
    if len(value) > MAX_INPUT_BYTES:
        raise FrsError(FrsCode.BODY_TOO_LARGE, f"[1, {MAX_INPUT_BYTES}] bytes: {name}")
    return value if isinstance(value, bytes) else _decoded(value, name)


def _checked_url(url: str) -> str:
    if OBS_PATH.fullmatch(url) or url.lower().startswith(("http://", "https://")):
        return url
    raise FrsError(FrsCode.BAD_URL, "It is neither /bucket/object nor an http or https URL.")


def _decoded(text: str, name: str) -> bytes:
    try:
        return bytes_from_base64(text)
    except ValueError as error:
        row = FrsCode.BAD_IMAGE if name.startswith("image") else FrsCode.BAD_VIDEO
        hint = "send the file's bytes in base64, without a data: prefix"
        raise FrsError(row, f"{name} is not base64: {error}", hint=hint) from error


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str | None):
        raise FrsError(FrsCode.BAD_PARAM, f"{name} is not a text")
    return value or ""


def _row_of_picture(image: bytes, error: RequestError) -> FrsCode:
    if error.code is not ErrorCode.DECODE_FAIL:
        return FrsCode.BAD_SIZE
    return FrsCode.BAD_FORMAT if is_other_picture(image) else FrsCode.BAD_IMAGE


def _row_of_video(error: LiveGateError) -> FrsCode:
    """A video's errors: its length, what this box does not serve, or a file that cannot be read."""
    if "missing_task" in error.fields or "required" in error.fields:
        return FrsCode.NO_SERVICE
    if "max_bytes" in error.fields:
        return FrsCode.BODY_TOO_LARGE
    if "length_s" in error.fields:
        return FrsCode.VIDEO_LENGTH
    return FrsCode.BAD_VIDEO if error.code in VIDEO_CODES else frs_code(error)


def _not_enabled(head: Head, fields: Fields) -> Question:
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
