"""Linkface: the hackness and liveness methods of Linkface's cloud.

Forms, urlencoded bodies, JSON or a query in, JSON out; failures are {"status", "reason", "request_id"}
with the cloud's statuses. What the cloud leaves open is decided in docs/dialects/linkface.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.request import CODE_ANALYZE, CODE_VERIFY, AnalyzeRequest, Question, VerifyRequest
from livegate.core.results import Answer, VideoVerdict
from livegate.gateway.accounts import Accounts
from livegate.gateway.dialect import Fetch, Head, HttpAnswer, Route
from livegate.gateway.fields import Fields, all_fields, query_fields
from livegate.gateway.hackness import LIVENESS, hack_fields
from livegate.gateway.inputs import Inputs, truth_from_text
from livegate.gateway.linkface import LinkfaceError, LinkfaceStatus
from livegate.gateway.linkfaceanswers import answer_of, failure_answer
from livegate.gateway.motions import (
    check_motions,
    complexity_from_text,
    motion_fields,
    wanted_motions,
)
from livegate.gateway.nonces import Nonces
from livegate.gateway.recording import Recording, RecordingReader
from livegate.gateway.shelf import Shelf
from livegate.ingest.headers import is_other_picture, read_header
from livegate.ingest.image import checked_header

API_ID, API_SECRET = "api_id", "api_secret"
MAX_IMAGE_BYTES = 5 << 20
"""Of a selfie: the cloud's limit."""
FETCH_S, FETCH_VIDEO_S = 5.0, 10.0
"""The cloud's limits for a URL."""
NO_REGISTER = "this box judges liveness and has no register of persons to compare with"
NO_OCR = "this box judges liveness and reads no documents"
NOT_HERE = {
    "/identity/liveness_idnumber_verification": NO_REGISTER,
    "/identity/selfie_idnumber_verification": NO_REGISTER,
    "/identity/historical_selfie_verification": "this box judges liveness and compares no faces",
    "/identity/selfie_watermark_verification": NO_REGISTER,
    "/identity/handhold_idcard_verification": NO_OCR,
    "/ocr/idcard": NO_OCR,
    "/ocr/bankcard": NO_OCR,
    "/ocr/parse_idcard_ocr_result": NO_OCR,
    "/ocr/parse_bankcard_ocr_result": NO_OCR,
    "/data/verify_id_name": NO_REGISTER,
    "/data/verify_id_name_bankcard_phone": NO_REGISTER,
}
"""Methods of the cloud that this box does not have, and why."""

LIVENESS_DATA = Inputs(("liveness_data_file", "file"), "liveness_data_url", "liveness_data_id")
VIDEO = Inputs(("liveness_data_file", "file"), "liveness_data_url")
SELFIE = Inputs(("file",), "url", "image_id")
UPLOAD = Inputs(("file", "liveness_data_file"), "url")
FILES = frozenset((*LIVENESS_DATA.files, *SELFIE.files))


@dataclass(frozen=True, slots=True)
class Call:
    """One request, understood as far as its method and its caller."""

    fields: Fields
    request_id: str

    def text(self, name: str) -> str:
        """A parameter; empty where there is none."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    @property
    def owner(self) -> str:
        """Whose uploads it may name."""
        return self.text(API_ID)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer needs to know of its question.

    `told` makes the answer's fields; `bad_input` is the status of an input that cannot be judged;
    `give_back` is called when there is no verdict: its container may come again.
    """

    told: Callable[[Answer], dict[str, Any]]
    bad_input: LinkfaceStatus
    give_back: Callable[[], None] | None = None


Method = Callable[[Call], Question | Fetch | HttpAnswer]


class Plugin:
    """The dialect."""

    name = "linkface"
    prefixes = ("/hackness/", "/liveness/", "/resources/", "/identity/", "/ocr/", "/data/", "/face/")
    credentials = "linkface.apps"

    def __init__(self, config: Config, *, now_s: Callable[[], float] = time.time) -> None:
        """Know the callers and the devices; what was recorded until now is too old."""
        own = config.linkface
        self.is_authenticated = own.needs_secret
        self._limits = config.limits
        self._actions = config.actions
        self._needs_challenge = config.challenge.required
        self._fetch_s = config.urls.timeout_s
        self._max_bytes = config.http.max_body_mib << 20
        self._accounts = Accounts(own.apps, now_s)
        self._reader = RecordingReader(config)
        # Apart: whoever seals nothing could fill the memory of those who do.
        self._sealed, self._open = (Nonces(own.data_window_s, now_s=now_s) for _ in range(2))
        self._shelf = Shelf((own.uploads_mib << 20) if own.uploads else 0, own.upload_ttl_s)
        self._methods: dict[str, Method] = {
            "/hackness/liveness_hack_detect": self._liveness_hack_detect,
            "/hackness/selfie_hack_detect": self._selfie_hack_detect,
            "/liveness/check_liveness": self._check_liveness,
            "/resources/upload_liveness_data": self._upload_liveness_data,
        }
        self.routes = tuple(Route("POST", path) for path in (*self._methods, *NOT_HERE))

    def authenticate(self, head: Head) -> None:
        """Id and secret, where the query has them; who sends no body, either, has none."""
        if not self.is_authenticated:
            return
        fields = query_fields(head)
        if _has_credentials(fields) or not _has_body(head):
            self._enter(fields)

    def parse(self, head: Head, body: bytes) -> Question | Fetch | HttpAnswer:
        """The caller, where the body names it, then the message."""
        fields = all_fields(head, body, files=FILES)
        if self.is_authenticated and not _has_credentials(query_fields(head)):
            self._enter(fields)
        if why := NOT_HERE.get(head.path):
            raise LinkfaceError(LinkfaceStatus.NO_PERMISSION, why)
        method = self._methods.get(head.path)
        if method is None:
            raise LinkfaceError(LinkfaceStatus.NOT_FOUND, f"{head.path[:200]} is not served here")
        return method(Call(fields, head.request_id))

    def render(self, request: Question, answer: Answer) -> HttpAnswer:
        """The cloud's answer; a face that cannot be judged is one of its errors."""
        asked = request.context
        told = asked.told(answer) if isinstance(asked, Asked) else hack_fields(answer)
        return answer_of(request.request_id, told)

    def render_error(self, error: LiveGateError, request: Question | None) -> HttpAnswer:
        """The cloud's failure."""
        asked = request.context if request is not None else None
        bad_input = None
        if isinstance(asked, Asked):
            bad_input = asked.bad_input
            if asked.give_back is not None:
                asked.give_back()
        return failure_answer(error, bad_input, is_understood=request is not None)

    def _enter(self, fields: Fields) -> None:
        given = (fields.get(name, "") for name in (API_ID, API_SECRET))
        self._accounts.enter(*(one if isinstance(one, str) else "" for one in given))

    def _liveness_hack_detect(self, call: Call) -> Question | Fetch | HttpAnswer:
        def ask(content: bytes) -> Question:
            told = self._hack_told(call, content, "liveness_data_id")
            return self._about(call, self._read(content), told)

        return self._with_input(call, LIVENESS_DATA, ask)

    def _selfie_hack_detect(self, call: Call) -> Question | Fetch | HttpAnswer:
        def ask(content: bytes) -> Question:
            self._check_selfie(content)
            told = self._hack_told(call, content, "image_id")
            asked = Asked(told, LinkfaceStatus.CORRUPT_IMAGE)
            return _pictures_question((content,), call.request_id, asked)

        return self._with_input(call, SELFIE, ask)

    def _check_liveness(self, call: Call) -> Question | Fetch | HttpAnswer:
        if self._needs_challenge:
            why = "this box takes videos of motions only as answers to its own challenges"
            raise LinkfaceError(LinkfaceStatus.NO_PERMISSION, why)
        motions = wanted_motions(call.text("motions"))
        complexity = complexity_from_text(call.text("complexity"))
        anti_hack = truth_from_text("anti_hack", call.text("anti_hack"))

        def told(answer: Answer) -> dict[str, Any]:
            if not isinstance(answer, VideoVerdict):
                raise TypeError("check_liveness was answered without a video")
            check = check_motions(motions, complexity, answer, self._actions)
            result = motion_fields(check)
            return {**result, "anti_hack_result": hack_fields(answer)} if anti_hack else result

        def ask(content: bytes) -> Question:
            recording = self._read(content)
            if not recording.video:
                raise _wrong("check_liveness looks at a video, and this is a picture")
            if recording.motions and recording.motions != motions:
                raise _wrong(f"the container was made for the motions {' '.join(recording.motions)}")
            return self._about(call, recording, told)

        return self._with_input(call, VIDEO, ask, timeout_s=min(FETCH_VIDEO_S, 2 * self._fetch_s))

    def _upload_liveness_data(self, call: Call) -> Question | Fetch | HttpAnswer:
        def keep(content: bytes) -> HttpAnswer:
            self._read(content)
            name = self._shelf.put(call.owner, content)
            # The cloud's table says liveness_data_id, its sample image_id.
            return answer_of(call.request_id, {"liveness_data_id": name, "image_id": name})

        return self._with_input(call, UPLOAD, keep)

    def _with_input(
        self,
        call: Call,
        inputs: Inputs,
        then: Callable[[bytes], Question | HttpAnswer],
        *,
        timeout_s: float | None = None,
    ) -> Question | Fetch | HttpAnswer:
        """What follows from the input: at once where it is here, else when it is fetched."""
        name = inputs.given(call.fields)
        value = call.fields[name]
        if name == inputs.url:
            return self._fetch(call.text(name), then, timeout_s or min(FETCH_S, self._fetch_s))
        if name == inputs.stored:
            return then(self._stored(call, name))
        if isinstance(value, str):
            raise RequestError(ErrorCode.PARAM_FAILURE, f"{name!r} is a file of a multipart form")
        return then(value)

    def _fetch(
        self, url: str, then: Callable[[bytes], Question | HttpAnswer], timeout_s: float
    ) -> Fetch:
        if not url.lower().startswith(("http://", "https://")):
            raise LinkfaceError(LinkfaceStatus.DOWNLOAD_ERROR, "it is no http or https URL")
        return Fetch(url, self._max_bytes, timeout_s, then)

    def _stored(self, call: Call, name: str) -> bytes:
        content = self._shelf.get(call.owner, call.text(name))
        if content is not None:
            return content
        is_image = name == SELFIE.stored
        row = LinkfaceStatus.IMAGE_ID_NOT_EXIST if is_image else LinkfaceStatus.INVALID_ARGUMENT
        raise LinkfaceError(
            row,
            f"the {name} is unknown or has expired",
            hint="send the file; the operator can have uploads kept (linkface.uploads)",
        )

    def _hack_told(self, call: Call, content: bytes, id_name: str) -> Callable[[Answer], dict[str, Any]]:
        """The score, and the id of its input: the one it came by, or a new one, kept or not."""
        stored, owner = call.text(id_name), call.owner
        kept = content if self._shelf.is_open else b""  # else the answer would hold on to the file

        def told(answer: Answer) -> dict[str, Any]:
            fields = hack_fields(answer)
            if "score" not in fields:
                return fields
            return {**fields, id_name: stored or self._shelf.put(owner, kept)}

        return told

    def _read(self, content: bytes) -> Recording:
        try:
            return self._reader.read(content)
        except RequestError as error:
            raise _wrong(error.message, error.hint) from error

    def _about(
        self, call: Call, recording: Recording, told: Callable[[Answer], dict[str, Any]]
    ) -> Question:
        """The question about a recording, which nobody else may ask from now on."""
        give_back = None
        if recording.nonce is not None:
            known = self._sealed if recording.is_sealed else self._open
            try:
                known.claim(recording.nonce, recording.created_ms)
            except RequestError as error:
                raise _wrong(error.message, error.hint) from error
            give_back = partial(known.release, recording.nonce)
        asked = Asked(told, LinkfaceStatus.WRONG_LIVENESS_DATA, give_back)
        if recording.images:
            return _pictures_question(recording.images, call.request_id, asked)
        return VerifyRequest(
            code=CODE_VERIFY,
            task_id="",
            actions=(),
            video=recording.video,
            request_id=call.request_id,
            needs_actions=False,
            context=asked,
        )

    def _check_selfie(self, image: bytes) -> None:
        limit = min(MAX_IMAGE_BYTES, self._limits.max_image_bytes)
        if len(image) > limit:
            fact = f"the picture has {len(image)} bytes, the limit is {limit}"
            raise LinkfaceError(LinkfaceStatus.IMAGE_FILE_SIZE_TOO_BIG, fact)
        try:
            checked_header(image, self._limits, name="the picture")
        except RequestError as error:
            is_known = read_header(image) is not None or is_other_picture(image)
            row = (
                LinkfaceStatus.INVALID_IMAGE_FORMAT_OR_SIZE if is_known else LinkfaceStatus.CORRUPT_IMAGE
            )
            raise LinkfaceError(row, error.message, hint=error.hint) from error


def _pictures_question(images: tuple[bytes, ...], this_id: str, asked: Asked) -> AnalyzeRequest:
    return AnalyzeRequest(
        code=CODE_ANALYZE,
        task_id="",
        algo_tasks=(LIVENESS,),
        images=images,
        request_id=this_id,
        context=asked,
    )


def _has_credentials(fields: Fields) -> bool:
    return bool(fields.get(API_ID)) and bool(fields.get(API_SECRET))


def _has_body(head: Head) -> bool:
    length = head.headers.get("content-length", "0")
    return "transfer-encoding" in head.headers or length.strip("0") != ""


def _wrong(reason: str, hint: str = "") -> LinkfaceError:
    return LinkfaceError(LinkfaceStatus.WRONG_LIVENESS_DATA, reason, hint=hint)
