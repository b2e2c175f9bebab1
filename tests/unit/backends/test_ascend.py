"""The Ascend backend on fakes of CANN: what it asks for, refuses and gives back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from acl_fake import PAGES, SOC, FakeNpu, install_acl
from livegate.app.build import build_pipeline
from livegate.app.checkup import Grade, _backends
from livegate.backends.ascend import Plugin
from livegate.backends.ascend.aipp import aipp_config, suits_aipp
from livegate.backends.ascend.converting import PRECISION_MODES, atc_command, profiles_of
from livegate.backends.ascend.messages import NAMES, OURS, AclError, run_error, setup_error
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.telemetry import StageClock
from livegate.devices.npusmi import npu_states
from livegate.engines.base import EngineOptions, fed_network
from livegate.engines.builds import Watch
from livegate.engines.cache import EngineCache
from livegate.engines.golden import stray
from livegate.engines.specimen import draw_face, golden_inputs
from livegate.manifests.schema import InputTensor, Network
from livegate.manifests.store import ModelStore
from livegate.preprocess.scratch import Scratch
from support import HANG_S, ROOT, config_with, shared, shipped_manifest, tiny_manifest, tiny_onnx

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")
ONNX = tiny_onnx()
TINY = tiny_manifest(ONNX).networks[0]
FP32, FP16 = EngineOptions("npu", parallel_runs=2), EngineOptions("npu", precision="fp16")
SCALED = InputTensor(
    name="x", shape=(1, 3, 4, 5), layout="NCHW", dtype="float32", colour="RGB",
    scale=(1 / 128, 0.5, 1.0), mean=(0.99609375, 0.0, 123.675),
)  # fmt: skip
"""Numbers of three kinds; the first are FSA-Net's."""


def fixed(**changes: Any) -> Network:
    """The tiny network with one shape, and other values for some keys."""
    told: dict[str, Any] = {"input": SCALED, "precisions": ("fp32", "fp16"), **changes}
    outputs = (msgspec.structs.replace(TINY.outputs[0], shape=(1, 3, 4, 5)),)
    return msgspec.structs.replace(TINY, outputs=outputs, ranges={}, sizes=(), **told)


def batched(least: int, greatest: int) -> Network:
    """The tiny network with a free batch."""
    shape = ("batch", 3, 4, 5)
    spec = InputTensor(name="x", shape=shape, layout="NCHW", dtype="float32", colour="BGR")
    outputs = (msgspec.structs.replace(TINY.outputs[0], shape=shape),)
    ranges = {"batch": (least, least, greatest)}
    return msgspec.structs.replace(TINY, input=spec, outputs=outputs, ranges=ranges, sizes=())


class Box:
    """A box with CANN."""

    def __init__(self, npu: FakeNpu, folder: Path) -> None:
        """Nothing is converted."""
        self.npu, self.cache = npu, EngineCache(folder)
        self.plugin = Plugin(self.cache)

    def engine(self, network: Network = TINY, options: EngineOptions = FP32, model: bytes = ONNX) -> Any:
        """Convert and load."""
        watch = Watch("tiny", network.name, lambda progress: None)
        self.plugin.build(network, model, options, watch)
        return self.plugin.load(network, model, options)

    def om(self, network: Network = TINY, options: EngineOptions = FP32) -> Any:
        """What the fake keeps in a converted model."""
        return json.loads(self.cache.plan(self.plugin.key(network, ONNX, options)) or b"")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Box]:
    """A box with one NPU; at the end nothing was done that the documentation forbids."""
    made = Box(install_acl(monkeypatch, tmp_path), tmp_path / "engines")
    yield made
    assert made.npu.violations == []


def feed(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def refused(call: Any, *arguments: Any) -> Any:
    """The error of a call."""
    with pytest.raises((SetupError, EngineError)) as caught:
        call(*arguments)
    return caught.value


# --- what is here -------------------------------------------------------------------------------


def test_probe_tells_the_releases_and_the_provider(box: Box) -> None:
    """CANN's of the toolkit, and that of the interface."""
    capability = box.plugin.probe()
    assert (capability.version, capability.providers) == ("CANN 8.0.0, acl 1.12.0", ("npu",))
    assert capability.precisions == ("fp32", "fp16")
    Plugin(box.cache).probe()  # a second one in the process hears that ACL is started already
    assert box.npu.calls["init"] == 2


def test_probe_without_a_device_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CANN installed on a box without the card."""
    install_acl(monkeypatch, tmp_path, count=0)
    capability = Plugin(EngineCache(tmp_path)).probe()
    assert (capability.providers, "no device" in capability.problem) == ((), True)


def test_probe_that_fails_keeps_acls_number_and_words(box: Box) -> None:
    """A driver that is not up."""
    box.npu.failures["get_device_count"] = 500004
    problem = box.plugin.probe().problem
    assert "acl.rt.get_device_count: ACL error 500004 (ACL_ERROR_DRV_FAILURE)" in problem
    assert "EL0004: Failed to allocate memory." in problem


def test_load_without_cann_is_1013(tmp_path: Path) -> None:
    """As other backends without their library."""
    plugin = Plugin(EngineCache(tmp_path))
    if plugin.probe().is_available:
        pytest.skip("CANN is here")
    error = refused(plugin.why_unbuilt, TINY, ONNX, FP32)
    assert error.code is ErrorCode.INIT_FAIL
    assert "docs/ascend.md" in error.message


def test_key_has_everything_that_can_break_a_model(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chip, CANN, the graph, the precision, the profiles and what AIPP is told."""
    key = box.plugin.key(TINY, ONNX, FP32)
    assert (key.gpu, key.library, key.precision) == (SOC, "CANN 8.0.0, acl 1.12.0", "fp32")
    found = {key.digest}
    other = msgspec.structs.replace
    for network, model, options in (
        (TINY, ONNX + b" ", FP32),
        (TINY, ONNX, FP16),
        (other(TINY, sizes=((4, 5),)), ONNX, FP32),
        (fixed(), ONNX, FP16),
        (fixed(input=other(SCALED, colour="BGR")), ONNX, FP16),
    ):
        found.add(box.plugin.key(network, model, options).digest)
    monkeypatch.setattr("livegate.backends.ascend.plugin.ascend_driver", lambda: "24.1.0")
    found.add(box.plugin.key(TINY, ONNX, FP32).digest)
    assert len(found) == 7


def test_model_of_another_chip_or_release_is_not_of_this_box(box: Box) -> None:
    """`livegate engines prune` removes it."""
    key = box.plugin.key(TINY, ONNX, FP32)
    assert box.plugin.fits_here(key) is True
    for change in ({"gpu": "Ascend310B1"}, {"library": "CANN 7.0.0, acl 1.7.0"}):
        assert box.plugin.fits_here(msgspec.structs.replace(key, **change)) is False


# --- what atc is told ---------------------------------------------------------------------------


def test_atc_is_told_sizes_batches_or_one_shape(box: Box) -> None:
    """Profiles of one kind; nothing where the shape is fixed."""
    told = dict(
        argument.removeprefix("--").split("=", 1)
        for argument in atc_command("atc", TINY, "fp32", SOC, Path("/w"))[1:]
    )
    assert told == {
        "model": "/w/model.onnx",
        "framework": "5",
        "output": "/w/model",
        "soc_version": SOC,
        "input_format": "NCHW",
        "input_shape": "x:1,3,-1,-1",
        "out_nodes": "doubled",
        "output_type": "FP32",
        "precision_mode": "force_fp32",
        "log": "error",
        "dynamic_image_size": "1,1;2,2;4,5;8,8;9,2;96,128;128,96",
    }
    batches = atc_command("atc", batched(1, 6), "fp16", SOC, Path("/w"))
    assert "--dynamic_batch_size=1,2,4,6" in batches
    assert "--input_shape=x:-1,3,4,5" in batches
    one = atc_command("atc", fixed(), "fp32", SOC, Path("/w"))
    assert "--input_shape=x:1,3,4,5" in one
    assert not [argument for argument in (*one, *batches) if "image_size" in argument]


@pytest.mark.parametrize("model_id", ["lg_detect", "yunet_n"])
def test_detectors_are_built_for_every_size_that_a_letterbox_makes(model_id: str) -> None:
    """One side is the usual long one, the other any multiple of 32; and the golden pictures."""
    sizes = profiles_of(shipped_manifest(model_id).networks[0]).sizes
    assert {(320, 320), (256, 320), (320, 32), (192, 320), (96, 128), (128, 96)} <= set(sizes)
    assert len(sizes) == 19 + 2


def test_more_profiles_than_atc_takes_are_refused() -> None:
    """With the field that names fewer."""
    many = tuple((side, side) for side in range(1, 101))
    error = refused(profiles_of, msgspec.structs.replace(TINY, sizes=many))
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "networks.sizes" in error.hint


def test_every_shipped_network_can_be_asked_of_atc() -> None:
    """The manifests have the ranges that it needs."""
    store = ModelStore(package=ROOT / "models")
    for model_id in store.ids():
        for network in store.manifest(model_id).networks:
            assert "ascend" in network.backends
            for precision in sorted(set(network.precisions) & set(PRECISION_MODES)):
                assert atc_command("atc", network, precision, SOC, Path("/w"))


def test_conversion_that_fails_keeps_atcs_number(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the old model, if there was one."""
    box.engine().close()
    monkeypatch.setenv("FAKE_ATC", "refuse")
    watch = Watch("tiny", "tiny", lambda progress: None)
    error = refused(box.plugin.build, TINY, ONNX, FP32, watch)
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "E19010: No parser is registered for Op [PRelu]" in error.message
    assert box.plugin.why_unbuilt(TINY, ONNX, FP32) == ""


def test_conversion_that_is_given_up_ends_atc(
    box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C leaves no process behind."""
    started = tmp_path / "started"
    monkeypatch.setenv("FAKE_ATC", "hang")
    monkeypatch.setenv("FAKE_ATC_STARTED", str(started))
    watch = Watch("tiny", "tiny", lambda progress: None)
    with ThreadPoolExecutor(1) as threads:
        building = threads.submit(box.plugin.build, TINY, ONNX, FP32, watch)
        until_s = time.monotonic() + HANG_S
        while not (started.exists() and started.read_text()) and time.monotonic() < until_s:
            time.sleep(0.02)
        watch.cancel()
        error = building.exception(HANG_S)
    assert isinstance(error, SetupError)
    assert "given up" in error.message
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_box_without_atc_says_what_brings_it(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime alone (nnrt) has none."""
    monkeypatch.setenv("PATH", "/nowhere")
    error = refused(box.plugin.build, TINY, ONNX, FP32, Watch("tiny", "tiny", lambda progress: None))
    assert (error.code, "nnrt" in error.hint) == (ErrorCode.INIT_FAIL, True)


def test_load_never_converts(box: Box) -> None:
    """Nobody waits minutes for a start without knowing."""
    error = refused(box.plugin.load, TINY, ONNX, FP32)
    assert (error.code, "engines build" in error.hint) == (ErrorCode.MODELINIT_FAIL, True)


# --- AIPP ---------------------------------------------------------------------------------------


def test_aipp_is_told_colour_mean_and_scale() -> None:
    """(pixel - min_chn) * var_reci_chn is pixel * scale - mean; RGB exchanges blue and red."""
    lines = [line.strip() for line in aipp_config(SCALED).splitlines()]
    assert (lines[0], lines[-1]) == ("aipp_op {", "}")
    told = dict(line.split(": ") for line in lines[1:-1])
    assert told["input_format"] == "RGB888_U8"
    assert told["rbuv_swap_switch"] == "true"
    assert (told["src_image_size_w"], told["src_image_size_h"]) == ("5", "4")
    assert [told[f"min_chn_{channel}"] for channel in range(3)] == ["127.5", "0", "123.675"]
    assert [told[f"var_reci_chn_{channel}"] for channel in range(3)] == ["0.0078125", "0.5", "1"]
    free = msgspec.structs.replace(TINY.input, colour="BGR")
    assert "src_image_size_w: 0" in aipp_config(free)
    assert "rbuv_swap_switch: false" in aipp_config(free)


@pytest.mark.parametrize(
    ("changes", "suits"),
    [
        ({}, True),
        ({"mean": (-1.0, 0.0, 0.0)}, False),
        ({"mean": (0.0, 200.0, 0.0)}, False),
        ({"scale": (0.0, 1.0, 1.0)}, False),
        ({"scale": (-1.0, 1.0, 1.0)}, False),
    ],
)
def test_aipp_serves_only_what_its_ranges_hold(changes: dict[str, Any], suits: bool) -> None:
    """min_chn is 0..255: other tensors are made on the CPU."""
    assert suits_aipp(msgspec.structs.replace(SCALED, **changes)) is suits


def test_aipp_is_for_fp16_and_never_for_networks_that_read_bytes(box: Box) -> None:
    """fp32 is fp32; a network that takes the picture does the arithmetic itself."""
    assert box.engine(fixed(), FP32).input == SCALED
    assert box.om(fixed(), FP32)["aipp"] is None
    assert box.engine(fixed(), FP16).input == SCALED.as_picture()
    assert not suits_aipp(shipped_manifest("lg_detect").networks[0].input)


def test_engine_with_aipp_takes_the_picture_and_answers_as_the_network(box: Box) -> None:
    """Bytes in, NHWC, blue first; within half precision of the tensor that the CPU would make."""
    network = fixed()
    engine = box.engine(network, FP16)
    (picture, *_), (tensor, *_) = (
        list(golden_inputs(one)) for one in (fed_network(network, engine), network)
    )
    assert (picture.dtype, picture.shape) == (np.uint8, (1, 4, 5, 3))
    answer = engine.run({"x": picture})["doubled"]
    assert 0 < stray(answer, 2 * tensor) < 2e-3
    assert refused(engine.run, {"x": tensor}).code is ErrorCode.MODELINFER_FAIL
    engine.close()


# --- running ------------------------------------------------------------------------------------


def test_batches_run_in_the_next_profile_and_come_back_as_they_were(box: Box) -> None:
    """Three pictures go as four; what fills up does not come back."""
    engine = box.engine(batched(1, 4))
    for pictures in (1, 3, 4, 2):
        tensor = feed(pictures, 3, 4, 5)
        np.testing.assert_array_equal(engine.run({"x": tensor})["doubled"], 2 * tensor)
    assert box.npu.calls["execute_async"] == box.npu.calls["set_dynamic_batch_size"] == 4
    assert "ranges" in refused(engine.run, {"x": feed(5, 3, 4, 5)}).message
    engine.close()


def test_pictures_of_free_sizes_run_one_by_one(box: Box) -> None:
    """Sizes and batches cannot both be profiles."""
    engine = box.engine()
    tensor = feed(2, 3, 4, 5)
    np.testing.assert_array_equal(engine.run({"x": tensor})["doubled"], 2 * tensor)
    assert box.npu.calls["set_dynamic_hw_size"] == 2
    assert "networks.sizes" in refused(engine.run, {"x": feed(1, 3, 5, 4)}).message
    engine.close()


def test_everything_is_given_back(box: Box) -> None:
    """Contexts, streams, memory of both sides, models, descriptions, datasets, buffers."""
    engines = [box.engine(), box.engine(batched(1, 2)), box.engine(fixed(), FP16)]
    held = box.npu.left
    assert set(held) == {
        *("contexts", "streams", "device memory", "host memory", "models", "descriptions"),
        *("datasets", "buffers"),
    }
    for engine in engines:
        engine.close()
    assert box.npu.left == {}


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("malloc", 207001, ErrorCode.ALLOC_MEM),
        ("malloc_host", 207001, ErrorCode.ALLOC_MEM),
        ("create_stream", 207008, ErrorCode.ALLOC_MEM),
        ("create_context", 107001, ErrorCode.INIT_FAIL),
        ("set_device", 207006, ErrorCode.INIT_FAIL),
        ("get_run_mode", 500000, ErrorCode.MODELINIT_FAIL),
        ("load_from_mem", 100012, ErrorCode.MODELINIT_FAIL),
        ("get_desc", 100011, ErrorCode.MODELINIT_FAIL),
        ("get_input_dims", 100000, ErrorCode.MODELINIT_FAIL),
        ("get_input_index_by_name", 100000, ErrorCode.MODELINIT_FAIL),
        ("add_dataset_buffer", 100000, ErrorCode.MODELINIT_FAIL),
    ],
)
def test_load_that_fails_gives_everything_back_and_keeps_the_number(
    box: Box, call: str, status: int, code: ErrorCode
) -> None:
    """Wherever it fails, with a code of ours."""
    box.engine().close()
    box.npu.failures[call] = status
    error = refused(box.plugin.load, TINY, ONNX, FP32)
    assert error.code is code
    assert f"ACL error {status}" in error.message
    assert "EL0004: Failed to allocate memory." in error.message
    assert error.fields["acl_code"] == str(status)
    assert error.fields["acl_call"].endswith(call)
    assert box.npu.left == {}


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("memcpy_async", 100000, ErrorCode.MODELINFER_FAIL),
        ("set_dynamic_hw_size", 500002, ErrorCode.MODELINFER_FAIL),
        ("execute_async", 107003, ErrorCode.STREAM_INVALID),
        ("execute_async", 207001, ErrorCode.ALLOC_MEM),
        ("synchronize_stream", 107020, ErrorCode.TIMEOUT),
        ("synchronize_stream", 507011, ErrorCode.MODELINFER_FAIL),
        ("set_context", 207004, ErrorCode.INIT_FAIL),
    ],
)
def test_run_that_fails_is_told_and_the_next_one_works(
    box: Box, call: str, status: int, code: ErrorCode
) -> None:
    """The lane goes with whatever state it is in; another takes its place."""
    engine = box.engine()
    box.npu.failures[call] = status
    error = refused(engine.run, {"x": feed(1, 3, 4, 5)})
    assert isinstance(error, EngineError)
    assert error.code is code
    assert f"ACL error {status}" in error.message
    for _ in range(3):
        np.testing.assert_array_equal(
            engine.run({"x": feed(1, 3, 4, 5)})["doubled"], 2 * feed(1, 3, 4, 5)
        )
    engine.close()
    assert box.npu.left == {}


def test_threads_each_choose_the_context_and_run_their_own_model(box: Box) -> None:
    """More threads than lanes: more lanes; nobody runs a model twice at once."""
    engine = box.engine()

    def ask(number: int) -> bool:
        tensor = np.full((1, 3, 8, 8), number, np.float32)
        return bool((engine.run({"x": tensor})["doubled"] == 2 * number).all())

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(100), timeout=HANG_S))
    engine.close()
    assert box.npu.left == {}


def test_program_on_the_ascend_itself_loads_from_device_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the run mode is ACL_DEVICE, as on an Atlas 200 DK."""
    box = Box(install_acl(monkeypatch, tmp_path, runs_on_device=True), tmp_path / "engines")
    engine = box.engine()
    np.testing.assert_array_equal(engine.run({"x": feed(1, 3, 8, 8)})["doubled"], 2 * feed(1, 3, 8, 8))
    engine.close()
    assert (box.npu.left, box.npu.violations) == ({}, [])


def test_other_model_than_the_manifests_is_refused(box: Box) -> None:
    """A record whose plan was converted of something else."""
    box.engine().close()
    key = box.plugin.key(TINY, ONNX, FP32)
    other = box.om()
    for changes in ({"name": "y"}, {"outputs": []}, {"sizes": [], "dims": [1, 3, 4, 5]}):
        box.cache.keep(key, json.dumps({**other, **changes}).encode(), 1.0)
        assert refused(box.plugin.load, TINY, ONNX, FP32).code is ErrorCode.MODELINIT_FAIL
        assert box.npu.left == {}


# --- the whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", ["starter", "reference"])
def test_packs_are_converted_proved_and_judge_a_frame(
    box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pack: str
) -> None:
    """Every network passes the golden gate; in fp16 the reference pack is fed with pictures."""
    from livegate.app.enginebuilds import EngineBuilds, wanted_engines

    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    keys: dict[str, Any] = {"backend": "ascend", "precision": "fp16"}
    dirs = (str(shared("models", "reference")),) if pack == "reference" else ()
    config = config_with(engine=keys, models={"pack": pack, "dirs": dirs}, server={"workers": 1})
    store = ModelStore([Path(folder) for folder in dirs])
    EngineBuilds().run(list(wanted_engines(config, store)))
    pipeline = build_pipeline(config, store)
    assert {info.provider for info in pipeline.engines} == {"npu"}
    with_aipp = [om for om in box.npu.held["models"].values() if om.aipp]
    assert bool(with_aipp) == (pack == "reference")
    frame = Frame(draw_face(1, 0, 240, 320), 0)
    found = pipeline.run(frame, pipeline.plan((1031,)), StageClock(), Scratch())
    told = {info.network: info.precision for info in pipeline.engines}
    assert told["detector"] == ("fp16" if pack == "reference" else "fp32")
    assert len(found["face_detection"]) == 1
    pipeline.close()
    assert box.npu.left == {}


# --- the numbers, the fake, the device ----------------------------------------------------------


@pytest.mark.parametrize("status", sorted({*NAMES, *OURS}))
def test_every_number_of_the_table_has_a_name_and_keeps_it(status: int) -> None:
    """In the message, beside a code of ours; before a run and in it."""
    error = AclError(status, "acl.rt.malloc", "its words")
    for made, otherwise in (
        (setup_error("a fact", error), ErrorCode.MODELINIT_FAIL),
        (run_error("a fact", error), ErrorCode.MODELINFER_FAIL),
    ):
        assert made.code is OURS.get(status, otherwise)
        assert made.message == f"a fact: acl.rt.malloc: ACL error {status} ({NAMES[status]}): its words"
        assert made.fields == {"acl_code": str(status), "acl_call": "acl.rt.malloc"}


def test_number_that_nobody_knows_is_told_all_the_same() -> None:
    """The next release has new ones."""
    error = run_error("a fact", AclError(599999, "acl.mdl.execute_async"))
    assert (error.code, "ACL error 599999" in error.message) == (ErrorCode.MODELINFER_FAIL, True)


def test_every_call_of_the_backend_is_in_the_fake_under_its_page(box: Box) -> None:
    """The sources' calls, read from their text; each function of the fake begins with its page."""
    folder = ROOT / "runtime" / "livegate" / "backends" / "ascend"
    text = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
    named = set(re.findall(r"\bacl\.(?:rt\.|mdl\.|util\.)?([a-z_]+)", text))
    named |= set(re.findall(r"\b_acl\.(?:rt\.|mdl\.|util\.)?([a-z_]+)", text))
    named |= set(re.findall(r"\bmdl\.([a-z_]+)", text))
    named -= {"rt", "mdl", "util"}
    assert len(named) >= 35
    assert named == set(PAGES) - {"get_recent_err_msg"}
    for name, page in PAGES.items():
        assert re.match(rf"\[{name}(, \d\d_\d{{4}})?\] ", page), page


TABLE = """\tNPU ID\tChip ID\tChip Logic ID\tChip Name
\t2\t0\t0\tAscend 310P3
\t2\t1\t-\tMcu
"""


def answered(health: str, heat: str = "45") -> Any:
    """npu-smi with one chip."""

    def ask(command: Any) -> str:
        if command[2] == "-m":
            return TABLE
        assert tuple(command[4:]) == ("-i", "2", "-c", "0")
        told = {"health": f"\tHealth Status : {health}\n", "temp": f"\tNPU Temperature (C) : {heat}\n"}
        return told[command[3]]

    return ask


def test_device_that_is_well_is_told_with_its_heat() -> None:
    """One line for each chip; the card's controller is none."""
    (state,) = npu_states(answered("OK"))
    assert (state.name, state.fact) == ("npu 2.0 (Ascend 310P3)", "health OK, 45 degrees Celsius")
    assert state.problem == ""


@pytest.mark.parametrize("health", ["Warning", "Alarm", "Critical"])
def test_device_that_is_not_well_is_a_problem_in_doctor(
    box: Box, monkeypatch: pytest.MonkeyPatch, health: str
) -> None:
    """With the word that npu-smi has for it."""
    monkeypatch.setattr("livegate.backends.ascend.plugin.ask", answered(health))
    monkeypatch.setattr("livegate.app.checkup.load_backend", lambda name: box.plugin)
    monkeypatch.setattr("livegate.app.checkup.plugin_names", lambda package: ("ascend",))
    found = [one for one in _backends() if one.subject.startswith("npu ")]
    assert [(one.grade, one.fact) for one in found] == [
        (Grade.BAD, f"npu 2.0 (Ascend 310P3) reports health {health}")
    ]


def test_device_that_tells_nothing_is_no_problem() -> None:
    """An npu-smi that is not here, or may not be asked."""
    assert npu_states(lambda command: "") == ()
    (state,) = npu_states(lambda command: TABLE if command[2] == "-m" else "")
    assert (state.health, state.celsius, state.problem) == ("UNKNOWN", None, "")


def test_isolated_python_finds_pyacl_in_the_toolkit(tmp_path: Path) -> None:
    """An installed bundle runs with -I, so PYTHONPATH of set_env.sh does not reach it."""
    folder = tmp_path / "python/site-packages"
    folder.mkdir(parents=True)
    (folder / "acl.py").write_text("raise ImportError('this is the toolkit of the box')\n")
    look = "from livegate.backends.ascend import Plugin; print(Plugin().probe().problem)"
    environ = {"ASCEND_TOOLKIT_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-c", look]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, env=environ)
    assert "this is the toolkit of the box" in done.stdout
