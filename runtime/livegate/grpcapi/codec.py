"""Protobuf bytes to our values and back; no other file of this face knows protobuf."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus
from grpc import StatusCode

from livegate import __version__
from livegate.core.errors import ERROR_DOMAIN, ErrorCode, LiveGateError, RequestError
from livegate.core.request import AnalyzeRequest
from livegate.core.results import Analysis, DetectedFace, EngineInfo, StageTimes, Verdict
from livegate.service.liveness import Status
from livegate.service.reload import ModelWish, Reloaded
from livegate.v1 import liveness_pb2 as pb

M = TypeVar("M", bound=Message)
STATUS_DETAILS = "grpc-status-details-bin"
RETRY_AFTER_MS = 200
SERVICE = "livegate.v1.LivenessService"


def read_message(kind: type[M], content: bytes) -> M:
    """A message of the contract.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no such message.
    """
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise RequestError(
            ErrorCode.INVALID_PARAM,
            f"the message is not a {kind.DESCRIPTOR.full_name}",
            hint="use the stubs made of proto/livegate/v1/liveness.proto",
        ) from error


def request_from_bytes(content: bytes, *, request_id: str, deadline_ns: int | None) -> AnalyzeRequest:
    """Read an AnalyzeRequest message.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no such message.
    """
    message = read_message(pb.AnalyzeRequest, content)
    return AnalyzeRequest(
        code=message.code,
        task_id=message.task_id,
        algo_tasks=tuple(task.algo_task for task in message.algo_tasks),
        images=tuple(message.image_list),
        request_id=request_id,
        deadline_ns=deadline_ns,
    )


def bytes_from_analysis(analysis: Analysis) -> bytes:
    """Write an AnalyzeResponse message."""
    message = pb.AnalyzeResponse(
        code=analysis.code,
        task_id=analysis.task_id,
        timestamp=analysis.timestamp_ms,
        src_width=analysis.src_width,
        src_height=analysis.src_height,
        frame_width=analysis.src_width,
        frame_height=analysis.src_height,
        results=[result_message(verdict) for verdict in analysis.verdicts],
        detect_objects=[object_message(f) for verdict in analysis.verdicts for f in verdict.faces],
        engines=[engine_message(engine) for engine in analysis.engines],
        stages=stages_message(analysis.stages),
        request_id=analysis.request_id,
    )
    return message.SerializeToString()


def bytes_from_status(status: Status, cameras: Iterable[pb.Camera]) -> bytes:
    """Write a GetStatusResponse message."""
    message = pb.GetStatusResponse(
        version=__version__,
        state=status.state.value,
        workers=status.workers,
        running=status.running,
        queue_depth=status.queue_depth,
        queue_capacity=status.queue_capacity,
        algo_tasks=status.algo_tasks,
        engines=[engine_message(engine) for engine in status.engines],
        cameras=cameras,
    )
    return message.SerializeToString()


def wish_from_bytes(content: bytes) -> ModelWish:
    """Read a ReloadModelsRequest message.

    Raises:
        RequestError: INVALID_PARAM when the bytes are no such message.
    """
    message = read_message(pb.ReloadModelsRequest, content)
    return ModelWish(message.pack, dict(message.use))


def bytes_from_reloaded(reloaded: Reloaded) -> bytes:
    """Write a ReloadModelsResponse message."""
    message = pb.ReloadModelsResponse(
        engines=[engine_message(engine) for engine in reloaded.engines],
        algo_tasks=reloaded.algo_tasks,
        drained=reloaded.is_drained,
    )
    return message.SerializeToString()


def grpc_status(error: LiveGateError) -> StatusCode:
    """The gRPC status of an error."""
    status: StatusCode = StatusCode[error.code.grpc_status]
    return status


def error_trailer(error: LiveGateError) -> tuple[str, bytes]:
    """The trailing metadata that carries google.rpc.ErrorInfo, and RetryInfo where retrying helps."""
    info = ErrorInfo(
        reason=error.code.symbol,
        domain=ERROR_DOMAIN,
        metadata={"code": str(int(error.code)), "hint": error.hint, **error.fields},
    )
    details: list[ErrorInfo | RetryInfo] = [info]
    if error.code in (ErrorCode.QUEUE_FULL, ErrorCode.FULL):
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(RETRY_AFTER_MS)
        details.append(retry)
    status = RpcStatus(code=grpc_status(error).value[0], message=error.text)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return STATUS_DETAILS, status.SerializeToString()


def stages_message(stages: StageTimes) -> pb.StageTimes:
    """Where the time went."""
    return pb.StageTimes(**{name: ns / 1e6 for name, ns in stages.items()})


def result_message(verdict: Verdict) -> pb.Result:
    """One algorithm's word."""
    return pb.Result(
        algo_type=str(verdict.algo_task),
        score=verdict.score,
        decision=f"DECISION_{verdict.decision.value}",
        reasons=[reason.value for reason in verdict.reasons],
        image_scores=verdict.image_scores,
        threshold=verdict.threshold,
    )


def object_message(found: DetectedFace) -> pb.DetectObject:
    """One face."""
    box = found.face.box
    return pb.DetectObject(
        image_index=found.image_index,
        box=pb.Box(x=box.x, y=box.y, width=box.width, height=box.height),
        landmarks=[pb.Point(x=x, y=y) for x, y in found.face.landmarks],
        score=found.face.score,
    )


@functools.lru_cache(maxsize=64)
def engine_message(engine: EngineInfo) -> pb.Engine:
    """The same few engines stand in every answer; adding the message copies it."""
    return pb.Engine(
        model_id=engine.model_id,
        network=engine.network,
        sha256=engine.sha256,
        backend=engine.backend,
        provider_asked=engine.provider_asked,
        provider=engine.provider,
        precision=engine.precision,
    )
