"""Models are loaded, checked and warm, or refused before the first request."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import structlog

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import Capability, Policy, provider_order
from livegate.engines.model import Model, load_model
from livegate.manifests.schema import Network, manifest_from_tables
from support import FakeBackend, OpenGate, run_options, tiny_manifest, tiny_tables, way

DIMS = {"batch": 1, "height": 4, "width": 6}
BROKEN = SetupError(ErrorCode.INIT_FAIL, "the driver does not fit")


def double(network: Network, feeds: Any) -> dict[str, np.ndarray]:
    """The right answer."""
    return {"doubled": feeds["x"] * 2}


def loaded(backend: FakeBackend, provider: str = "auto", policy: Policy = "require") -> Model:
    """The tiny model on a backend."""
    order = provider_order(backend.probe(), provider, policy)
    ways = [way(backend, one) for one in order]
    options = run_options("fake", provider, policy)
    return load_model(
        tiny_manifest(b"x"), lambda: ways, lambda file: b"weights", options, DIMS, OpenGate()
    )


def test_load_model_is_warm_and_shows_what_runs() -> None:
    """Every network has run before the model is handed out, and says what it runs on."""
    backend = FakeBackend(double)
    model = loaded(backend)
    assert backend.engines[0].runs >= 1
    assert model.engines == {"tiny": backend.engines[0]}
    (info,) = model.infos
    assert info.model_id == "tiny"
    assert info.network == "tiny"
    assert info.sha256 == model.manifest.files[0].sha256
    assert info.backend == "fake 1.0"
    assert info.provider_asked == "auto (require)"
    assert info.provider == "fast"


@pytest.mark.parametrize(("late", "compiles"), [((), False), (("fast",), True), (("slow",), False)])
def test_load_model_tells_what_compiles_in_runs(
    monkeypatch: pytest.MonkeyPatch, late: tuple[str, ...], compiles: bool
) -> None:
    """Of the provider that really runs, as its backend says."""
    capability = Capability("fake", "1.0", ("fast", "slow"), late=late)
    monkeypatch.setattr(FakeBackend, "probe", lambda self: capability)
    assert loaded(FakeBackend(double)).infos[0].compiles_in_runs is compiles


def test_load_model_as_asked_is_no_warning() -> None:
    """What runs as it was asked for, or was left open, is told as information."""
    for provider in ("auto", "fast"):
        with structlog.testing.capture_logs() as events:
            loaded(FakeBackend(double), provider=provider)
        assert {event["log_level"] for event in events} == {"info"}


def test_load_model_warms_with_the_given_dimensions() -> None:
    """The named dimensions of the input are those that the task asks for."""
    shapes: list[tuple[int, ...]] = []

    def note(network: Network, feeds: Any) -> dict[str, np.ndarray]:
        shapes.append(feeds["x"].shape)
        return double(network, feeds)

    loaded(FakeBackend(note))
    assert set(shapes) == {(1, 3, 4, 6)}


def test_load_model_reads_the_file_of_each_network() -> None:
    """The bytes that the backend gets are those of the file that the network names."""
    asked: list[str] = []
    manifest = tiny_manifest(b"x")
    load_model(
        manifest,
        lambda: [way(FakeBackend(double))],
        lambda file: asked.append(file.name) or b"weights",
        run_options(),
        DIMS,
        OpenGate(),
    )
    assert asked == ["tiny.onnx"]


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (1, 3, 24), (2, 3, 4, 6)])
def test_load_model_output_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """A network whose output is not the manifest's is 1029, with both shapes."""
    backend = FakeBackend(lambda network, feeds: {"doubled": np.zeros(shape, np.float32)})
    with pytest.raises(SetupError) as caught:
        loaded(backend)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert str(shape) in caught.value.message
    assert "(1, 3, 4, 6)" in caught.value.message


def test_load_model_unknown_dimension_is_refused() -> None:
    """A named dimension that the task does not give is 1029 at load."""
    with pytest.raises(SetupError, match="height") as caught:
        load_model(
            tiny_manifest(b"x"),
            lambda: [way(FakeBackend(double))],
            lambda file: b"",
            run_options(),
            {"batch": 1},
            OpenGate(),
        )
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_load_model_prefer_falls_back_loudly() -> None:
    """When the preferred provider fails, the next one runs; the log and the info both say so."""
    backend = FakeBackend(double, broken={"fast": BROKEN})
    with structlog.testing.capture_logs() as events:
        model = loaded(backend, provider="fast", policy="prefer")
    assert model.infos[0].provider == "slow"
    assert model.infos[0].provider_asked == "fast (prefer)"
    failed = [event for event in events if event["event"] == "provider failed"]
    assert failed[0]["provider"] == "fast"
    assert "driver" in failed[0]["why"]
    ready = [event for event in events if event["event"] == "engine ready"]
    assert ready[0]["log_level"] == "warning"
    assert (ready[0]["provider_asked"], ready[0]["provider"]) == ("fast (prefer)", "slow")


def test_load_model_prefer_falls_back_when_the_first_run_fails() -> None:
    """A provider that loads but cannot run is passed over too: it fails when it is warmed."""

    class FailsOnFast(FakeBackend):
        def load(self, network: Network, model: bytes, options: Any) -> Any:
            engine = super().load(network, model, options)
            if options.provider == "fast":
                engine._answer = self.fail
            return engine

        @staticmethod
        def fail(network: Network, feeds: Any) -> dict[str, np.ndarray]:
            raise EngineError("out of device memory")

    assert loaded(FailsOnFast(double), policy="prefer").infos[0].provider == "slow"
    with pytest.raises(EngineError, match="device memory"):
        loaded(FailsOnFast(double), policy="require")


def test_load_model_require_does_not_fall_back() -> None:
    """With `require` a provider that fails is the end, and its own error is told."""
    with pytest.raises(SetupError) as caught:
        loaded(FakeBackend(double, broken={"fast": BROKEN}), provider="fast", policy="require")
    assert caught.value is BROKEN


def test_load_model_every_provider_fails_tells_the_first_error() -> None:
    """When nothing works, the error is that of the provider that was asked for."""
    other = SetupError(ErrorCode.INIT_FAIL, "another reason")
    with pytest.raises(SetupError) as caught:
        loaded(
            FakeBackend(double, broken={"slow": BROKEN, "fast": other}), provider="slow", policy="any"
        )
    assert caught.value is BROKEN


def test_load_model_of_two_networks_has_both_and_closes_both() -> None:
    """Each network has an engine and an info of its own; closing the model closes them all."""
    tables = tiny_tables(b"x")
    second = copy.deepcopy(tables["networks"][0])
    second["name"] = "second"
    tables["networks"].append(second)
    backend = FakeBackend(double)
    manifest = manifest_from_tables(tables, origin="a test")
    model = load_model(
        manifest, lambda: [way(backend)], lambda file: b"", run_options(), DIMS, OpenGate()
    )
    assert set(model.engines) == {"tiny", "second"}
    assert [info.network for info in model.infos] == ["tiny", "second"]
    model.close()
    assert [engine.is_closed for engine in backend.engines] == [True, True]


class HalfBuilt(FakeBackend):
    """Has built an engine for one network only."""

    def why_unbuilt(self, network: Network, model: bytes, options: Any) -> str:
        """All but the first."""
        return "" if network.name == "tiny" else "twin has no engine"

    def unused(self, *asked: Any) -> Any:
        """Building."""
        raise AssertionError(asked)

    build = forecast_s = fits_here = unused


@pytest.mark.parametrize(("policy", "served"), [("prefer", 0), ("any", 0), ("require", 2)])
def test_load_model_that_is_built_in_part_runs_on_something_else_as_a_whole(
    policy: Policy, served: int
) -> None:
    """Half of a model on another library gains nothing; with require the backend itself says it."""
    tables = tiny_tables(b"x")
    tables["networks"].append({**copy.deepcopy(tables["networks"][0]), "name": "twin"})
    half, other = HalfBuilt(double), FakeBackend(double)
    ways = [way(half)] if policy == "require" else [way(half), way(other)]
    manifest, options = manifest_from_tables(tables, origin="a test"), run_options(policy=policy)
    model = load_model(manifest, lambda: ways, lambda file: b"x", options, DIMS, OpenGate())
    assert (len(half.engines), len(other.engines)) == (served, 2 - served)
    assert set(model.engines) == {"tiny", "twin"}


def test_load_model_that_fails_closes_what_it_had_loaded() -> None:
    """The engine that failed and those of the networks before it hold nothing any more."""
    tables = tiny_tables(b"x")
    second = copy.deepcopy(tables["networks"][0])
    second["name"] = "second"
    tables["networks"].append(second)

    def fail_second(network: Network, feeds: Any) -> dict[str, np.ndarray]:
        if network.name == "second":
            raise EngineError("out of device memory")
        return double(network, feeds)

    backend = FakeBackend(fail_second)
    manifest = manifest_from_tables(tables, origin="a test")
    with pytest.raises(EngineError, match="device memory"):
        load_model(manifest, lambda: [way(backend)], lambda file: b"", run_options(), DIMS, OpenGate())
    assert [engine.is_closed for engine in backend.engines] == [True, True]


@pytest.mark.parametrize(("policy", "level"), [("prefer", "warning"), ("any", "info")])
def test_load_model_on_another_backend_names_what_was_asked(policy: Policy, level: str) -> None:
    """The info tells both; `prefer` tells it as a warning, `any` does not mind."""
    options = run_options("wanted", "cuda", policy)
    ways = [way(FakeBackend(double))]
    with structlog.testing.capture_logs() as events:
        model = load_model(
            tiny_manifest(b"x"), lambda: ways, lambda file: b"", options, DIMS, OpenGate()
        )
    assert model.infos[0].backend == "fake 1.0"
    assert model.infos[0].provider_asked == f"wanted/cuda ({policy})"
    assert [event["log_level"] for event in events if event["event"] == "engine ready"] == [level]
