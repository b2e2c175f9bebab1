"""What the client writes and reads: questions and errors."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from frame_queue_kit import refused
from livegate.client.codec import (
    RETRY_DELAY_S,
    answer_from_bytes,
    error_from_call,
    request_bytes,
    status_from_bytes,
)
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import Decision
from livegate.grpcapi.codec import RETRY_AFTER_MS, error_trailer, grpc_status
from livegate.v1 import liveness_pb2 as pb


class Failed:
    """An RpcError as error_from_call sees it."""

    def __init__(self, status: grpc.StatusCode, details: str, *trailer: tuple[str, bytes]) -> None:
        self._status, self._details, self._trailer = status, details, trailer

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return self._trailer


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.OK])
def test_error_survives_the_wire(code: ErrorCode) -> None:
    """Number, message, hint and fields come out as the server put them in."""
    error = LiveGateError(code, "2 of 3", hint="do this", fields={"model": "m"})
    found = error_from_call(Failed(grpc_status(error), error.text, error_trailer(error)))
    assert (found.code, found.message, found.hint) == (code, "2 of 3", "do this")
    asked = {RETRY_DELAY_S: f"{RETRY_AFTER_MS / 1e3:g}"}
    is_full = code in (ErrorCode.QUEUE_FULL, ErrorCode.FULL)
    assert found.fields == {"model": "m", **(asked if is_full else {})}


def trailer(domain: str, **fields: str) -> tuple[str, bytes]:
    """Details as a gateway puts them."""
    status = Status(code=14, message="upstream")
    status.details.add().Pack(ErrorInfo(reason="X", domain=domain, metadata=fields))
    return "grpc-status-details-bin", status.SerializeToString()


@pytest.mark.parametrize(
    "found",
    [
        trailer("gateway.example"),
        trailer("gateway.example", code="1010"),
        trailer("livegate"),
        trailer("livegate", code="none"),
        ("grpc-status-details-bin", b"\xff\xff"),
    ],
)
def test_details_that_are_not_the_boxs_do_not_count(found: tuple[str, bytes]) -> None:
    """A gateway's own error is one, not code 0, and breaks nobody who waits."""
    error = error_from_call(Failed(grpc.StatusCode.UNAVAILABLE, "no upstream", found))
    assert error.code is ErrorCode.CONNECTION_FAILURE
    assert "no upstream" in error.message


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.UNAVAILABLE, ErrorCode.CONNECTION_FAILURE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, ErrorCode.TIMEOUT),
        (grpc.StatusCode.CANCELLED, ErrorCode.CONNECTION_CLOSE),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorCode.OUT_OF_RANGE),
        (grpc.StatusCode.DATA_LOSS, ErrorCode.FAILURE),
    ],
)
def test_transport_failure_has_a_number(status: grpc.StatusCode, code: ErrorCode) -> None:
    """Without details of ours the status decides."""
    found = error_from_call(Failed(status, "why"))
    assert found.code is code
    assert "why" in found.message


def test_analyze_request_is_what_the_contract_says() -> None:
    """Code, task, algorithms and pictures."""
    message = pb.AnalyzeRequest.FromString(request_bytes(1019, "t", (1031, 9001), [b"a", b"b"]))
    assert (message.code, message.task_id, list(message.image_list)) == (1019, "t", [b"a", b"b"])
    assert [task.algo_task for task in message.algo_tasks] == [1031, 9001]


def test_answer_with_a_decision_of_a_newer_box_is_refused() -> None:
    """It is not misread for another."""
    newer = pb.AnalyzeResponse(results=[pb.Result(algo_type="1031", decision=99)])
    with refused(ErrorCode.UNREALIZED):
        answer_from_bytes(newer.SerializeToString())


def test_answer_that_is_no_message_is_1004() -> None:
    """Another service answers at the address."""
    with refused(ErrorCode.INVALID_PARAM):
        answer_from_bytes(b"\xff\xff\xff")


def test_answer_is_read_in_full() -> None:
    """Results, faces and stages."""
    message = pb.AnalyzeResponse(
        code=1020,
        results=[pb.Result(algo_type="1031", score=0.5, decision=1, reasons=["R"], threshold=0.25)],
        detect_objects=[pb.DetectObject(image_index=1, score=0.75, landmarks=[pb.Point(x=1, y=2)])],
        stages=pb.StageTimes(infer=2.5),
    )
    found = answer_from_bytes(message.SerializeToString())
    assert found.results[0].decision is Decision.GENUINE
    assert found.results[0].reasons == ("R",)
    assert found.faces[0].face.landmarks == ((1.0, 2.0),)
    assert found.stages_ms == {"infer": 2.5}


def test_status_has_numbers_as_numbers() -> None:
    """protobuf's JSON writes 64-bit numbers as text."""
    message = pb.GetStatusResponse(state="READY", cameras=[pb.Camera(name="door", since=1 << 41)])
    found = status_from_bytes(message.SerializeToString())
    assert (found["state"], found["cameras"][0]["since"]) == ("READY", 1 << 41)
