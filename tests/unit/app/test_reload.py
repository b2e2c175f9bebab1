"""What a reload reads anew, what it checks beforehand, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livegate.app import build
from livegate.app.build import build_pipeline, build_store, require_model_files
from livegate.app.enginebuilds import EngineBuilds
from livegate.app.reload import PipelineBuilder
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError, SetupError
from livegate.service.reload import ModelWish
from support import config_with

PACK = {"pack": "reference"}


def null_config(**models: Any) -> Config:
    return config_with(models={**PACK, **models}, engine={"backend": "null"}, server={"workers": 1})


def test_models_and_engine_are_read_anew_and_nothing_else() -> None:
    """All other keys stay as they were at the start."""
    started = null_config()
    now = config_with(
        models={**PACK, "dirs": ("elsewhere",)},
        engine={"backend": "null", "intra_op_threads": 2},
        server={"workers": 7},
        gate={"needed": 1},
    )
    config = PipelineBuilder(started, lambda: now, EngineBuilds()).config_for(ModelWish())
    assert (config.models, config.engine) == (now.models, now.engine)
    assert (config.server, config.gate) == (started.server, started.gate)


def test_wish_lies_over_the_configuration() -> None:
    """`use` adds to what the configuration names, and wins where both name a model."""
    now = null_config(use={"head_pose": "a", "landmarks": "b"})
    builder = PipelineBuilder(now, lambda: now, EngineBuilds())
    wish = ModelWish(pack="other", use={"landmarks": "c"})
    models = builder.config_for(wish).models
    assert models.pack == "other"
    assert models.use == {"head_pose": "a", "landmarks": "c"}
    assert builder.config_for(ModelWish()).models == now.models  # nothing is kept


def test_built_pipeline_answers_all_tasks() -> None:
    """The null backend needs no weights, so none are looked for."""
    config = null_config()
    pipeline = PipelineBuilder(config, lambda: config, EngineBuilds()).build(ModelWish())
    assert pipeline.algo_tasks == (1031, 9001)
    pipeline.close()


def test_configuration_that_is_refused_is_told() -> None:
    """Its error goes to the caller as it is."""

    def refuse() -> Config:
        raise SetupError(ErrorCode.READ_FAIL, "not TOML")

    with pytest.raises(SetupError, match="not TOML"):
        PipelineBuilder(null_config(), refuse, EngineBuilds()).build(ModelWish())


def test_unknown_task_in_a_wish_is_1031_with_the_nearest() -> None:
    """It would be without effect."""
    config = null_config()
    with pytest.raises(LiveGateError) as caught:
        PipelineBuilder(config, lambda: config, EngineBuilds()).build(ModelWish(use={"landmark": "x"}))
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    assert "landmarks" in caught.value.hint


def test_missing_file_is_told_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last model's file counts as much as the first one's."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    monkeypatch.delenv("LIVEGATE_MODELS", raising=False)
    monkeypatch.setattr(build, "load_model", lambda *asked: pytest.fail("something was loaded"))
    config = config_with(models=PACK)
    with pytest.raises(SetupError) as caught:
        require_model_files(config, build_store(config))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    with pytest.raises(SetupError):
        PipelineBuilder(config, lambda: config, EngineBuilds()).build(ModelWish())


def test_models_that_were_loaded_before_a_failure_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A golden gate that refuses the third model leaves none of the first two behind."""
    config, closed, load = null_config(), [], build.load_model

    def refuse_third(manifest: Any, *asked: Any) -> Any:
        if len(loaded) == 2:
            raise SetupError(ErrorCode.MODELINIT_FAIL, "output x strays")
        model = load(manifest, *asked)
        for engine in model.engines.values():
            monkeypatch.setattr(engine, "close", lambda: closed.append(manifest.id))
        loaded.append((manifest.id, len(model.engines)))
        return model

    loaded: list[tuple[str, int]] = []
    monkeypatch.setattr(build, "load_model", refuse_third)
    with pytest.raises(SetupError, match="strays"):
        build_pipeline(config, build_store(config))
    assert closed == [model for model, engines in loaded for _ in range(engines)]
    assert closed
