"""TensorRT engines that are fed with frames: golden gate, pipelines, and what is left of them.

TensorRT and CUDA are fakes, the kernel is its own source on this CPU, the networks run on ONNX Runtime.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from gpu_kit import Box, loaded, nv12_of, pipeline
from livegate.backends.tensorrt import Plugin
from livegate.core.errors import EngineError, ErrorCode, RequestError, SetupError
from livegate.core.frame import Frame, RawPixels
from livegate.core.results import FacePoints
from livegate.core.telemetry import StageClock
from livegate.devices.device import GpuFacts
from livegate.engines.base import Preprocess
from livegate.engines.specimen import draw_face
from livegate.kernels.launch import Launch
from livegate.preprocess.cpu import bgr_from_nv12, tensor_from_letterbox
from livegate.preprocess.cut import Cut, CutInput, as_tensor
from livegate.preprocess.ops import LetterboxPlan, TurnedPlan
from livegate.preprocess.scratch import Scratch
from livegate.shm.budget import MIB, SegmentBudget
from livegate.shm.geometry import geometry_for
from livegate.shm.layout import PixelFormat
from livegate.shm.segment import make_segment
from support import tiny_manifest, tiny_onnx
from tensorrt_fake import install_tensorrt

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", reason="the fake computes with onnxruntime")
ONNX = tiny_onnx()
NETWORK = tiny_manifest(ONNX).networks[0]
PLAN = LetterboxPlan(6, 4, 8, 8, 0.5, 0.5)
PICTURE = Frame(np.random.default_rng(3).integers(0, 256, (8, 12, 3), np.uint8), 0)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Box:
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path))
    return Box(*install_tensorrt(monkeypatch, "10.3.0"), tmp_path / "engines")


def test_engine_takes_a_frame_as_it_takes_its_tensor(box: Box) -> None:
    """The kernel writes where the network reads; plainly first, then before a graph."""
    engine = box.engine("gpu")
    cut = as_tensor(Cut(PICTURE, PLAN, engine.input, 5))
    expected = 2 * tensor_from_letterbox(PICTURE, PLAN, NETWORK.input, 5, Scratch(), "x")
    for _ in range(4):
        answer = engine.run({"x": cut})["doubled"]
        assert np.abs(answer - expected).max() <= 2 * 1.001
        other = np.ones((1, 3, 8, 8), np.float32)
        np.testing.assert_array_equal(engine.run({"x": other})["doubled"], 2 * other)
    assert engine.graph_runs().recorded_runs
    engine.close()
    assert not box.gpu.blocks
    assert box.modules[0].is_closed


def test_auto_reads_a_producers_slot_in_place(box: Box) -> None:
    """A slot of the frame queue is cut where it lies, every other frame by the CPU."""
    engine = box.engine("auto")
    segment = make_segment("door", geometry_for(12, 8, PixelFormat.BGR), 3, SegmentBudget(MIB, dict))
    row = np.zeros((8, segment.geometry.stride), np.uint8)
    row[:, :36] = PICTURE.pixels.reshape(8, 36)
    os.pwrite(segment.fd, row.tobytes(), segment.offset(1))
    pixels = segment.geometry.shape(segment.in_place(1))
    frame = Frame(pixels, 0, RawPixels(pixels, is_nv12=False, block=segment, offset=segment.offset(1)))
    fed, made = (
        tensor_from_letterbox(one, PLAN, engine.input, 5, Scratch(), "x") for one in (frame, PICTURE)
    )
    assert (type(fed), type(made)) == (Cut, np.ndarray)
    held = dict(box.gpu.blocks)
    answer = engine.run({"x": fed})["doubled"]
    assert np.abs(answer - 2 * made).max() <= 2 * 1.001
    assert list(box.gpu.mapped.values()) == [segment.total_bytes]
    assert box.gpu.blocks == held, "the frame was copied"
    del fed, frame, pixels
    segment.close()
    assert not box.gpu.mapped
    engine.close()


@pytest.mark.parametrize(
    ("preprocess", "integrated", "told"),
    [
        ("cpu", 1, "cpu"),
        ("auto", 1, "gpu for frames in place"),
        ("auto", 0, "cpu"),
        ("gpu", 0, "gpu"),
    ],
)
def test_who_cuts_stands_in_the_engines_facts(
    box: Box, preprocess: Preprocess, integrated: int, told: str
) -> None:
    """`auto` asks for a GPU that reads frames in place; a card is asked for by name only."""
    box.gpu.integrated = integrated
    model = loaded(box, "tiny", preprocess)
    assert [info.preprocess for info in model.infos] == [told]
    assert isinstance(model.fed_manifest.networks[0].input, CutInput) is (told != "cpu")
    model.close()
    assert not box.gpu.blocks


def test_kernel_that_cuts_otherwise_leaves_it_to_the_cpu(box: Box) -> None:
    """Found before the engine serves: it serves all the same, and the log says what was found."""

    def spoil(launch: Launch, number: int) -> None:
        launch.arguments[1].is_rgb = 1  # type: ignore[union-attr]

    box.spoil = spoil
    with capture_logs() as logs:
        engine = box.engine("gpu")
    assert engine.input == NETWORK.input
    assert any("otherwise than the CPU" in one.get("why", "") for one in logs)
    assert box.modules[0].is_closed
    with pytest.raises(EngineError, match="a frame"):
        engine.run({"x": as_tensor(Cut(PICTURE, PLAN, NETWORK.input))})


def test_box_that_registers_no_memory_copies_only_when_asked(box: Box) -> None:
    """auto is for frames in place: where the driver refuses them, the CPU cuts; gpu goes on."""
    box.gpu.refuses_to_map = True
    for preprocess, is_cut in (("auto", False), ("gpu", True)):
        engine = box.engine(preprocess)  # type: ignore[arg-type]
        assert isinstance(engine.input, CutInput) is is_cut
        engine.close()
    assert all(module.is_closed for module in box.modules)
    assert not box.gpu.blocks


def test_box_without_code_for_its_gpu_leaves_it_to_the_cpu(box: Box) -> None:
    """No fatbin and no compiler."""

    def fail(facts: GpuFacts) -> Any:
        raise SetupError(ErrorCode.INIT_FAIL, "no NVRTC")

    box.plugin = Plugin(box.cache, fail)
    engine = box.engine("gpu")
    assert engine.input == NETWORK.input


@pytest.mark.parametrize(
    "error", [RequestError(ErrorCode.OUT_OF_MEM, "the budget is spent"), OSError(12, "no memory")]
)
def test_box_without_memory_for_the_proof_leaves_it_to_the_cpu(
    box: Box, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A slot that is not made ends no start: the log says why the CPU cuts."""

    def refuse(*told: Any) -> None:
        raise error

    monkeypatch.setattr("livegate.devices.proof.make_segment", refuse)
    with capture_logs() as logs:
        engine = box.engine("gpu")
    assert engine.input == NETWORK.input
    assert [one["why"] for one in logs if one["event"] == "frames are cut by the CPU"] == [str(error)]
    assert box.modules[0].is_closed


def test_face_out_of_reach_costs_no_lane(box: Box) -> None:
    """1030 before anything is asked of the device: the next run finds its lane."""
    engine = box.engine("gpu")
    sized = msgspec.structs.replace(engine.input, shape=(1, 3, 8, 8))
    streams = set(box.gpu.streams)
    with pytest.raises(EngineError, match="nonsense"):
        engine.run({"x": as_tensor(Cut(PICTURE, TurnedPlan(1e9, 0.0, 9.0, 9.0, 0.0), sized))})
    assert set(box.gpu.streams) == streams
    engine.close()


def test_golden_gate_feeds_pictures_as_well(box: Box) -> None:
    """A kernel that is wrong for this very engine: 1029, although every tensor is answered rightly."""

    def spoil(launch: Launch, number: int) -> None:
        crop: Any = launch.arguments[1]
        if number >= 6:  # behind the comparison with the CPU
            crop.scale[0] = 0.5

    box.spoil = spoil
    with pytest.raises(SetupError, match="strays from its golden values") as caught:
        loaded(box, "tiny", "gpu")
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert not box.gpu.blocks


def test_pipeline_judges_frames_as_it_does_on_the_cpu(box: Box) -> None:
    """Faces, silent score and landmarks of the starter pack, of BGR and of NV12: a letterbox and four
    crops, none made by the CPU, and the pipeline is the same.
    """
    pixels = draw_face(1, 0, 480, 640)
    raw = nv12_of(pixels)
    on_gpu, on_cpu = (pipeline(box, preprocess) for preprocess in ("gpu", "cpu"))
    for frame in (Frame(pixels, 0), Frame(bgr_from_nv12(raw.pixels, Scratch()), 0, raw)):
        before = [module.launches for module in box.modules]
        found, told = (
            one.run(frame, one.plan_tasks(("silent_liveness", "landmarks")), StageClock(), Scratch())
            for one in (on_gpu, on_cpu)
        )
        (face, *_), (other, *_) = found["face_detection"], told["face_detection"]
        np.testing.assert_allclose(numbers_of(face), numbers_of(other), atol=1.5)
        np.testing.assert_allclose(points_of(found["landmarks"]), points_of(told["landmarks"]), atol=1.5)
        assert found["silent_liveness"] == pytest.approx(told["silent_liveness"], abs=0.02)
        after = [module.launches for module in box.modules]
        assert [b - a for a, b in zip(before, after, strict=True)] == [1] * 5
    for one in (on_gpu, on_cpu):
        one.close()
    assert not box.gpu.blocks


def numbers_of(face: Any) -> list[float]:
    """A face as numbers of pixels."""
    box = face.box
    return [box.x, box.y, box.width, box.height, *(place for point in face.landmarks for place in point)]


def points_of(points: FacePoints) -> list[tuple[float, float]]:
    """The landmarks of a face, one behind the other."""
    rings = (points.image_left_eye, points.image_right_eye, points.inner_lips, points.mouth_corners)
    return [*(point for ring in rings for point in ring), points.nose_tip, points.chin]
