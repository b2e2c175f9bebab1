"""The golden gate: an engine that computes anything else than the reference does not get in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import Capability, Policy
from livegate.engines.golden import GoldenGate, stray
from livegate.engines.model import Model, load_model
from livegate.manifests.goldens import GoldenShelf
from livegate.manifests.schema import Network, manifest_from_tables
from support import FakeBackend, FakeEngine, run_options, tiny_manifest, tiny_tables, way

DIMS = {"batch": 1, "height": 4, "width": 6}
MANIFEST = tiny_manifest(b"x")
(NETWORK,) = MANIFEST.networks
(FILE,) = MANIFEST.files
NAN, INFINITE = float("nan"), float("inf")
Answer = Callable[[Network, Any], dict[str, np.ndarray]]


def double(network: Network, feeds: Any) -> dict[str, np.ndarray]:
    """The right answer."""
    return {"doubled": feeds["x"] * np.float32(2)}


def doctored(change: Callable[[np.ndarray], np.ndarray]) -> Answer:
    """The right answer, changed."""
    return lambda network, feeds: {"doubled": change(double(network, feeds)["doubled"])}


def with_one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """One number among all replaced."""

    def change(answer: np.ndarray) -> np.ndarray:
        answer = answer.copy()
        answer[0, 1, 2, 3] = value
        return answer

    return change


class Reference:
    """Loads the reference engine and counts."""

    def __init__(self, answer: Answer = double) -> None:
        self.engines: list[FakeEngine] = []
        self._answer = answer

    def __call__(self, network: Network, content: bytes) -> tuple[FakeEngine, str]:
        assert content == b"weights"
        self.engines.append(FakeEngine(network, "cpu", self._answer))
        return self.engines[-1], "reference 1.0 cpu"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoldenShelf:
    """An empty shelf."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    return GoldenShelf(tmp_path / "models", MANIFEST.id)


@pytest.fixture
def gate(shelf: GoldenShelf) -> GoldenGate:
    """A gate whose reference doubles."""
    return GoldenGate(shelf, Reference())


def admit(gate: GoldenGate, answer: Answer) -> float:
    """Bring an engine to the gate."""
    return gate.admit(NETWORK, FILE, b"weights", FakeEngine(NETWORK, "fast", answer), "fp32")


def loaded(gate: GoldenGate, *answers: Answer, policy: Policy = "prefer") -> tuple[Model, Any]:
    """The tiny model where there is a backend for each of these answers."""
    backends = [FakeBackend(answer, providers=(f"p{n}",)) for n, answer in enumerate(answers)]
    ways = [way(backend) for backend in backends]
    options = run_options(policy=policy)
    model = load_model(MANIFEST, lambda: ways, lambda file: b"weights", options, DIMS, gate)
    return model, backends


def test_admit_the_right_answer_strays_by_nothing(gate: GoldenGate) -> None:
    """An engine that computes the network is let in."""
    assert admit(gate, double) == 0


def test_admit_within_the_tolerance_tells_how_far_it_strays(gate: GoldenGate) -> None:
    """Rounding is no fault; the figure is told."""
    assert 0 < admit(gate, doctored(lambda answer: answer * np.float32(1.00005))) < 1e-4


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        (lambda answer: answer * np.float32(1.0002), "0.0002"),
        (lambda answer: answer + 0.1, "0.0002"),
        (lambda answer: answer[..., ::-1], "0."),
        (lambda answer: np.zeros_like(answer), "1"),
        (with_one(600.0), "0."),
        (with_one(NAN), "inf"),
        (with_one(INFINITE), "inf"),
        (with_one(-INFINITE), "inf"),
        (lambda answer: answer[..., 1:], "inf"),
        (lambda answer: answer[0], "inf"),
        (lambda answer: answer.transpose(0, 1, 3, 2), "inf"),
    ],
    ids=[
        "a little too large",
        "shifted",
        "mirrored",
        "zeros",
        "one wrong number",
        "one NaN",
        "one infinite",
        "one negative infinite",
        "a column less",
        "a rank less",
        "sides exchanged",
    ],
)
def test_admit_anything_else_is_refused_with_figure_tolerance_and_output(
    gate: GoldenGate, change: Callable[[np.ndarray], np.ndarray], figure: str
) -> None:
    """1029; the message and the fields name what a person needs to judge it."""
    with pytest.raises(SetupError) as caught:
        admit(gate, doctored(change))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert f"output doubled strays from its golden values by {figure}" in caught.value.message
    assert "allowed are 0.0001 in fp32" in caught.value.message
    assert caught.value.fields["output"] == "doubled"
    assert caught.value.fields["provider"] == "fast"
    assert float(caught.value.fields["figure"]) > float(caught.value.fields["tolerance"]) == 1e-4


def test_admit_engine_that_answers_the_first_picture_only_is_refused(gate: GoldenGate) -> None:
    """Every picture counts: a wrong answer to the second one is one too many."""
    seen: list[np.ndarray] = []

    def remember(network: Network, feeds: Any) -> dict[str, np.ndarray]:
        seen.append(feeds["x"])
        return double(network, {"x": seen[0].reshape(feeds["x"].shape)})

    with pytest.raises(SetupError, match="strays"):
        admit(gate, remember)


def test_golden_outputs_are_made_once_and_kept(shelf: GoldenShelf) -> None:
    """The first start asks the reference and closes it; later ones, of whatever backend, do not."""
    first, second = Reference(), Reference()
    admit(GoldenGate(shelf, first), double)
    admit(GoldenGate(shelf, second), double)
    assert [engine.is_closed for engine in first.engines] == [True]
    assert second.engines == []


def test_prepare_makes_them_before_an_engine_comes(shelf: GoldenShelf) -> None:
    """As `models pull` does."""
    GoldenGate(shelf, Reference()).prepare(NETWORK, FILE, b"weights")
    later = Reference()
    admit(GoldenGate(shelf, later), double)
    assert later.engines == []


def test_golden_outputs_of_other_inputs_are_made_anew(
    shelf: GoldenShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where faces come out in other bytes, kept outputs are of no use, and no reason to refuse."""
    admit(GoldenGate(shelf, Reference()), double)
    from livegate.engines import golden

    drawn = golden.golden_inputs
    monkeypatch.setattr(
        golden, "golden_inputs", lambda network: (tensor + 1 for tensor in drawn(network))
    )
    anew = Reference()
    with structlog.testing.capture_logs() as events:
        assert admit(GoldenGate(shelf, anew), double) == 0
    assert len(anew.engines) == 1
    assert "golden outputs of other inputs" in [event["event"] for event in events]


def test_reference_that_is_not_here_is_told(shelf: GoldenShelf) -> None:
    """Without golden outputs no engine is let in."""

    def absent(network: Network, content: bytes) -> Any:
        raise SetupError(ErrorCode.MODELINIT_FAIL, "onnxruntime is not here")

    with pytest.raises(SetupError, match="onnxruntime is not here"):
        admit(GoldenGate(shelf, absent), double)


@pytest.mark.parametrize("value", [NAN, INFINITE])
def test_reference_without_finite_numbers_is_refused_and_not_kept(
    shelf: GoldenShelf, value: float
) -> None:
    """A network that answers NaN everywhere proves nothing."""
    reference = Reference(doctored(with_one(value)))
    for _ in range(2):
        with pytest.raises(SetupError, match="not finite in doubled") as caught:
            admit(GoldenGate(shelf, reference), doctored(with_one(value)))
        assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert [engine.is_closed for engine in reference.engines] == [True, True]


def test_load_model_takes_the_next_way_where_the_policy_allows(gate: GoldenGate) -> None:
    """The engine that strays is closed and named in the log; the one that does not, runs."""
    with structlog.testing.capture_logs() as events:
        model, (wrong, right) = loaded(gate, doctored(with_one(NAN)), double)
    assert model.infos[0].provider == "p1"
    assert wrong.engines[0].is_closed
    assert not right.engines[0].is_closed
    failed = [event for event in events if event["event"] == "provider failed"]
    assert failed[0]["provider"] == "p0"
    assert "1029" in failed[0]["why"]
    passed = [event for event in events if event["event"] == "golden gate passed"]
    assert [(event["provider"], event["stray"]) for event in passed] == [("p1", 0.0)]


def test_load_model_with_nothing_else_fails(gate: GoldenGate) -> None:
    """Where no other way is left the start fails with the first figure, and nothing stays open."""
    backend = FakeBackend(doctored(lambda answer: answer * np.float32(1.001)), providers=("only",))
    with pytest.raises(SetupError, match="on only: output doubled strays") as caught:
        load_model(MANIFEST, lambda: [way(backend)], lambda file: b"weights", run_options(), DIMS, gate)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert backend.engines[0].is_closed


def test_load_model_engine_that_fails_at_the_gate_is_an_engine_error(gate: GoldenGate) -> None:
    """One that is warm on zeros and fails on pictures is passed over as any other."""

    def fail_on_pictures(network: Network, feeds: Any) -> dict[str, np.ndarray]:
        if feeds["x"].any():
            raise EngineError("out of device memory")
        return double(network, feeds)

    model, _ = loaded(gate, fail_on_pictures, double)
    assert model.infos[0].provider == "p1"


def test_load_model_that_computes_nothing_needs_no_gate(shelf: GoldenShelf) -> None:
    """The null backend is what it says it is."""

    class Nothing(FakeBackend):
        def probe(self) -> Capability:
            return Capability("fake", "1.0", ("null",), computes=False)

    reference = Reference()
    backend = Nothing(doctored(np.zeros_like))
    load_model(
        MANIFEST,
        lambda: [way(backend)],
        lambda file: b"",
        run_options(),
        DIMS,
        GoldenGate(shelf, reference),
    )
    assert reference.engines == []


@pytest.mark.parametrize(("factor", "passes"), [(1.02, True), (1.2, False)])
def test_load_model_is_held_to_the_tolerance_of_its_own_precision(
    shelf: GoldenShelf, factor: float, passes: bool
) -> None:
    """Weights are run as they are: those of an int8 network as int8, and the info says so."""
    tables = tiny_tables(b"x")
    tables["networks"][0].update(precisions=["int8"], tolerance={"int8": 0.05, "fp32": 1e-4})
    manifest = manifest_from_tables(tables, origin="a test")
    ways = [way(FakeBackend(doctored(lambda answer: answer * np.float32(factor))))]
    gate = GoldenGate(shelf, Reference())
    if passes:
        model = load_model(manifest, lambda: ways, lambda file: b"weights", run_options(), DIMS, gate)
        assert model.infos[0].precision == "int8"
    else:
        with pytest.raises(SetupError, match=r"allowed are 0\.05 in int8"):
            load_model(manifest, lambda: ways, lambda file: b"weights", run_options(), DIMS, gate)


@pytest.mark.parametrize(
    ("found", "told", "figure"),
    [
        ([0.5], [0.25], 0.25),
        ([50.0], [40.0], 0.25),
        ([1.0, -50.0], [1.0, -40.0], 0.25),
        ([], [], 0.0),
    ],
)
def test_stray_is_absolute_below_one_and_relative_above(
    found: list[float], told: list[float], figure: float
) -> None:
    """Points in 0..1 are held to parts of the picture, angles and scores to parts of the greatest."""
    assert stray(np.array(found, np.float32), np.array(told, np.float32)) == pytest.approx(figure)
