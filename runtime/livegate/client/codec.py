"""Protobuf on the client's side; no other file of the client knows it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import Box, Decision, DetectedFace, EngineInfo, Face
from livegate.v1 import liveness_pb2 as pb

# Statuses that gRPC itself gives, without our details.
BY_STATUS = {
    grpc.StatusCode.UNAVAILABLE: ErrorCode.CONNECTION_FAILURE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorCode.TIMEOUT,
    grpc.StatusCode.CANCELLED: ErrorCode.CONNECTION_CLOSE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorCode.OUT_OF_RANGE,
}


@dataclass(frozen=True, slots=True)
class Result:
    """One algorithm's word: score 0..1 (-1 = no face), decision, reasons, one score an image."""

    algo_task: int
    score: float
    decision: Decision
    reasons: tuple[str, ...]
    image_scores: tuple[float, ...]
    threshold: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the box said. `stages_ms`: where the time went; `engines`: what ran on which provider."""

    code: int
    task_id: str
    request_id: str
    timestamp_ms: int
    width: int
    height: int
    results: tuple[Result, ...]
    faces: tuple[DetectedFace, ...]
    engines: tuple[EngineInfo, ...]
    stages_ms: dict[str, float]


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
    message = pb.AnalyzeResponse.FromString(content)
    return Answer(
        code=message.code,
        task_id=message.task_id,
        request_id=message.request_id,
        timestamp_ms=message.timestamp,
        width=message.src_width,
        height=message.src_height,
        results=tuple(_result(result) for result in message.results),
        faces=tuple(_face(found) for found in message.detect_objects),
        engines=tuple(_engine(engine) for engine in message.engines),
        stages_ms={field.name: value for field, value in message.stages.ListFields()},
    )


def status_from_bytes(content: bytes) -> dict[str, Any]:
    """Read a GetStatusResponse."""
    return MessageToDict(
        pb.GetStatusResponse.FromString(content),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


def error_from_call(error: grpc.RpcError) -> LiveGateError:
    """The box's own error with its code and hint, or what gRPC says when there was none."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            return _error_from_details(Status.FromString(value))
    code = BY_STATUS.get(error.code(), ErrorCode.FAILURE)
    return LiveGateError(code, f"{error.code().name}: {error.details()}")


def _error_from_details(status: Status) -> LiveGateError:
    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    fields = dict(info.metadata)
    code = ErrorCode.from_number(int(fields.pop("code", "0")))
    message = status.message.removeprefix(f"{code.english}: ")
    return LiveGateError(code, message, hint=fields.pop("hint", ""), fields=fields)


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


def _engine(message: pb.Engine) -> EngineInfo:
    """The same few engines stand in every answer; reading them once is enough."""
    return _engine_from_bytes(message.SerializeToString())


def _result(message: pb.Result) -> Result:
    return Result(
        algo_task=int(message.algo_type),
        score=message.score,
        decision=Decision(pb.Decision.Name(message.decision).removeprefix("DECISION_")),
        reasons=tuple(message.reasons),
        image_scores=tuple(message.image_scores),
        threshold=message.threshold,
    )


def _face(found: pb.DetectObject) -> DetectedFace:
    box = Box(found.box.x, found.box.y, found.box.width, found.box.height)
    landmarks = tuple((point.x, point.y) for point in found.landmarks)
    return DetectedFace(found.image_index, Face(box, landmarks, found.score))
