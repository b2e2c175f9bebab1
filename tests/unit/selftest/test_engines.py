"""Every network on what is here: what strays, crashes or is missing is told, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from livegate.selftest.engines import ProofAnswer, prove_engines
from livegate.selftest.report import Check, EngineRun, Status
from livegate.selftest.stage import Choice, Found
from selftest_parts import PlantedCourse, course
from support import config_with

CHOICES = tuple(
    Choice(
        model=model, task=task, backend="onnxruntime", provider="cpu", computes=True,
        precisions=dict.fromkeys(networks, "fp32"), is_for_pilots=True,
    )
    for model, task, networks in (
        ("lg_detect", "face_detection", ("detector",)),
        ("lg_silent", "silent_liveness", ("face", "context")),
    )
)  # fmt: skip


def found_by(made: PlantedCourse) -> tuple[Check, Check, dict[str, EngineRun]]:
    made.choices = CHOICES
    found: Found = prove_engines(made)
    engines, gate = found.checks
    return engines, gate, {run.name: run for run in found.engines}


def test_every_network_is_proved_on_every_backend_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its stray, its times, and whether it is what would serve."""
    engines, gate, runs = found_by(course(monkeypatch, config_with()))
    assert (engines.status, gate.status) == (Status.PASS, Status.PASS), engines.reason + gate.reason
    for backend, is_chosen in (("onnxruntime", True), ("openvino", False)):
        run = runs[f"lg_silent/context on {backend}/cpu in fp32"]
        assert (run.status, run.is_chosen) == (Status.PASS, is_chosen)
        assert 0 <= run.stray <= run.tolerance
        assert run.run_ms > 0
    absent = [run for run in runs.values() if run.backend == "tensorrt"]
    assert all(run.status is Status.NOT_RUN and run.reason for run in absent)
    assert absent


def test_network_that_strays_or_crashes_fails_and_the_others_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The figure and the tolerance of one, the signal of the other; what is right passes beside them."""
    engines, gate, runs = found_by(course(monkeypatch, config_with(), engines="wrong_engines"))
    crashed = runs["lg_detect/detector on onnxruntime/cpu in fp32"]
    assert (crashed.status, engines.status) == (Status.FAIL, Status.FAIL)
    assert "SIGSEGV" in crashed.reason
    assert crashed.reason in engines.reason
    strayed = runs["lg_silent/context on onnxruntime/cpu in fp32"]
    assert (strayed.status, gate.status) == (Status.FAIL, Status.FAIL)
    assert "allowed are 0.0001 in fp32" in gate.reason
    assert strayed.reason in gate.reason
    assert strayed.reason not in engines.reason
    assert runs["lg_silent/face on onnxruntime/cpu in fp32"].status is Status.PASS


def answers_with(*runs: EngineRun) -> Iterator[ProofAnswer]:
    return (ProofAnswer(ends=run) for run in runs)


def test_choice_that_did_not_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would serve has to have run, whatever else did."""
    made = course(monkeypatch, config_with())
    made.choices = CHOICES
    passed = EngineRun(
        model="lg_detect", network="detector", backend="onnxruntime", version="1", provider="cpu",
        precision="fp32", is_chosen=True, status=Status.PASS, stray=0.0, tolerance=1e-4,
    )  # fmt: skip
    monkeypatch.setattr(PlantedCourse, "apart", lambda *asked, **wait: answers_with(passed))
    engines = prove_engines(made).checks[0]
    assert engines.status is Status.FAIL
    assert engines.reason == "lg_silent did not run on onnxruntime/cpu"
