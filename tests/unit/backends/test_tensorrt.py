"""The TensorRT backend on fakes of its versions: what it asks for, refuses and gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cuda_fake import FakeGpu
from livegate.backends.tensorrt import Plugin
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import EngineOptions
from livegate.engines.builds import Watch
from livegate.engines.cache import EngineCache
from livegate.engines.ranges import METHOD, Ranges, keep_ranges, ranges_key
from support import tiny_manifest, tiny_onnx
from tensorrt_fake import VERSIONS, install_tensorrt

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")
ONNX = tiny_onnx()
NETWORK = tiny_manifest(ONNX).networks[0]
FP32, FP16 = EngineOptions("gpu", parallel_runs=2), EngineOptions("gpu", precision="fp16")
INT8, DLA = EngineOptions("gpu", precision="int8"), EngineOptions("dla1", precision="fp16")
FED = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)


class Box:
    """A box with TensorRT."""

    def __init__(self, trt: Any, gpu: FakeGpu, folder: Path) -> None:
        """Nothing is built."""
        self.trt, self.gpu, self.cache = trt, gpu, EngineCache(folder)
        self.plugin = Plugin(self.cache)

    def build(self, options: EngineOptions = FP32, model: bytes = ONNX, watch: Any = None) -> float:
        """Build the network."""
        watch = watch or Watch("tiny", "tiny", lambda progress: None)
        return self.plugin.build(NETWORK, model, options, watch)

    def load(self, options: EngineOptions = FP32) -> Any:
        """Load it."""
        return self.plugin.load(NETWORK, ONNX, options)

    def plan(self, options: EngineOptions) -> Any:
        """What the fake keeps in a plan."""
        import pickle

        return pickle.loads(self.cache.plan(self.plugin.key(NETWORK, ONNX, options)) or b"")


@pytest.fixture
def version() -> str:
    """That of JetPack 6, unless a test says otherwise."""
    return "10.3.0"


@pytest.fixture
def box(version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Box:
    """A board with two DLA cores."""
    return Box(*install_tensorrt(monkeypatch, version, dla_cores=2), tmp_path / "engines")


def refused(box: Box, call: str, *arguments: Any) -> SetupError:
    """The error of a call."""
    with pytest.raises(SetupError) as caught:
        getattr(box, call)(*arguments)
    return caught.value


@pytest.mark.parametrize("version", VERSIONS)
def test_fp32_is_asked_for_as_each_version_wants_it(box: Box, version: str) -> None:
    """No TensorFloat-32, no fp16; 8.6 is told of an explicit batch, 10 and 11 of given types."""
    box.build()
    assert {flag.name for flag in box.trt.seen.flags} == set()
    told = box.trt.NetworkDefinitionCreationFlag
    assert box.trt.seen.creation == sum(1 << int(flag) for flag in told)
    assert {feature.name for feature in box.trt.seen.previews} == (
        {"PROFILE_SHARING_0806"} if version == "8.6.1" else set()
    )
    assert box.plan(FP32)["onnx"] == ONNX


@pytest.mark.parametrize("version", VERSIONS)
def test_fp16_is_a_flag_in_8_and_the_network_itself_from_10_on(box: Box, version: str) -> None:
    """Where types are the network's, the network is converted; the answers stay float32."""
    box.build(FP16)
    (two,) = onnx.load_from_string(box.plan(FP16)["onnx"]).graph.initializer
    if version == "8.6.1":
        assert {flag.name for flag in box.trt.seen.flags} == {"FP16"}
        assert two.data_type == onnx.TensorProto.FLOAT
    else:
        assert not box.trt.seen.flags
        assert two.data_type == onnx.TensorProto.FLOAT16
    answer = box.load(FP16).run({"x": FED})["doubled"]
    np.testing.assert_array_equal(answer, 2 * FED)


@pytest.mark.parametrize("version", VERSIONS)
def test_int8_is_the_network_itself_and_in_8_a_flag_as_well(box: Box, version: str) -> None:
    """Refused before it was measured; then its key is of what was measured, and floats go in and out."""
    assert "int8" in box.plugin.probe().precisions
    error = refused(box, "build", INT8)
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "--calibrate" in box.plugin.why_unbuilt(NETWORK, ONNX, INT8)
    told = {"key": ranges_key(NETWORK, ONNX), "network": NETWORK.name, "method": METHOD, "runs": 8}
    for reach in (1.0, 2.0):
        keep_ranges(box.cache, Ranges(**told, reaches={"x": reach}))
        assert "no TensorRT engine" in box.plugin.why_unbuilt(NETWORK, ONNX, INT8)
        box.build(INT8)
    assert len(list(box.cache.records())) == 2
    flags = {flag.name for flag in box.trt.seen.flags}
    assert flags == ({"INT8"} if version == "8.6.1" else set())
    assert box.load(INT8).run({"x": FED})["doubled"].dtype == np.float32
    kept = msgspec.structs.replace(NETWORK, float_products=("a",))
    assert box.plugin.key(kept, ONNX, INT8) != box.plugin.key(NETWORK, ONNX, INT8)


@pytest.mark.parametrize("version", VERSIONS)
def test_dla_falls_back_to_the_gpu_by_layers(box: Box, version: str) -> None:
    """Core 1 of 2 is built for and loaded for; 8.6 and 10 want the flag for fp16, 11 has none."""
    assert box.plugin.probe().providers == ("gpu", "dla0", "dla1")
    box.build(DLA)
    flags = {flag.name for flag in box.trt.seen.flags}
    assert flags == {"GPU_FALLBACK"} | ({"FP16"} if not version.startswith("11") else set())
    engine = box.load(DLA)
    assert engine.provider == "dla1"
    assert box.trt.seen.cores == [1]


def test_dla_in_fp32_is_refused(box: Box) -> None:
    """The DLA has no fp32: 1013 with both ways out."""
    error = refused(box, "build", EngineOptions("dla0"))
    assert error.code is ErrorCode.INIT_FAIL
    assert "engine.precision" in error.hint


def test_workspace_is_half_of_the_free_memory(box: Box) -> None:
    """What others hold is theirs."""
    box.gpu.take(1 << 20)
    box.build()
    assert box.trt.seen.workspace == (box.gpu.total_bytes - (1 << 20)) // 2


@pytest.mark.parametrize("version", ["8.6.1"])
@pytest.mark.parametrize("found", ["7.1.3", "8.5.2", "9.3.0", "12.0.0", "next"])
def test_probe_of_an_unsupported_version_says_which_are(box: Box, found: str) -> None:
    """Another version is not tried; the message has its number."""
    box.trt.__version__ = found
    capability = box.plugin.probe()
    assert not capability.is_available
    assert found in capability.problem
    assert "8.6, 10 and 11" in capability.problem


def test_probe_without_a_gpu_says_what_is_missing(box: Box) -> None:
    """TensorRT is here, a device is not: both stand in the report."""
    box.gpu.count = 0
    capability = box.plugin.probe()
    assert (capability.version, capability.providers) == ("10.3.0", ())
    assert "NO_DEVICE" in capability.problem


def test_load_without_an_engine_names_the_command(box: Box) -> None:
    """Nothing is built in a load: 1029 with the command that builds."""
    error = refused(box, "load")
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "livegate engines build" in error.hint
    assert box.plugin.why_unbuilt(NETWORK, ONNX, FP32) == error.message
    assert box.trt.seen.builds == 0
    box.build()
    assert box.plugin.why_unbuilt(NETWORK, ONNX, FP32) == ""


def test_damaged_plan_never_reaches_the_library(box: Box) -> None:
    """It is refused before anything is deserialised (the fake would unpickle it)."""
    box.build()
    (path,) = box.cache.folder.glob("*.plan")
    path.write_bytes(b"x" + path.read_bytes()[1:])
    box.trt.Runtime.deserialize_cuda_engine = None  # whoever calls it fails
    assert "damaged" in box.plugin.why_unbuilt(NETWORK, ONNX, FP32)
    error = refused(box, "load")
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "damaged" in error.message


def test_engine_of_another_version_is_another_engine(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an update the old plan is not found, and is told as foreign."""
    box.build()
    key = box.plugin.key(NETWORK, ONNX, FP32)
    assert box.plugin.fits_here(key) is True
    newer = Box(*install_tensorrt(monkeypatch, "10.13.3.9"), box.cache.folder)
    assert newer.plugin.fits_here(key) is False
    assert "livegate engines build" in refused(newer, "load").hint


@pytest.mark.parametrize(
    ("part", "value", "call", "code", "said"),
    [
        ("builder", True, "build", ErrorCode.INIT_FAIL, "CUDA initialization failure"),
        (
            "build",
            "Could not find any implementation",
            "build",
            ErrorCode.MODELINIT_FAIL,
            "any implement",
        ),
        ("build", "[defaultAllocator] OutOfMemory", "build", ErrorCode.ALLOC_MEM, "OutOfMemory"),
        ("deserialise", "magic tag is wrong", "load", ErrorCode.MODELINIT_FAIL, "magic tag"),
        ("context", True, "load", ErrorCode.ALLOC_MEM, "out of memory"),
    ],
)
def test_failure_keeps_what_the_library_said(
    box: Box, part: str, value: Any, call: str, code: ErrorCode, said: str
) -> None:
    """Calls answer None; the reason stands in the vendor's log, and so in our message."""
    if call == "load":
        box.build()
    setattr(box.trt.breaks, part, value)
    error = refused(box, call)
    assert error.code is code
    assert said in error.message


def test_file_that_is_no_network_says_what_the_parser_said(box: Box) -> None:
    """Not ONNX: 1029 with the parser's own words."""
    error = refused(box, "build", FP32, b"rubbish")
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "is not read" in error.message


def test_file_of_another_network_is_refused_before_it_is_built(box: Box) -> None:
    """Minutes are not spent on what the manifest does not know."""
    other = msgspec.structs.replace(NETWORK, input=msgspec.structs.replace(NETWORK.input, name="y"))
    with pytest.raises(SetupError, match="the manifest says 'y'"):
        box.plugin.build(other, ONNX, FP32, Watch("m", "n", lambda progress: None))
    assert box.trt.seen.builds == 0


def test_network_without_ranges_is_refused(box: Box) -> None:
    """A free dimension needs a range: 1029 names it."""
    other = msgspec.structs.replace(NETWORK, ranges={})
    with pytest.raises(SetupError, match="no ranges for batch, height, width"):
        box.plugin.key(other, ONNX, FP32)


def test_all_memory_is_taken_at_load_and_given_back(box: Box) -> None:
    """Runs take none; after `close` nothing is held, also for runs that were under way."""
    box.build()
    engine = box.load()
    held = dict(box.gpu.blocks)
    assert held
    for _ in range(3):
        engine.run({"x": FED})
    assert box.gpu.blocks == held
    engine.close()
    assert not box.gpu.blocks
    assert not box.gpu.streams
    assert not box.gpu.events


def test_run_that_fails_on_the_device_drops_its_lane(box: Box) -> None:
    """An error that the device tells is 1030; the next run has a new lane."""
    box.build()
    engine = box.load()
    box.gpu.failure = 700
    with pytest.raises(EngineError, match="ILLEGAL_ADDRESS"):
        engine.run({"x": FED})
    np.testing.assert_array_equal(engine.run({"x": FED})["doubled"], 2 * FED)
    box.trt.breaks.execute = True
    with pytest.raises(EngineError, match="did not run"):
        engine.run({"x": FED})
    engine.close()
    assert not box.gpu.blocks


def test_run_beyond_the_ranges_names_them(box: Box) -> None:
    """A shape that the engine was not built for is 1030 with the manifest's field."""
    box.build()
    with pytest.raises(EngineError, match=r"\[networks.ranges\]"):
        box.load().run({"x": np.zeros((1, 3, 200, 8), np.float32)})


def test_lane_without_device_memory_is_told(box: Box) -> None:
    """Too little memory for the largest shape is 1007, and nothing is left behind."""
    box.build()
    box.gpu.total_bytes = 1000
    error = refused(box, "load")
    assert error.code is ErrorCode.ALLOC_MEM
    assert not box.gpu.blocks


@pytest.mark.parametrize("version", VERSIONS)
def test_build_tells_its_progress(box: Box, version: str) -> None:
    """From 10 on the phases of the library; 8.6 tells that it tells none."""
    told: list[Any] = []
    box.build(watch=Watch("tiny", "tiny", told.append))
    phases = {progress.phase for progress in told}
    if version == "8.6.1":
        assert phases == {"building (this version tells no progress)"}
    else:
        assert phases == {"Building engine", "Timing graph nodes"}
        assert told[-1].part == 1.0


def test_build_that_is_given_up_leaves_the_old_engine(box: Box) -> None:
    """The monitor's answer ends the build; what was built before still loads."""
    box.build()
    watch = Watch("tiny", "tiny", lambda progress: watch.cancel())
    assert "cancelled" in refused(box, "build", FP32, ONNX, watch).message
    assert box.load().run({"x": FED})


def test_timing_is_kept_and_a_foreign_one_dropped(box: Box) -> None:
    """The second build begins with what the first one measured; what is not its own is refused."""
    key = box.plugin.key(NETWORK, ONNX, FP32)
    box.build()
    box.build()
    assert box.cache.timing(key) == b"++"
    box.cache.keep_timing(key, b"foreign")
    box.build()
    assert box.cache.timing(key) == b"+"


def test_build_while_another_builds_is_refused(box: Box) -> None:
    """Two would measure each other: 1017."""
    with box.cache.building():
        assert refused(box, "build").code is ErrorCode.BUSY
