"""AIPaaS: POST /aipaas/live/v1/detection/silent.

Requests are camelCase, answers snake_case; 1019 is answered by 1020; algo_task and algo_type are
text in the answer and numbers in the request. What the contract leaves open (several pictures, the
shape of failures, HTTP statuses) is decided in docs/dialects/aipaas.md.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.request import CODE_ANALYZE, AnalyzeRequest, Question
from livegate.core.results import Analysis, Answer, DetectedFace, Verdict
from livegate.gateway.auth import SignatureCheck
from livegate.gateway.base64text import bytes_from_base64
from livegate.gateway.dialect import Head, HttpAnswer, Route
from livegate.gateway.distinct import require_distinct
from livegate.gateway.ratelimit import TokenBucket

# Before a message is understood these stay what HTTP calls them; everything else is an answer of
# the algorithm and travels with 200, as the cloud's own clients expect.
GATEWAY_CODES = frozenset(
    (ErrorCode.NO_PERMISSION, ErrorCode.FULL, ErrorCode.OUT_OF_RANGE, ErrorCode.TIMEOUT)
)


class AlgoTask(msgspec.Struct):
    """One algorithm; its algoConfig changes nothing, whatever it holds."""

    algoTask: int  # noqa: N815 - the contract's spelling


class Image(msgspec.Struct):
    """One picture in base64."""

    image: str


class Task(msgspec.Struct):
    """The task of a message."""

    taskId: Annotated[str, Meta(max_length=1024)]  # noqa: N815 - the contract's spelling
    algoTasks: list[AlgoTask]  # noqa: N815 - the contract's spelling
    imageList: list[Image]  # noqa: N815 - the contract's spelling


class Message(msgspec.Struct):
    """What the client sends; fields that we do not know are ignored."""

    code: int
    data: Task


class KnownTask(msgspec.Struct):
    """What can still be read of a task whose other fields are wrong."""

    taskId: str  # noqa: N815 - the contract's spelling


class KnownMessage(msgspec.Struct):
    """A message of which only the task's id is read."""

    data: KnownTask


class Plugin:
    """The dialect."""

    name = "aipaas"
    routes = (Route("POST", "/aipaas/live/v1/detection/silent"),)
    prefixes = ()  # a path beside the route is not the contract's, and gets no answer in its manner
    credentials = "aipaas.apps"

    def __init__(self, config: Config) -> None:
        """Know the apps."""
        self.is_authenticated = config.aipaas.is_signed
        names = (app.id for app in config.aipaas.apps)
        require_distinct(names, "aipaas.apps", hint="give each app one key")
        keys = {app.id: app.key for app in config.aipaas.apps}
        self._check = SignatureCheck(keys, config.aipaas.clock_window_s)
        self._buckets = {app.id: TokenBucket(app.rate_limit_rps) for app in config.aipaas.apps}
        self._decoder = msgspec.json.Decoder(Message)

    def authenticate(self, head: Head) -> None:
        """Signature, then the app's rate."""
        if self.is_authenticated:
            app_id = self._check.verify(head)
            self._buckets[app_id].take(f"app {app_id}")

    def parse(self, head: Head, body: bytes) -> AnalyzeRequest:
        """Read a message; base64 may have line breaks, nothing else that is not base64."""
        message = self._decode(body)
        task = message.data
        try:
            images = tuple(_decode_image(n, i.image) for n, i in enumerate(task.imageList, 1))
        except RequestError as error:
            error.fields["task_id"] = task.taskId
            raise
        return AnalyzeRequest(
            code=message.code,
            task_id=task.taskId,
            algo_tasks=tuple(algo.algoTask for algo in task.algoTasks),
            images=images,
            request_id=head.request_id,
        )

    def render(self, request: Question, answer: Answer) -> HttpAnswer:
        """The contract's success."""
        if not isinstance(answer, Analysis):
            raise TypeError("this dialect asks about pictures only")
        analysis, verdicts = answer, answer.verdicts
        body = {
            "code": analysis.code,
            "data": {
                "task_id": analysis.task_id,
                "frame_id": 0,
                "src_width": analysis.src_width,
                "src_height": analysis.src_height,
                "frame_width": analysis.src_width,
                "frame_height": analysis.src_height,
                "frame_pts": 0,
                "timestamp": analysis.timestamp_ms,
                "frame_image": "",
                "algo_task": ",".join(str(verdict.algo_task) for verdict in verdicts),
                "results": [_result(verdict) for verdict in verdicts],
                "detect_objects": [_object(f) for verdict in verdicts for f in verdict.faces],
            },
        }
        return HttpAnswer(200, msgspec.json.encode(body))

    def render_error(self, error: LiveGateError, request: Question | None) -> HttpAnswer:
        """The contract's failure: task_code and msg in data."""
        data = {"task_id": error.fields.get("task_id", "")} if "task_id" in error.fields else {}
        body = {
            "code": CODE_ANALYZE + 1,
            "data": {**data, "task_code": int(error.code), "msg": error.text},
        }
        is_gateways = request is None and error.code in GATEWAY_CODES
        status = error.code.http_status if is_gateways else 200
        return HttpAnswer(status, msgspec.json.encode(body))

    def _decode(self, body: bytes) -> Message:
        if not body.strip():
            raise RequestError(
                ErrorCode.INVALID_PARAM, "the body is empty", hint="send the JSON of the contract"
            )
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                str(error).replace("`$.", "`"),
                hint="docs/dialects/aipaas.md lists the fields",
                fields=_known_task(body),
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(
                ErrorCode.INVALID_PARAM,
                f"the body is not JSON: {error}",
                hint="send Content-Type application/json and a JSON object",
            ) from error


def _known_task(body: bytes) -> dict[str, str]:
    """The task's id, where that much of a wrong message can be read."""
    try:
        return {"task_id": msgspec.json.decode(body, type=KnownMessage).data.taskId[:1024]}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _decode_image(number: int, text: str) -> bytes:
    try:
        return bytes_from_base64(text)
    except ValueError as error:
        hint = "send the file's bytes in base64, without a data: prefix"
        raise RequestError(
            ErrorCode.DECODE_FAIL, f"image {number} is not base64: {error}", hint=hint
        ) from error


def _result(verdict: Verdict) -> dict[str, Any]:
    return {"algo_type": str(verdict.algo_task), "score": verdict.score}


def _object(found: DetectedFace) -> dict[str, Any]:
    """Ours: the contract's own 1031 always has an empty list here."""
    box = found.face.box
    return {
        "image_index": found.image_index,
        "score": found.face.score,
        "box": {"x": box.x, "y": box.y, "width": box.width, "height": box.height},
        "landmarks": [{"x": x, "y": y} for x, y in found.face.landmarks],
    }
