"""Results, from the pipeline's words to the producer's."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from livegate.core.errors import ErrorCode, RequestError
from livegate.core.resources import resource_dir
from livegate.core.results import Box, Decision, GateDecision
from livegate.shm.layout import DropReason, decode, encode
from livegate.shm.outcome import (
    CODES,
    DECISION_NUMBERS,
    DROP_CODES,
    GATE_NUMBERS,
    Outcome,
    frame_result_from,
    result_from_outcome,
)


@pytest.mark.parametrize("decision", [None, *Decision])
def test_outcome_survives_the_wire(decision: Decision | None) -> None:
    """Every decision comes out as it went in."""
    box = Box(1.5, 2.5, 30.0, 40.0)
    outcome = Outcome(ErrorCode.OK, decision, 0.25, 1031, 2, box)
    result = result_from_outcome(outcome, frame_id=9, slot=1, generation=4, queue_ns=5, work_ns=6)
    found = frame_result_from(decode(encode(result))[1])  # type: ignore[arg-type]
    assert found.outcome == outcome
    assert (found.frame_id, found.reason, found.queue_ns, found.work_ns) == (
        9, DropReason.JUDGED, 5, 6,
    )  # fmt: skip
    assert found.has_verdict is (decision is not None)


@pytest.mark.parametrize("gate", [None, *GateDecision])
def test_outcome_word_of_the_gate_survives_the_wire(gate: GateDecision | None) -> None:
    """Every word comes out as it went in; no word stays no word."""
    outcome = Outcome(decision=Decision.GENUINE, score=0.75, algo_task=1031, faces=1, gate=gate)
    result = result_from_outcome(outcome, frame_id=9, slot=1, generation=4)
    assert frame_result_from(decode(encode(result))[1]).outcome == outcome  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ErrorCode)
def test_outcome_with_an_error_is_no_verdict(code: ErrorCode) -> None:
    """Whatever went wrong, a gate stays shut."""
    result = result_from_outcome(Outcome(code=code), frame_id=1, slot=0, generation=1)
    found = frame_result_from(result)
    assert found.outcome.code is code
    assert not found.has_verdict


def test_tables_have_every_member() -> None:
    """No decision, reason or code without its number."""
    assert set(DECISION_NUMBERS) == set(Decision)
    assert len(set(DECISION_NUMBERS.values())) == len(Decision)
    assert set(GATE_NUMBERS) == set(GateDecision)
    assert len(set(GATE_NUMBERS.values())) == len(GateDecision)
    assert set(DROP_CODES) == set(DropReason)
    assert set(CODES.values()) == set(ErrorCode)


def test_numbers_are_those_of_header_and_proto() -> None:
    """One numbering for the frame queue and for gRPC."""
    header = (resource_dir("proto") / "livegate_shm.h").read_text()
    proto = (resource_dir("proto") / "livegate" / "v1" / "liveness.proto").read_text()
    for decision, number in DECISION_NUMBERS.items():
        assert f"LIVEGATE_SHM_{decision.value} = {number}" in header
        assert f"DECISION_{decision.value} = {number};" in proto
    for gate, number in GATE_NUMBERS.items():
        assert f"LIVEGATE_SHM_{gate.value} = {number}" in header
        assert f"GATE_DECISION_{gate.value} = {number};" in proto


@pytest.mark.parametrize("field", ["code", "reason", "decision", "gate"])
def test_result_with_an_unknown_number_is_refused(field: str) -> None:
    """A newer server is not misread."""
    result = result_from_outcome(Outcome(), frame_id=1, slot=0, generation=1)
    with pytest.raises(RequestError) as caught:
        frame_result_from(replace(result, **{field: 999}))
    assert caught.value.code is ErrorCode.UNREALIZED
