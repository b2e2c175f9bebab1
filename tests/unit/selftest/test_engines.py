"""Every network on what is here: what strays, crashes or is missing is told, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from livegate.app.build import build_store
from livegate.app.enginebuilds import EngineBuilds, missing_engines
from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.base import Capability
from livegate.manifests.store import ModelStore
from livegate.selftest.apart import PartLate
from livegate.selftest.engines import Proof, ProofAnswer, Prover, answers, prove_engines
from livegate.selftest.report import Check, EngineRun, Status
from livegate.selftest.stage import Choice, Found
from selftest_parts import PlantedCourse, course
from support import FakeBackend, config_with, shipped_manifest
from tensorrt_fake import install_tensorrt

Answers = Iterator[ProofAnswer]
CHOICES = tuple(
    Choice(
        model=model, task=task, backend="onnxruntime", provider="cpu", computes=True,
        precisions=dict.fromkeys(networks, "fp32"), is_for_pilots=True,
    )
    for model, task, networks in (
        ("lg_detect", "face_detection", ("detector",)),
        ("lg_silent", "silent_liveness", ("face", "context", "detail")),
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
        assert (run.preprocess, run.cuda_graphs) == ("cpu", "")
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


def passed_run(model: str, network: str) -> EngineRun:
    return EngineRun(
        model=model, network=network, backend="onnxruntime", version="1", provider="cpu",
        precision="fp32", is_chosen=True, status=Status.PASS, stray=0.0, tolerance=1e-4,
    )  # fmt: skip


def test_choice_that_did_not_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each network of what would serve has to have run, whatever else did: the time may have ended."""
    made = course(monkeypatch, config_with())
    made.choices = CHOICES
    others = (("lg_detect", "detector"), ("lg_silent", "face"), ("lg_silent", "detail"))
    passed = [passed_run(*one) for one in others]
    monkeypatch.setattr(PlantedCourse, "apart", lambda *asked, **wait: answers_with(*passed))
    engines = prove_engines(made).checks[0]
    assert engines.status is Status.FAIL
    assert engines.reason == "lg_silent/context did not run on onnxruntime/cpu in fp32"


def run_of(model: str, backend: str, *, is_chosen: bool) -> EngineRun:
    return EngineRun(
        model=model, network="n", backend=backend, version="1", provider="cpu", precision="fp32",
        is_chosen=is_chosen, status=Status.NOT_RUN,
    )  # fmt: skip


@pytest.mark.parametrize(("is_chosen", "status"), [(True, Status.FAIL), (False, Status.NOT_RUN)])
def test_network_that_takes_too_long_fails_only_where_it_was_chosen(
    monkeypatch: pytest.MonkeyPatch, is_chosen: bool, status: Status
) -> None:
    """The others are not waited for, and no part of what would serve."""
    asked: list[Proof] = []

    def apart(
        self: object, part: str, proof: Proof, kind: object, **wait: float
    ) -> Iterator[ProofAnswer]:
        asked.append(proof)
        if proof.backend == "onnxruntime" and not proof.tried:
            yield ProofAnswer(begins=run_of("slow", "onnxruntime", is_chosen=is_chosen))
            raise PartLate("it gave no answer in time")

    monkeypatch.setattr(PlantedCourse, "apart", apart)
    made = course(monkeypatch, config_with())
    (run,) = prove_engines(made).engines
    assert (run.model, run.status) == ("slow", status)
    assert [proof.tried for proof in asked if proof.backend == "onnxruntime"] == [(), (run.name,)]


def test_backend_of_the_choice_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time must not be spent on others."""
    asked: list[str] = []

    def apart(
        self: object, part: str, proof: Proof, kind: object, **wait: float
    ) -> Iterator[ProofAnswer]:
        asked.append(proof.backend)
        return iter(())

    monkeypatch.setattr(PlantedCourse, "apart", apart)
    made = course(monkeypatch, config_with())
    made.choices = tuple(msgspec.structs.replace(one, backend="openvino") for one in CHOICES)
    prove_engines(made)
    assert asked[0] == "openvino"
    assert "null" not in asked


def test_provider_that_builds_in_its_first_run_is_left_unless_it_was_chosen() -> None:
    """ONNX Runtime's TensorRT provider would take minutes for each network."""
    capability = Capability("onnxruntime", "1", ("tensorrt",), late=("tensorrt",))
    backend = FakeBackend(
        lambda network, feeds: {}, broken={"tensorrt": SetupError(ErrorCode.INIT_FAIL, "no")}
    )
    store, manifest = ModelStore(), shipped_manifest("lg_detect")
    for choices, status in (((), Status.NOT_RUN), (CHOICES, Status.FAIL)):
        chosen = tuple(msgspec.structs.replace(one, provider="tensorrt") for one in choices)
        proof = Proof(config_with(), "onnxruntime", chosen, ())
        answers = Prover(proof, backend, capability, store, manifest).answers()
        (ended,) = [answer.ends for answer in answers if answer.ends]
        assert ended.status is status
        assert ("first run" in ended.reason) is (not choices)


def test_engine_of_a_gpu_tells_whether_its_runs_were_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Networks of one shape are; with the key off the reason stands there."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    install_tensorrt(monkeypatch, "10.3.0")
    told = {}
    for has_graphs in (True, False):
        engine = {"use": {"lg_silent": "tensorrt"}, "cuda_graphs": has_graphs, "preprocess": "cpu"}
        config = config_with(engine=engine, server={"workers": 1})
        EngineBuilds().run(list(missing_engines(config, build_store(config))))
        asked = msgspec.json.encode(Proof(config, "tensorrt", (), ()))
        ends = [one.ends for one in answers(asked) if one.ends is not None]
        told[has_graphs] = {one.cuda_graphs for one in ends if one.model == "lg_silent" and one.run_ms}
    assert told == {True: {"recorded"}, False: {"engine.cuda_graphs is off"}}
