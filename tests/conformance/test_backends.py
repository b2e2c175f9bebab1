"""What every backend must do, whatever library it is; one suite that each of them passes.

The network multiplies its input by two. A backend that computes nothing (null) is only held to
shapes; one that is not installed here is skipped, with its own reason printed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from acl_fake import install_acl
from livegate.app.engines import load_reference
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.plugins import load_plugin, plugin_names
from livegate.engines.base import Backend, Engine, EngineBuilder, EngineOptions
from livegate.engines.builds import Watch
from livegate.engines.golden import GoldenGate
from livegate.engines.model import load_model
from livegate.manifests.goldens import GoldenShelf
from support import HANG_S, run_options, tiny_manifest, tiny_onnx, way
from tensorrt_fake import VERSIONS, install_tensorrt

COMPUTES_NOTHING = {"null"}
ONNX = tiny_onnx()
NETWORK = tiny_manifest(ONNX).networks[0]


ON_FAKES = (*(f"tensorrt {version} on a fake" for version in VERSIONS), "ascend 8.0 on a fake")


@pytest.fixture(params=[*plugin_names("livegate.backends"), *ON_FAKES])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Each backend in turn; TensorRT and Ascend, which need a device, also on fakes."""
    if request.param not in ON_FAKES:
        return str(request.param)
    name, version, *_ = request.param.split()
    pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")
    if name == "ascend":
        install_acl(monkeypatch, tmp_path)
    else:
        install_tensorrt(monkeypatch, version)
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    return str(name)


@pytest.fixture
def backend(name: str) -> Backend:
    """The backend, if it can run here."""
    backend: Backend = load_plugin("livegate.backends", name).Plugin()
    capability = backend.probe()
    if not capability.is_available:
        pytest.skip(f"the backend {name} cannot run here: {capability.problem}")
    return backend


@pytest.fixture
def provider(backend: Backend) -> str:
    """A provider that every machine has: the last resort of the backend."""
    providers = backend.probe().providers
    return next((name for name in ("cpu", "gpu") if name in providers), providers[-1])


@pytest.fixture
def built(backend: Backend, provider: str) -> None:
    """What has to be built before it is loaded, is."""
    if isinstance(backend, EngineBuilder):
        watch = Watch("tiny", NETWORK.name, lambda progress: None)
        backend.build(NETWORK, ONNX, EngineOptions(provider), watch)


@pytest.fixture
def engine(backend: Backend, provider: str, built: None) -> Engine:
    """The network on that backend."""
    return backend.load(NETWORK, ONNX, EngineOptions(provider))


def feed(*shape: int) -> np.ndarray:
    """Numbers that differ."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_probe_says_who_it_is_and_never_raises(name: str) -> None:
    """A backend answers with its own name, and with providers or a reason why there is none."""
    capability = load_plugin("livegate.backends", name).Plugin().probe()
    assert capability.backend == name
    assert capability.is_available or capability.problem


def test_load_engine_says_the_provider_that_runs(engine: Engine, provider: str) -> None:
    """The engine names the provider that it really runs on."""
    assert engine.provider == provider


@pytest.mark.parametrize("provider_asked", ["", "nonsense", "CPUExecutionProvider"])
def test_load_on_an_unknown_provider_is_refused(backend: Backend, provider_asked: str) -> None:
    """A provider that the backend does not have is 1013, never another one in silence."""
    with pytest.raises(SetupError) as caught:
        backend.load(NETWORK, ONNX, EngineOptions(provider_asked))
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_run_outputs_have_the_manifests_names_and_shapes(engine: Engine) -> None:
    """The outputs are those that the manifest names, in its shapes, as float32."""
    outputs = engine.run({"x": feed(2, 3, 4, 5)})
    assert set(outputs) == {"doubled"}
    assert outputs["doubled"].shape == (2, 3, 4, 5)
    assert outputs["doubled"].dtype == np.float32


def test_run_follows_dynamic_shapes_from_call_to_call(engine: Engine) -> None:
    """Named dimensions may differ in every call."""
    for shape in ((1, 3, 4, 5), (2, 3, 1, 1), (1, 3, 9, 2)):
        assert engine.run({"x": feed(*shape)})["doubled"].shape == shape


def test_run_computes_the_network(engine: Engine, name: str) -> None:
    """A backend that computes gives the network's numbers."""
    if name in COMPUTES_NOTHING:
        pytest.skip(f"{name} computes nothing")
    tensor = feed(1, 3, 4, 5)
    np.testing.assert_array_equal(engine.run({"x": tensor})["doubled"], 2 * tensor)


def test_run_same_input_twice_gives_the_same(engine: Engine) -> None:
    """An engine has no memory of what it ran before."""
    tensor = feed(1, 3, 4, 5)
    first = engine.run({"x": tensor})["doubled"]
    engine.run({"x": tensor + 1})
    np.testing.assert_array_equal(engine.run({"x": tensor})["doubled"], first)


def test_run_leaves_the_input_as_it_was(engine: Engine) -> None:
    """An engine does not write into the buffers that it is fed from."""
    tensor = feed(1, 3, 4, 5)
    engine.run({"x": tensor})
    np.testing.assert_array_equal(tensor, feed(1, 3, 4, 5))


def test_run_outputs_are_the_callers(engine: Engine) -> None:
    """What one call returned is not overwritten by the next one."""
    first = engine.run({"x": feed(1, 3, 4, 5)})["doubled"]
    kept = first.copy()
    engine.run({"x": feed(1, 3, 4, 5) + 100})
    np.testing.assert_array_equal(first, kept)


def test_run_input_that_is_not_contiguous_is_refused(engine: Engine) -> None:
    """A strided input, which a library would copy in silence, is 1030."""
    with pytest.raises(EngineError, match="contiguous"):
        engine.run({"x": feed(1, 4, 5, 3).transpose(0, 3, 1, 2)})


@pytest.mark.parametrize("shape", [(1, 4, 4, 5), (3, 4, 5)])
def test_run_input_of_the_wrong_shape_is_an_engine_error(engine: Engine, shape: tuple[int, ...]) -> None:
    """An input that does not fit the network is 1030, whatever the library raises."""
    with pytest.raises(EngineError):
        engine.run({"x": feed(*shape)})


def test_run_input_of_the_wrong_name_is_an_engine_error(engine: Engine) -> None:
    """An input that the network does not have is 1030."""
    with pytest.raises(EngineError):
        engine.run({"y": feed(1, 3, 4, 5)})


def test_run_from_many_threads_at_once_gives_each_its_own(engine: Engine, name: str) -> None:
    """One engine is shared by all workers: each gets the answer to its own input."""

    def ask(number: int) -> bool:
        tensor = np.full((1, 3, 8, 8), number, np.float32)
        output = engine.run({"x": tensor})["doubled"]
        return name in COMPUTES_NOTHING or bool((output == 2 * number).all())

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, range(200), timeout=HANG_S))
    assert all(answers)
    assert len(answers) == 200


def test_close_engine_cannot_run_any_more(engine: Engine) -> None:
    """After it is closed an engine is 1030, and closing it again is harmless."""
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run({"x": feed(1, 3, 4, 5)})


def test_load_model_of_the_tiny_manifest_is_warm_and_proved(
    backend: Backend, provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: None
) -> None:
    """A manifest made for the network passes every check of the loader on this backend."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    options = run_options(backend.probe().backend, provider)
    dims = {"batch": 1, "height": 8, "width": 8}
    ways = [way(backend, provider)]
    manifest = tiny_manifest(ONNX)
    gate = GoldenGate(GoldenShelf(tmp_path, manifest.id), load_reference)
    model = load_model(manifest, lambda: ways, lambda file: ONNX, options, dims, gate)
    assert model.infos[0].provider == provider
    model.close()
