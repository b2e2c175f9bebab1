"""OpenVINO: numbers as ONNX Runtime's, inputs without copies, and none of its own ideas of speed."""

from __future__ import annotations

import builtins
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import EngineOptions
from livegate.manifests.schema import Manifest, Network, manifest_from_tables
from livegate.manifests.store import ModelStore
from support import shared, shipped_manifest, tiny_manifest, tiny_onnx, tiny_tables

openvino = pytest.importorskip(
    "openvino", reason="openvino is not installed: pip install 'livegate[openvino]'"
)
backend = pytest.importorskip("livegate.backends.openvino")

CPU = EngineOptions("cpu")
ONNX = tiny_onnx()
TINY = tiny_manifest(ONNX).networks[0]
CLOSE = 5e-5
"""Greatest difference to ONNX Runtime, in parts of an output's greatest value, or absolute below 1."""


class Spy:
    """openvino, with every tensor that is made from an array noted."""

    def __init__(self) -> None:
        self.shared: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(openvino, name)

    def Tensor(self, source: Any, *rest: Any, **options: Any) -> Any:  # noqa: N802 - the library's name
        """Note and make it."""
        tensor = openvino.Tensor(source, *rest, **options)
        if isinstance(source, np.ndarray):
            self.shared.append(tensor.data.ctypes.data == source.ctypes.data)
        return tensor


def bytes_network(tables: dict[str, Any] | None = None) -> Network:
    """A manifest's entry of a network that takes bytes."""
    tables = tables or tiny_tables(ONNX)
    shape = ["batch", "height", "width", 3]
    tables["networks"][0]["input"].update(shape=shape, layout="NHWC", dtype="uint8")
    tables["networks"][0]["outputs"][0].update(shape=shape)
    return manifest_from_tables(tables, origin="a test").networks[0]


def bytes_onnx() -> bytes:
    """doubled = 2 * float(x), for bytes, opset 17."""
    from onnx import TensorProto, helper

    shape = ["batch", "height", "width", 3]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["floats", "two"], ["doubled"]),
        ],
        "bytes",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, shape)],
        [helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def refusal(network: Network, model: bytes, options: EngineOptions = CPU) -> SetupError:
    """The error of a load."""
    with pytest.raises(SetupError) as caught:
        backend.Plugin().load(network, model, options)
    return caught.value


MODELS = (
    *("yunet_n", "minifasnet_pair", "pfld_ghostone", "fsanet_pair"),
    *("lg_detect", "lg_face", "lg_face_pose", "lg_silent"),
)


def inputs_of(manifest: Manifest, network: Network) -> list[np.ndarray]:
    """A real photograph, scaled to the input; to several shapes and batches where they are free."""
    import cv2

    picture = cv2.imread(str(shared("media", "stills", "image_T1.jpg")))
    spec = network.input
    sides = (
        [(160, 224), (96, 96), (320, 256)]
        if isinstance(spec.height, str)
        else [(spec.height, spec.width)]
    )
    tensors = []
    for height, width in sides:
        pixels = cv2.resize(picture, (int(width), int(height)))
        if spec.colour == "RGB":
            pixels = pixels[..., ::-1]
        if spec.dtype == "uint8":
            tensors.append(np.ascontiguousarray(pixels[None]))
            continue
        scaled = pixels * np.float32(spec.scale) - np.float32(spec.mean)
        tensors.append(np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32))
    if isinstance(spec.shape[0], str):
        tensors += [np.concatenate([tensor, tensor[:, ::-1]]) for tensor in tensors]
    return tensors


@pytest.mark.parametrize("model_id", MODELS)
def test_run_of_a_shipped_model_gives_the_numbers_of_onnxruntime(model_id: str) -> None:
    """On a real picture every output of every network is that of ONNX Runtime on the CPU in fp32."""
    reference = pytest.importorskip("livegate.backends.onnxruntime")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    manifest = shipped_manifest(model_id)
    store = ModelStore([shared("models", "reference")])
    for network in manifest.networks:
        assert "openvino" in network.backends
        content = store.read(manifest.file(network.file))
        ours = backend.Plugin().load(network, content, CPU)
        theirs = reference.Plugin().load(network, content, CPU)
        for tensor in inputs_of(manifest, network):
            found = ours.run({network.input.name: tensor})
            for name, told in theirs.run({network.input.name: tensor}).items():
                scale = max(1.0, float(np.abs(told).max()))
                assert found[name].shape == told.shape
                assert float(np.abs(found[name] - told).max()) <= CLOSE * scale, (network.name, name)


def test_run_of_bytes_reads_bytes_only() -> None:
    """A manifest that says uint8 NHWC runs on bytes; floats and a file of floats are refused."""
    network = bytes_network()
    assert "float32" in refusal(network, ONNX).message
    engine = backend.Plugin().load(network, bytes_onnx(), CPU)
    for height, width in ((2, 4), (5, 3)):
        pixels = np.arange(height * width * 3, dtype=np.uint8).reshape(1, height, width, 3)
        np.testing.assert_array_equal(engine.run({"x": pixels})["doubled"], 2.0 * pixels)
    with pytest.raises(EngineError, match="tiny"):
        engine.run({"x": pixels.astype(np.float32)})


@pytest.mark.parametrize("garbage", [b"", b"garbage", ONNX[: len(ONNX) // 2], b"\0" * 1000])
def test_load_bytes_that_are_no_network_is_refused(garbage: bytes) -> None:
    """Bytes that are not an ONNX model are 1029, in one line without the library's source."""
    error = refusal(TINY, garbage)
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "tiny.onnx does not load" in error.message
    assert "Exception from" not in error.message
    assert "\n" not in error.message


def test_load_network_that_is_not_its_manifests_is_refused() -> None:
    """A file whose tensors are not the manifest's is 1029 and says which one."""
    tables = tiny_tables(ONNX)
    tables["networks"][0]["outputs"][0]["name"] = "logits"
    error = refusal(manifest_from_tables(tables, origin="a test").networks[0], ONNX)
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "logits" in error.message


def test_load_on_a_device_that_is_not_here_is_refused() -> None:
    """A device that OpenVINO knows and this box has not is 1013."""
    if "gpu" in backend.Plugin().probe().providers:
        pytest.skip("this box has the device")
    assert refusal(TINY, ONNX, EngineOptions("gpu")).code is ErrorCode.INIT_FAIL


def test_run_reads_a_writable_input_in_place_and_copies_a_read_only_one_once() -> None:
    """What the workers' buffers hold is read where it lies; memory that may not be shared is copied."""
    spy = Spy()
    compiled = openvino.Core().compile_model(openvino.Core().read_model(ONNX), "CPU")
    engine = backend.OpenVinoEngine(spy, [compiled], TINY, "cpu")
    tensor = np.ones((1, 3, 4, 5), np.float32)
    engine.run({"x": tensor})
    tensor.flags.writeable = False
    np.testing.assert_array_equal(engine.run({"x": tensor})["doubled"], 2 * tensor)
    assert spy.shared == [True, False]


def test_idle_request_points_at_no_input() -> None:
    """Between runs nothing of the last picture is within reach of the library."""
    engine = backend.Plugin().load(TINY, ONNX, CPU)
    tensor = np.ones((1, 3, 4, 5), np.float32)
    engine.run({"x": tensor})
    (copy,) = engine._idle
    assert copy.request.get_tensor("x").data.ctypes.data != tensor.ctypes.data
    assert copy.request.get_tensor("x").data.size == 3


def test_run_that_fails_leaves_an_engine_that_runs() -> None:
    """After an input that does not fit, the next one is answered."""
    engine = backend.Plugin().load(TINY, ONNX, CPU)
    with pytest.raises(EngineError, match="tiny") as caught:
        engine.run({"x": np.zeros((1, 7, 2, 2), np.float32)})
    assert "\n" not in caught.value.message
    assert engine.run({"x": np.ones((1, 3, 2, 2), np.float32)})["doubled"].max() == 2


@pytest.mark.parametrize("shape", [[], [1, 3, 1, 1]])
def test_load_counts_denormal_weights_as_zero(shape: list[int]) -> None:
    """A weight that is too small for a normal float is none; the others stay as they are."""
    from onnx import load_from_string, numpy_helper

    model = load_from_string(ONNX)
    for weight, told in ((1e-40, 0.0), (-1e-40, 0.0), (1.2e-38, 1.2), (-2e-38, -2.0)):
        array = np.full(shape, weight, np.float32)
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "two"))
        engine = backend.Plugin().load(TINY, model.SerializeToString(), CPU)
        answer = engine.run({"x": np.full((1, 3, 2, 2), 1e38, np.float32)})["doubled"]
        np.testing.assert_allclose(answer, np.full((1, 3, 2, 2), told), rtol=1e-6)


def test_load_leaves_the_loading_thread_as_it_was() -> None:
    """Loading a network does not change what the main thread computes from then on."""
    backend.Plugin().load(TINY, ONNX, CPU)
    assert float(np.multiply(np.float32(1e-40), np.ones(1, np.float32))[0]) != 0


@pytest.mark.parametrize(("runs", "threads"), [(1, 1), (2, 1), (3, 2)])
def test_load_compiles_a_copy_for_each_run_of_no_more_threads(runs: int, threads: int) -> None:
    """As many runs at once, each of as many threads, as were asked for; in f32 on every CPU."""
    options = EngineOptions("cpu", intra_op_threads=threads, parallel_runs=runs)
    copies = backend.Plugin().load(TINY, ONNX, options)._compiled
    assert len(set(map(id, copies))) == runs
    for compiled in copies:
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32


def borrowed(engine: Any, count: int) -> list[Any]:
    """The copies that so many runs at once have."""
    copies = [engine._borrow() for _ in range(count)]
    for copy in copies:
        engine._give_back(copy)
    return [copy.compiled for copy in copies]


def test_runs_at_once_have_a_copy_each() -> None:
    """Also after runs that failed, and after more of them at once than there are copies."""
    options = EngineOptions("cpu", parallel_runs=3)
    engine = backend.Plugin().load(TINY, ONNX, options)
    for _ in range(4):
        with pytest.raises(EngineError):
            engine.run({"x": np.zeros((1, 7, 2, 2), np.float32)})
    assert len(set(map(id, borrowed(engine, 5)))) == 3
    assert len(set(map(id, borrowed(engine, 3)))) == 3
    assert len(engine._idle) == 3


@pytest.mark.parametrize("callers", [2, 5])
def test_each_of_many_runs_at_once_has_its_own_answer(callers: int) -> None:
    """Threads, as many as copies and more, never see what another one asked."""
    engine = backend.Plugin().load(TINY, ONNX, EngineOptions("cpu", parallel_runs=2))

    def ask(caller: int) -> bool:
        rng = np.random.default_rng(caller)
        tensors = [rng.random((1, 3, *rng.integers(1, 40, 2)), np.float32) for _ in range(200)]
        return all(np.array_equal(engine.run({"x": one})["doubled"], 2 * one) for one in tensors)

    with ThreadPoolExecutor(callers) as threads:
        assert all(threads.map(ask, range(callers)))


def test_closed_engine_refuses_and_keeps_nothing() -> None:
    """A run that was under way gives nothing back to it."""
    engine = backend.Plugin().load(TINY, ONNX, CPU)
    copy = engine._borrow()
    engine.close()
    engine._give_back(copy)
    assert not engine._idle
    with pytest.raises(EngineError, match="closed"):
        engine.run({"x": np.ones((1, 3, 2, 2), np.float32)})


def test_load_that_computes_in_another_precision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that takes the wish for f32 lightly is 1013, and both are named."""

    def bf16(*arguments: Any) -> dict[str, Any]:
        return {"INFERENCE_PRECISION_HINT": openvino.Type.bf16}

    monkeypatch.setattr(backend, "_properties", bf16)
    try:
        error = refusal(TINY, ONNX)
    except pytest.fail.Exception:
        pytest.skip("this CPU has no bfloat16, so OpenVINO stays with f32")
    assert error.code is ErrorCode.INIT_FAIL
    assert "bf16" in error.message


def test_probe_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the library cannot be imported, the reason and the extra are told, and nothing raised."""
    real = builtins.__import__

    def fail(name: str, *arguments: Any) -> Any:
        if name == "openvino":
            raise ImportError("libopenvino.so: cannot open shared object file")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", fail)
    capability = backend.Plugin().probe()
    assert not capability.is_available
    assert "cannot open shared object file" in capability.problem
    assert "livegate[openvino]" in capability.problem


def test_library_makes_no_connection(tmp_path: Path) -> None:
    """It carries a telemetry package; importing it, loading and running resolve and connect nothing."""
    (tmp_path / "tiny.onnx").write_bytes(ONNX)
    program = """
import sys
from pathlib import Path

CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
seen = []
sys.addaudithook(lambda event, arguments: seen.append(event) if event in CALLS else None)
import numpy as np
from livegate.backends.openvino import Plugin
from livegate.engines.base import EngineOptions
from support import tiny_manifest
content = Path(sys.argv[1]).read_bytes()
engine = Plugin().load(tiny_manifest(content).networks[0], content, EngineOptions("cpu"))
engine.run({"x": np.ones((1, 3, 2, 2), np.float32)})
print(seen)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "tiny.onnx")]
    tests = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=tests)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
