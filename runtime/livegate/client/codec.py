"""Questions, answers and errors in protobuf; streamcodec.py has the rest that the client knows of it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from livegate.client.answers import Answer, ModelsReloaded, Result
from livegate.core.errors import ERROR_DOMAIN, ErrorCode, LiveGateError, RequestError
from livegate.core.results import Box, Decision, DetectedFace, EngineInfo, Face
from livegate.v1 import liveness_pb2 as pb

# Statuses that gRPC itself gives, without our details.
BY_STATUS = {
    grpc.StatusCode.UNAVAILABLE: ErrorCode.CONNECTION_FAILURE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorCode.TIMEOUT,
    grpc.StatusCode.CANCELLED: ErrorCode.CONNECTION_CLOSE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorCode.OUT_OF_RANGE,
}
TOO_MANY_CALLS = "Concurrent RPC limit"
"""What gRPC says of a call too many, under the status of a message that is too large."""
RETRY_DELAY_S = "retry_delay_s"
"""The field of an error that says how long the box wants not to be asked again."""
M = TypeVar("M", bound=Message)


def request_bytes(code: int, task_id: str, tasks: Sequence[int], images: Sequence[bytes]) -> bytes:
    """Write an AnalyzeRequest."""
    message = pb.AnalyzeRequest(
        code=code,
        task_id=task_id,
        algo_tasks=[pb.AlgoTask(algo_task=task) for task in tasks],
        image_list=images,
    )
    return message.SerializeToString()


def answer_from_bytes(content: bytes) -> Answer:
    """Read an AnalyzeResponse."""
    message = parsed(pb.AnalyzeResponse, content)
    return Answer(
        code=message.code,
        task_id=message.task_id,
        request_id=message.request_id,
        timestamp_ms=message.timestamp,
        width=message.src_width,
        height=message.src_height,
        results=tuple(result_from_proto(result) for result in message.results),
        faces=tuple(face_from_proto(found) for found in message.detect_objects),
        engines=tuple(engine_from_proto(engine) for engine in message.engines),
        stages_ms=stages_from_proto(message.stages),
    )


def status_from_bytes(content: bytes) -> dict[str, Any]:
    """Read a GetStatusResponse."""
    status = MessageToDict(
        parsed(pb.GetStatusResponse, content),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    for camera in status["cameras"]:
        camera["since"] = int(camera["since"])  # protobuf writes 64 bits as text
    return status


def reload_bytes(pack: str, use: Mapping[str, str]) -> bytes:
    """Write a ReloadModelsRequest."""
    return pb.ReloadModelsRequest(pack=pack, use=use).SerializeToString()


def reloaded_from_bytes(content: bytes) -> ModelsReloaded:
    """Read a ReloadModelsResponse."""
    message = parsed(pb.ReloadModelsResponse, content)
    return ModelsReloaded(
        engines=tuple(engine_from_proto(engine) for engine in message.engines),
        algo_tasks=tuple(message.algo_tasks),
        is_drained=message.drained,
    )


def error_from_call(error: Any) -> LiveGateError:
    """The box's own error with its code and hint, or what gRPC says when there was none."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            with contextlib.suppress(DecodeError, ValueError):  # somebody else's, between the box and us
                return _error_from_details(Status.FromString(value))
    code = BY_STATUS.get(error.code(), ErrorCode.FAILURE)
    if TOO_MANY_CALLS in (error.details() or ""):
        code = ErrorCode.FULL
    return LiveGateError(code, f"{error.code().name}: {error.details()}")


def parsed(kind: type[M], content: bytes) -> M:
    """A message that the box sent.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no such message.
    """
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise RequestError(
            ErrorCode.INVALID_PARAM, f"the box sent something that is no {kind.__name__}"
        ) from error


def unknown_word(error: Exception) -> RequestError:
    """A newer box must not be misread."""
    return RequestError(
        ErrorCode.UNREALIZED,
        f"the box says something that this client does not know: {error}",
        hint="update livegate on this side",
    )


def _error_from_details(status: Status) -> LiveGateError:
    """Raises ValueError for details that are not the box's."""
    info, retry = ErrorInfo(), RetryInfo()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    fields = dict(info.metadata)
    code = ErrorCode.from_number(int(fields.pop("code", "0")))
    if info.domain != ERROR_DOMAIN or code is ErrorCode.OK:
        raise ValueError(f"these are details of {info.domain}")
    message = status.message.removeprefix(f"{code.english}: ")
    hint = fields.pop("hint", "")
    if retry.HasField("retry_delay"):
        fields[RETRY_DELAY_S] = f"{retry.retry_delay.ToMilliseconds() / 1e3:g}"
    return LiveGateError(code, message, hint=hint, fields=fields)


@functools.lru_cache(maxsize=64)
def _engine_from_bytes(content: bytes) -> EngineInfo:
    message = pb.Engine.FromString(content)
    return EngineInfo(
        model_id=message.model_id,
        network=message.network,
        sha256=message.sha256,
        backend=message.backend,
        provider_asked=message.provider_asked,
        provider=message.provider,
        precision=message.precision,
    )


def engine_from_proto(message: pb.Engine) -> EngineInfo:
    """The same few engines stand in every answer; reading them once is enough."""
    return _engine_from_bytes(message.SerializeToString())


def stages_from_proto(message: pb.StageTimes) -> dict[str, float]:
    """Milliseconds by stage; those that took no time are left out."""
    return {field.name: value for field, value in message.ListFields()}


def result_from_proto(message: pb.Result) -> Result:
    """One algorithm's word.

    Raises:
        RequestError: UNREALIZED for an algorithm or a decision that this side does not know.
    """
    try:
        algo_task = int(message.algo_type)
        decision = Decision(pb.Decision.Name(message.decision).removeprefix("DECISION_"))
    except ValueError as error:
        raise unknown_word(error) from error
    return Result(
        algo_task=algo_task,
        score=message.score,
        decision=decision,
        reasons=tuple(message.reasons),
        image_scores=tuple(message.image_scores),
        threshold=message.threshold,
    )


def face_from_proto(found: pb.DetectObject) -> DetectedFace:
    """A face, and which picture it was found in."""
    box = Box(found.box.x, found.box.y, found.box.width, found.box.height)
    landmarks = tuple((point.x, point.y) for point in found.landmarks)
    return DetectedFace(found.image_index, Face(box, landmarks, found.score))
