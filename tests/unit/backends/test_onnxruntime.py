"""ONNX Runtime: what it refuses at load, and what it says of itself."""

from __future__ import annotations

import builtins
import copy
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import EngineOptions
from livegate.manifests.schema import Network, manifest_from_tables
from support import tiny_manifest, tiny_onnx, tiny_tables

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
backend = pytest.importorskip("livegate.backends.onnxruntime")

CPU = EngineOptions("cpu")
ONNX = tiny_onnx()


def network_with(change: Callable[[dict[str, Any]], None]) -> Network:
    """The tiny network's manifest entry after one change."""
    tables = copy.deepcopy(tiny_tables(ONNX))
    change(tables["networks"][0])
    return manifest_from_tables(tables, origin="a test").networks[0]


def refusal(network: Network, model: bytes = ONNX) -> SetupError:
    """The error of a load."""
    with pytest.raises(SetupError) as caught:
        backend.Plugin().load(network, model, CPU)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert "tiny" in caught.value.message
    return caught.value


@pytest.mark.parametrize("garbage", [b"", b"garbage", ONNX[: len(ONNX) // 2], b"\0" * 1000])
def test_load_bytes_that_are_no_network_is_refused(garbage: bytes) -> None:
    """Bytes that are not an ONNX model are 1029, in one line."""
    error = refusal(tiny_manifest(ONNX).networks[0], garbage)
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda n: n["input"].update(name="input"), "'input'"),
        (lambda n: n["input"].update(shape=["batch", 1, "height", "width"]), "input x"),
        (lambda n: n["outputs"][0].update(name="logits"), "logits"),
    ],
    ids=["input name", "input shape", "output name"],
)
def test_load_network_that_is_not_its_manifests_is_refused(change: Any, word: str) -> None:
    """A file whose tensors are not the manifest's is 1029 and says which one."""
    error = refusal(network_with(change))
    assert word in error.message
    assert "manifest" in error.message


def onnx_of_bytes(shape: list[int | str]) -> bytes:
    """doubled = x as float32, for bytes."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["doubled"], to=TensorProto.FLOAT)],
        "bytes",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def test_load_network_of_another_type_is_refused() -> None:
    """A file that wants other numbers than the manifest's float32 is 1029."""
    model = onnx_of_bytes(["batch", 3, "height", "width"])
    assert "uint8" in refusal(tiny_manifest(ONNX).networks[0], model).message


def test_network_of_bytes_runs_on_bytes_only() -> None:
    """A manifest that says uint8 loads such a file, warms it with bytes, and refuses one of floats."""
    shape = ["batch", "height", "width", 3]

    def of_bytes(tables: dict[str, Any]) -> None:
        tables["input"].update(shape=shape, layout="NHWC", dtype="uint8")
        tables["outputs"][0].update(shape=shape)

    network = network_with(of_bytes)
    assert "float32" in refusal(network).message
    engine = backend.Plugin().load(network, onnx_of_bytes(shape), CPU)
    pixels = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    np.testing.assert_array_equal(engine.run({"x": pixels})["doubled"], pixels.astype(np.float32))


def test_load_network_with_more_outputs_than_the_manifest_is_accepted() -> None:
    """A manifest may name only the outputs that are read, and only those are answered."""
    engine = backend.Plugin().load(tiny_manifest(ONNX).networks[0], tiny_onnx("other"), CPU)
    assert set(engine.run({"x": np.zeros((1, 3, 2, 2), np.float32)})) == {"doubled"}


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "cann", "openvino"])
def test_load_provider_that_is_not_installed_is_refused(provider: str) -> None:
    """A provider of ONNX Runtime that this installation lacks is 1013, not the CPU in silence."""
    plugin = backend.Plugin()
    if provider in plugin.probe().providers:
        pytest.skip(f"this onnxruntime has {provider}")
    with pytest.raises(SetupError) as caught:
        plugin.load(tiny_manifest(ONNX).networks[0], ONNX, EngineOptions(provider))
    assert caught.value.code is ErrorCode.INIT_FAIL


def test_load_session_that_falls_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that was asked for one provider and runs on another is 1013 and names both."""

    class Session:
        """Succeeds on the CPU without a word."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            pass

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    has = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: has)
    monkeypatch.setattr(ort, "InferenceSession", Session)
    with pytest.raises(SetupError) as caught:
        backend.Plugin().load(tiny_manifest(ONNX).networks[0], ONNX, EngineOptions("cuda"))
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert "CUDAExecutionProvider" in caught.value.message
    assert "CPUExecutionProvider" in caught.value.message


def test_run_that_fails_is_an_engine_error_in_one_line() -> None:
    """Whatever the library raises while it runs is 1030, with the network's name."""
    engine = backend.Plugin().load(tiny_manifest(ONNX).networks[0], ONNX, CPU)
    with pytest.raises(EngineError, match="tiny") as caught:
        engine.run({"x": np.zeros((1, 7, 2, 2), np.float32)})
    assert "\n" not in caught.value.message


def test_probe_lists_providers_best_first_with_tensorrt_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`auto` takes the first: CUDA before the CPU, and TensorRT, which builds for minutes, never."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(backend.PROVIDERS.values()))
    assert backend.Plugin().probe().providers == (
        "cuda",
        "cann",
        "openvino",
        "cpu",
        "tensorrt",
    )
    assert backend.Plugin().probe().late == ("cann", "tensorrt")


def test_probe_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the library cannot be imported, the reason and the extras are told, and nothing raised."""
    real = builtins.__import__

    def fail(name: str, *arguments: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError("libonnxruntime.so: cannot open shared object file")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", fail)
    capability = backend.Plugin().probe()
    assert not capability.is_available
    assert "cannot open shared object file" in capability.problem
    assert "livegate[cpu]" in capability.problem


def test_installed_flavours_lists_every_one_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two flavours installed together, which overwrite each other, are both listed."""
    installed = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.30.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert backend.installed_flavours() == ("onnxruntime 1.31.1", "onnxruntime-gpu 1.30.0")


@pytest.fixture
def flavour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the libraries of an installation that was built with CUDA lie; none is there yet."""
    folder = tmp_path / "onnxruntime" / "capi"
    folder.mkdir(parents=True)
    monkeypatch.setattr(ort, "__file__", str(folder.parent / "__init__.py"))
    has = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: has)
    return folder


def test_why_not_is_what_the_linker_says(flavour: Path) -> None:
    """A library that cannot be opened is named with the linker's reason, in one line."""
    (flavour / "libonnxruntime_providers_shared.so").write_bytes(b"")
    (flavour / "libonnxruntime_providers_cuda.so").write_bytes(b"no library")
    why = backend.Plugin().why_not("cuda")
    assert why.startswith("libonnxruntime_providers_cuda.so does not load: ")
    assert "\n" not in why
    assert backend.Plugin().why_not("cpu") == ""


def test_load_session_that_raises_for_its_provider_is_1013(
    flavour: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of a provider whose library does not open is the provider's, not the model's."""

    def fail(*arguments: Any, **options: Any) -> Any:
        assert options["enable_fallback"] == 0
        raise RuntimeError("Please install the libraries of the provider")

    (flavour / "libonnxruntime_providers_cuda.so").write_bytes(b"no library")
    monkeypatch.setattr(ort, "InferenceSession", fail)
    with pytest.raises(SetupError, match="does not load") as caught:
        backend.Plugin().load(tiny_manifest(ONNX).networks[0], ONNX, EngineOptions("cuda"))
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert "engine.provider" in caught.value.hint


def test_load_session_that_raises_for_its_model_is_1029(
    flavour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a provider against which nothing is known, it is the model."""

    def fail(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("no kernel for it")

    monkeypatch.setattr(ort, "InferenceSession", fail)
    with pytest.raises(SetupError, match="no kernel for it") as caught:
        backend.Plugin().load(tiny_manifest(ONNX).networks[0], ONNX, EngineOptions("cuda"))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_load_never_lets_the_library_print(capfd: pytest.CaptureFixture[str]) -> None:
    """A model that does not load is told by its error alone: standard output belongs to answers."""
    refusal(tiny_manifest(ONNX).networks[0], b"garbage")
    assert capfd.readouterr().out == ""
