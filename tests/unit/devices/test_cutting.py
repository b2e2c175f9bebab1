"""Frames into tensors on a GPU: the kernels' own sources on this CPU, in a fake stream's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from cuda_fake import FakeGpu, install_fake
from kernels_on_cpu import InOrder
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame, RawPixels
from livegate.devices.cutting import CutRoom, Cutter
from livegate.devices.device import CudaError, Device, Stream, load_driver
from livegate.kernels.launch import Launch
from livegate.manifests.schema import InputTensor, Letterbox
from livegate.preprocess.cpu import (
    bgr_from_nv12,
    tensor_from_crop,
    tensor_from_letterbox,
    tensor_from_turned,
)
from livegate.preprocess.cut import MAX_COPIED_BYTES, Cut, cut_input
from livegate.preprocess.ops import CropPlan, TurnedPlan, plan_letterbox
from livegate.preprocess.scratch import Scratch

BYTES = InputTensor(name="x", shape=(1, 40, 48, 3), layout="NHWC", dtype="uint8", colour="BGR")
SCALED = InputTensor(
    name="x",
    shape=(1, 3, 40, 48),
    layout="NCHW",
    dtype="float32",
    colour="RGB",
    scale=(1 / 255, 0.5, 1.0),
    mean=(0.485, -3.0, 123.675),
)
NOISE = np.random.default_rng(1).integers(0, 256, (96, 96), np.uint8)
NV12 = RawPixels(NOISE, is_nv12=True)
LETTERBOX = plan_letterbox(96, 64, Letterbox(multiple_of=32), 48)
REGION = CropPlan(11, 7, 80, 60)


class Block:
    """Memory of a producer that the device was shown, or was not."""

    def __init__(self, address: int | None) -> None:
        """Where its first byte is for the device."""
        self._address = address

    def device_address(self, share: object) -> int | None:
        """As told."""
        return self._address


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture
def device(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> Device:
    install_fake(monkeypatch, "cuda_python", gpu)
    return load_driver("cuda_python").open(0)


def made(device: Device, gpu: FakeGpu, *cuts: Cut) -> list[np.ndarray]:
    """The tensors of some cuts, one after the other in the same room."""
    with device.current():
        cutter = Cutter(device, lambda facts: InOrder(gpu))
        room, stream, event = CutRoom(cutter), device.stream(), device.event()
        tensors = []
        for cut in cuts:
            tensor = np.full(cut.shape, 99, cut.spec.dtype)
            room.cut(cut, tensor.ctypes.data, stream)
            stream.mark(event)
            event.wait()
            tensors.append(tensor)
        room.close()
        cutter.close()
        stream.close()
    assert not gpu.blocks
    return tensors


def frame(raw: RawPixels | None = None) -> Frame:
    """96x64 pixels of noise."""
    return Frame(bgr_from_nv12(NOISE, Scratch()), 0, raw)


@pytest.mark.parametrize("spec", [BYTES, SCALED])
@pytest.mark.parametrize("raw", [None, NV12], ids=["bgr", "nv12"])
def test_cut_is_what_the_cpu_makes(
    device: Device, gpu: FakeGpu, spec: InputTensor, raw: RawPixels | None
) -> None:
    """Letterbox and region of copied frames, within one level of the CPU's tensors."""
    own, picture = cut_input(spec, takes_copies=True), frame(raw)
    found = made(device, gpu, Cut(picture, LETTERBOX, own, 7), Cut(picture, REGION, own))
    scratch = Scratch()
    expected = [
        tensor_from_letterbox(picture, LETTERBOX, spec, 7, scratch, "a"),
        tensor_from_crop(picture, REGION, spec, scratch, "b"),
    ]
    scale = 1.0 if spec.is_picture else np.array(spec.scale).reshape(1, 3, 1, 1)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (np.abs(one.astype(float) - other) <= 1.0 * scale + 1e-4).all()


def test_turned_cut_reaches_over_the_edge_as_on_the_cpu(device: Device, gpu: FakeGpu) -> None:
    """Where the picture ends there is padding; a smooth picture, for OpenCV before 5 turns in steps."""
    plan = TurnedPlan(80.0, 10.0, 60.0, 50.0, 20.0)
    y, x = np.mgrid[:64, :96]
    smooth = np.stack((x, y, 128 + 0 * x), axis=-1).astype(np.uint8)
    picture = Frame(smooth, 0)
    (found,) = made(device, gpu, Cut(picture, plan, cut_input(BYTES, takes_copies=True), 0))
    expected = tensor_from_turned(picture, plan, BYTES, 0, Scratch(), "a")
    # At the edge the border's own blend differs by the steps of OpenCV's older releases.
    apart = np.abs(found.astype(int) - expected)
    assert np.percentile(apart, 95) <= 1
    assert (expected[0, 0, -1] == 0).all()
    assert (found[0, 0, -1] == 0).all()


@pytest.mark.parametrize("is_nv12", [False, True])
def test_slot_is_read_in_place(device: Device, gpu: FakeGpu, is_nv12: bool) -> None:
    """Rows with gaps, behind an offset: nothing is copied, and the tensor is the same."""
    rows, width = (96, 96) if is_nv12 else (64, 288)
    slot = np.full((rows + 2, width + 32), 0xEE, np.uint8)
    inside = slot[2:, :width]
    inside[:] = NOISE if is_nv12 else frame().pixels.reshape(64, 288)
    pixels = inside if is_nv12 else inside.reshape(64, 96, 3)
    offset = 2 * slot.strides[0]
    raw = RawPixels(pixels, is_nv12, Block(slot.ctypes.data), offset)  # type: ignore[arg-type]
    own = cut_input(SCALED, takes_copies=False)
    in_place = frame(raw)
    assert own.takes(in_place)
    copies = [frame(NV12 if is_nv12 else None)] * 2
    found = made(
        device,
        gpu,
        *(Cut(one, plan, own, 7) for one in (in_place, *copies[:1]) for plan in (LETTERBOX, REGION)),
    )
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])


def test_slot_that_the_device_was_refused_is_copied(device: Device, gpu: FakeGpu) -> None:
    """The same tensor by another way."""
    raw = RawPixels(frame().pixels, is_nv12=False, block=Block(None))  # type: ignore[arg-type]
    own = cut_input(BYTES, takes_copies=False)
    found = made(device, gpu, Cut(frame(raw), REGION, own), Cut(frame(), REGION, own))
    np.testing.assert_array_equal(found[0], found[1])


def test_who_takes_which_frame() -> None:
    """auto: frames in producers' memory; gpu: every frame that is not too large to be copied."""
    auto, gpu = (cut_input(BYTES, takes_copies=copies) for copies in (False, True))
    slot = frame(RawPixels(NOISE, is_nv12=True, block=Block(None)))  # type: ignore[arg-type]
    huge = np.broadcast_to(np.uint8(0), (MAX_COPIED_BYTES // 3 + 1, 1, 3))
    large = Frame(huge, 0, slot.raw)
    for one, told in ((slot, (True, True)), (frame(), (False, True)), (large, (False, False))):
        assert (auto.takes(one), gpu.takes(one)) == told


def test_cuts_are_equal_when_they_give_the_same_tensor() -> None:
    """So a network that two tasks share runs once; a copy is the cut itself."""
    own, picture = cut_input(BYTES, takes_copies=True), frame()
    cut = Cut(picture, REGION, own)
    assert np.array_equal(cut, Cut(picture, REGION, own))  # type: ignore[arg-type]
    for other in (Cut(frame(), REGION, own), Cut(picture, REGION, own, 9), Cut(picture, LETTERBOX, own)):
        assert not np.array_equal(cut, other)  # type: ignore[arg-type]
    assert not np.array_equal(cut, np.zeros(cut.shape))  # type: ignore[arg-type]
    assert cut.copy() is cut


def test_face_that_is_nowhere_near_is_an_error(device: Device, gpu: FakeGpu) -> None:
    """1030, as for the tensors of all faces."""
    plan = TurnedPlan(1e9, 0.0, 10.0, 10.0, 0.0)
    with pytest.raises(EngineError, match="nonsense"):
        made(device, gpu, Cut(frame(), plan, cut_input(BYTES, takes_copies=True)))


class Wrong(InOrder):
    """Launches with another number: the order of colours, or the padding."""

    broken = "is_rgb"

    def launch(self, launch: Launch, stream: object) -> None:
        """One number is another."""
        for argument in launch.arguments:
            if hasattr(argument, self.broken):
                setattr(argument, self.broken, int(not getattr(argument, self.broken)))
        super().launch(launch, stream)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "spec", [BYTES, SCALED, msgspec.structs.replace(BYTES, shape=("n", "h", "w", 3))]
)
def test_prove_finds_a_kernel_that_cuts_otherwise(
    device: Device, gpu: FakeGpu, spec: InputTensor
) -> None:
    """What is right passes; colours or a padding that are others do not."""
    with device.current():
        Cutter(device, lambda facts: InOrder(gpu)).prove(spec)
        for name in ("is_rgb", "pad"):
            Wrong.broken = name
            with pytest.raises(SetupError, match="otherwise than the CPU") as caught:
                Cutter(device, lambda facts: Wrong(gpu)).prove(spec)
            assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert not gpu.blocks


def test_prove_reads_a_slot_in_place_where_the_device_can(device: Device, gpu: FakeGpu) -> None:
    """Two launches more than on a card, of memory that was registered and is not any more."""
    mapped: list[int] = []
    gpu_map = gpu.map
    gpu.map = lambda address, size: mapped.append(size) or gpu_map(address, size)  # type: ignore[method-assign,func-returns-value]
    with device.current():
        cutter = Cutter(device, lambda facts: InOrder(gpu))
        cutter.prove(BYTES)
    assert cutter.module.launches == 6  # type: ignore[attr-defined]
    assert len(mapped) == 2
    assert not gpu.mapped


def unturned(gpu: FakeGpu, launch: Launch) -> None:
    """Turned rectangles are cut level."""
    crop: Any = launch.arguments[1]
    crop.frame_from_input[1] = 0


def without_border(gpu: FakeGpu, launch: Launch) -> None:
    """What lies beside the frame is its edge."""
    crop: Any = launch.arguments[1]
    crop.border = 0


def astray_in_place(gpu: FakeGpu, launch: Launch) -> None:
    """BGR in a slot is read one byte too far."""
    source: Any = launch.arguments[0]
    if gpu.host_address(source.pixels) != source.pixels and not source.chroma:
        source.pixels += 1


@pytest.mark.parametrize("spoil", [unturned, without_border, astray_in_place])
def test_prove_covers_every_way_of_cutting(
    device: Device, gpu: FakeGpu, spoil: Callable[[FakeGpu, Launch], None]
) -> None:
    """A turned face over the edge, and BGR where it lies, are held to the CPU as well."""

    class Spoilt(InOrder):
        def launch(self, launch: Launch, stream: Stream) -> None:
            spoil(gpu, launch)
            super().launch(launch, stream)

    with device.current(), pytest.raises(SetupError, match="otherwise than the CPU"):
        Cutter(device, lambda facts: Spoilt(gpu)).prove(BYTES)
    assert not gpu.mapped


def test_prove_without_pinned_memory_leaves_nothing(
    device: Device, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken before the refusal is given back."""

    def refuse(size: int) -> None:
        raise CudaError("CUDA_ERROR_OUT_OF_MEMORY", "cuMemHostAlloc")

    monkeypatch.setattr(device, "pin", refuse)
    with device.current(), pytest.raises(CudaError):
        Cutter(device, lambda facts: InOrder(gpu)).prove(BYTES)
    assert (gpu.blocks, gpu.streams, gpu.events, gpu.mapped) == ({}, {}, 0, {})


def test_prove_that_fails_waits_before_it_frees(device: Device, gpu: FakeGpu) -> None:
    """A launch that is under way still writes into the memory."""
    held: list[int] = []

    class Late(InOrder):
        def launch(self, launch: Launch, stream: Stream) -> None:
            super().launch(launch, stream)
            gpu.ask(stream.handle, lambda: held.append(len(gpu.blocks)))
            raise CudaError("CUDA_ERROR_LAUNCH_FAILED", "cuLaunchKernel")

    with device.current(), pytest.raises(CudaError, match="LAUNCH_FAILED"):
        Cutter(device, lambda facts: Late(gpu)).prove(BYTES)
    assert held
    assert held[0]
    assert not gpu.blocks
