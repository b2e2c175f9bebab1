"""The golden gate with the shipped models on the installed libraries.

Needs the project's shared folder (weights); skips with a reason where it is absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livegate.app.build import build_pipeline
from livegate.app.engines import golden_gate, load_backend
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import plugin_names
from livegate.engines.base import EngineOptions
from livegate.manifests.store import ModelStore
from support import config_with, shared, shipped_manifest

MODELS = (
    *("fsanet_pair", "minifasnet_pair", "pfld_ghostone", "yunet_n"),
    *("lg_detect", "lg_face", "lg_face_pose", "lg_silent"),
)
PACKS = {"reference": 6, "starter": 6}
"""How many engines each pack has."""
COMPUTING = tuple(name for name in plugin_names("livegate.backends") if name != "null")

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The reference weights, and a cache that knows no golden outputs yet."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    return ModelStore([shared("models", "reference")])


class Doctored:
    """An engine with one output moved a little."""

    provider = "doctored"

    def __init__(self, engine: Any, output: str, factor: float) -> None:
        self._engine, self._output, self._factor = engine, output, np.float32(factor)

    def run(self, feeds: Any) -> Any:
        """The right answer but for one output."""
        answer = self._engine.run(feeds)
        return {**answer, self._output: answer[self._output] * self._factor + (self._factor - 1)}

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("name", COMPUTING)
def test_every_shipped_model_passes_on_every_backend_that_it_lists(
    name: str, pack: str, store: ModelStore
) -> None:
    """A whole box starts on this backend alone."""
    problem = load_backend(name).probe().problem
    if problem:
        pytest.skip(f"the backend {name} cannot run here: {problem}")
    config = config_with(engine={"backend": name, "provider": "cpu"}, models={"pack": pack})
    pipeline = build_pipeline(config, store)
    assert {info.backend.split()[0] for info in pipeline.engines} == {name}
    assert len(pipeline.engines) == PACKS[pack]
    pipeline.close()


@pytest.mark.parametrize("model_id", MODELS)
def test_every_output_of_every_shipped_network_is_held(model_id: str, store: ModelStore) -> None:
    """An engine with any one output a thousandth off is refused, by that output's name."""
    manifest = shipped_manifest(model_id)
    gate = golden_gate(model_id, store)
    for network in manifest.networks:
        file = manifest.file(network.file)
        content = store.read(file)
        engine = load_backend("onnxruntime").load(network, content, EngineOptions("cpu"))
        assert gate.admit(network, file, content, engine, "fp32") <= network.tolerance["fp32"]
        for output in network.outputs:
            doctored = Doctored(engine, output.name, 1.001)
            with pytest.raises(SetupError, match=f"output {output.name} strays") as caught:
                gate.admit(network, file, content, doctored, "fp32")
            assert caught.value.code is ErrorCode.MODELINIT_FAIL


@pytest.mark.parametrize("model_id", MODELS)
def test_bfloat16_does_not_pass_for_fp32(model_id: str, store: ModelStore) -> None:
    """What OpenVINO does by itself on some processors is refused for every network."""
    openvino = pytest.importorskip(
        "openvino", reason="openvino is not installed: pip install 'livegate[openvino]'"
    )
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    from livegate.backends.openvino import OpenVinoEngine

    manifest = shipped_manifest(model_id)
    gate = golden_gate(model_id, store)
    for network in manifest.networks:
        file = manifest.file(network.file)
        content = store.read(file)
        wanted = {"INFERENCE_PRECISION_HINT": openvino.Type.bf16}
        compiled = core.compile_model(core.read_model(content), "CPU", wanted)
        engine = OpenVinoEngine(openvino, [compiled], network, "cpu")
        with pytest.raises(SetupError, match="strays"):
            gate.admit(network, file, content, engine, "fp32")
