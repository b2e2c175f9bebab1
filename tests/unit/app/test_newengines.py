"""Engines that are built while the box serves on something else, on a fake of TensorRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livegate.app.build import build_pipeline, build_service, build_store
from livegate.app.enginebuilds import EngineBuilds, missing_engines, wanted_engines
from livegate.app.newengines import NewEngines
from livegate.app.reload import PipelineBuilder
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.core.results import EngineInfo
from livegate.core.telemetry import Metrics
from livegate.service.liveness import State, Status
from livegate.service.reload import ModelReloader, ModelWish
from support import config_with
from tensorrt_fake import install_tensorrt

pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")
MODEL = "lg_silent"
NETWORKS = ("face", "context", "detail")


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """TensorRT 10.3 and a GPU, and a cache of this test's own."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    return install_tensorrt(monkeypatch, "10.3.0")[0]


@pytest.fixture
def config(trt: Any) -> Config:
    """A box that would like TensorRT for the silent model."""
    return config_with(
        engine={"use": {MODEL: "tensorrt"}, "policy": "prefer"},
        server={"workers": 1, "pin_workers": False},
    )


class Desk:
    """What the server is for `NewEngines`: everything runs on ONNX Runtime."""

    def __init__(self, config: Config) -> None:
        """Nothing was reloaded."""
        self.is_reloading = False
        self.config, self.wishes, self.error = config, list[ModelWish](), None
        self.backend = "onnxruntime 1"
        self.new = NewEngines(lambda: self.config, self.status, self.reload, lambda: self.is_reloading)

    def status(self) -> Status:
        """The silent model's networks."""
        engines = tuple(
            EngineInfo(MODEL, name, "0" * 64, self.backend, "gpu (prefer)", "gpu", "fp32")
            for name in NETWORKS
        )
        return Status(State.READY, 1, 0, 0, 1, (1031,), engines)

    def reload(self, wish: ModelWish) -> None:
        """Remember it, or refuse it."""
        self.wishes.append(wish)
        if self.error is not None:
            raise self.error

    def build(self, count: int = len(NETWORKS)) -> None:
        """As `livegate engines build` in another process."""
        EngineBuilds().run(list(missing_engines(self.config, build_store(self.config)))[:count])


def test_networks_are_named_as_here(config: Config) -> None:
    """The names that the other tests rely on."""
    jobs = list(missing_engines(config, build_store(config)))
    assert [(job.model, job.network.name) for job in jobs] == [(MODEL, name) for name in NETWORKS]


def test_engines_of_a_model_are_swapped_in_when_all_are_built(config: Config) -> None:
    """Half of a model would change nothing; then what serves is reloaded as it is, once."""
    desk = Desk(config)
    assert not desk.new.look()
    desk.build(1)
    assert not desk.new.look()
    desk.build()
    assert desk.new.look()
    assert desk.wishes == [ModelWish(as_served=True)]
    assert not desk.new.look()


def test_engines_that_serve_already_are_left_alone(config: Config) -> None:
    """The server itself has just built them, or somebody built them again."""
    desk = Desk(config)
    desk.backend = "tensorrt 10.3.0"
    desk.build()
    assert not desk.new.look()
    assert desk.wishes == []


def test_engines_that_nobody_wants_are_left_alone(config: Config) -> None:
    """Built for a configuration that does not serve."""
    desk = Desk(config)
    desk.build()
    desk.config = config_with()
    assert not desk.new.look()
    assert desk.wishes == []


def test_reload_that_is_refused_is_not_tried_again(config: Config) -> None:
    """Until another engine is built: what did not load does not load a moment later."""
    desk = Desk(config)
    desk.error = SetupError(ErrorCode.MODELINIT_FAIL, "output x strays")  # type: ignore[assignment]
    desk.build()
    assert [desk.new.look(), desk.new.look()] == [False, False]
    assert len(desk.wishes) == 1


def test_reload_that_is_under_way_is_waited_for(config: Config) -> None:
    """Somebody reloads at this moment: the next look tries again."""
    desk = Desk(config)
    desk.error = RequestError(ErrorCode.BUSY, "the models are being reloaded already")  # type: ignore[assignment]
    desk.build()
    assert not desk.new.look()
    desk.error = None
    assert desk.new.look()
    assert len(desk.wishes) == 2


def test_nothing_is_read_while_a_reload_is_under_way(config: Config) -> None:
    """Nor is a reload refused and counted each time: the look after it finds the engines."""
    desk = Desk(config)
    desk.is_reloading = True
    desk.build()
    assert not desk.new.look()
    assert desk.wishes == []
    desk.is_reloading = False
    assert desk.new.look()


def test_box_changes_over_between_requests(config: Config, trt: Any) -> None:
    """It serves on ONNX Runtime, and nothing is swapped for engines that do not run; on TensorRT once
    there are good ones, gated; all other models stay where they were.
    """
    metrics, store = Metrics(), build_store(config)
    service = build_service(config, metrics)
    builder = PipelineBuilder(config, lambda: pytest.fail("the file was read"), EngineBuilds())
    reloader = ModelReloader(service, builder.build, metrics)
    new = NewEngines(lambda: builder.serving, lambda: service.status, reloader.reload)
    try:
        service.start(build_pipeline(config, store))
        for breaks, backend in ((True, "onnxruntime"), (False, "tensorrt")):
            EngineBuilds().run(list(wanted_engines(config, store)))
            trt.breaks.execute = breaks
            assert new.look() is not breaks
            running = {(one.model_id, one.backend.split()[0]) for one in service.status.engines}
            assert {found for model, found in running if model == MODEL} == {backend}
            assert {found for model, found in running if model != MODEL} == {"onnxruntime"}
        counts = [metrics.reloads.labels(one)._value.get() for one in ("swapped", "failed")]
        assert counts == [1, 1]
    finally:
        service.close()


def test_what_serves_is_what_a_reload_named(trt: Any) -> None:
    """A pack that a reload has named is not lost when engines are swapped in; the file is not read."""
    null = config_with(engine={"backend": "null"}, models={"pack": "reference"}, server={"workers": 1})
    builder = PipelineBuilder(null, lambda: null, EngineBuilds())
    builder.build(ModelWish(pack="starter")).close()
    assert builder.serving.models.pack == "starter"
    assert builder.config_for(ModelWish(as_served=True)) is builder.serving
