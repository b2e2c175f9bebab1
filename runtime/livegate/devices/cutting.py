"""Frames into input tensors on a GPU, in the stream and in the memory of the engine that reads them.

One launch makes a whole tensor (kernels/letterbox.cu: any crop is a letterbox of a part): from the slot
itself where the GPU reads it in place, else from a copy of as little as the crop needs. Before an engine
relies on it, a drawn frame is cut here and on the CPU, and both have to agree.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import numpy as np

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.frame import Frame, Pixels, RawPixels
from livegate.core.resources import resource_dir
from livegate.devices.device import (
    CudaError,
    Device,
    DeviceMemory,
    Event,
    GpuFacts,
    PinnedMemory,
    Stream,
)
from livegate.devices.modules import KernelModule
from livegate.devices.proof import frame_in, limit_of, slot_with, specimens
from livegate.devices.slots import SlotReader
from livegate.kernels.code import load_code
from livegate.kernels.pictures import (
    DeviceCrop,
    DeviceFrame,
    Target,
    crop_of_letterbox,
    crop_of_region,
    crop_of_turned,
    format_of,
    launch_letterbox,
)
from livegate.manifests.schema import InputTensor
from livegate.preprocess.cut import Cut, Plan
from livegate.preprocess.ops import CropPlan, LetterboxPlan
from livegate.shm.layout import PixelFormat

OPERATION = "letterbox"
LoadKernels = Callable[[GpuFacts], KernelModule]


def load_kernels(facts: GpuFacts) -> KernelModule:
    """The kernel for a GPU, built beforehand or compiled now; the device's context has to be current.

    Raises:
        SetupError: INIT_FAIL when there is no code for it.
        CudaError: the driver does not take it.
    """
    folder = resource_dir("kernels")
    return KernelModule(load_code(OPERATION, facts.capability, facts.cuda, folder).content)


class Cutter:
    """The kernel on one device, for all lanes of one engine."""

    def __init__(self, device: Device, load: LoadKernels) -> None:
        """Load it; the device's context has to be current. Raises as `load`."""
        self.device, self.slots = device, SlotReader(device)
        self.module = load(device.facts)
        self.reads_slots = False
        """Whether a slot was read in place when it was proved."""

    def prove(self, spec: InputTensor) -> None:
        """Hold tensors of drawn frames to those of the CPU: BGR and NV12, scaled, a region, turned.

        On a device that reads in place, of frames in slots as well.

        Raises:
            SetupError: MODELINIT_FAIL with the figure when they are further apart than rounding is.
            RequestError: OUT_OF_MEM, there is no memory for a slot.
            OSError: the kernel refuses a slot's memory for another reason.
            CudaError: the device failed.
        """
        with contextlib.ExitStack() as held:
            slots = []
            if self.device.facts.reads_in_place:
                for pixel_format in (PixelFormat.NV12, PixelFormat.BGR):
                    slots.append(slot_with(pixel_format))
                    held.callback(slots[-1].close)
            frames = [frame_in(slot) for slot in slots]
            self._compare(spec, frames)
            addresses = [self.slots.address(frame) for frame in frames]
            self.reads_slots = bool(addresses) and None not in addresses

    def _compare(self, spec: InputTensor, in_place: Sequence[Frame]) -> None:
        for cut, expected in specimens(spec, in_place):
            found = self._tensor(cut, expected)
            apart = np.abs(found.astype(np.float64) - expected)
            limit = limit_of(spec, expected)
            if not (apart <= limit).all():
                raise SetupError(
                    ErrorCode.MODELINIT_FAIL,
                    f"the GPU cuts frames otherwise than the CPU: {float(apart.max()):.3g} apart, "
                    f"allowed are {float(limit.max()):.3g}",
                )

    def close(self) -> None:
        """Give the code back; the device's context has to be current."""
        with contextlib.suppress(CudaError):
            self.module.close()

    def _tensor(self, cut: Cut, like: np.ndarray) -> np.ndarray:
        device, room = self.device, CutRoom(self)
        with contextlib.ExitStack() as held:
            stream, event = device.stream(), device.event()
            held.callback(stream.close)
            held.callback(event.close)
            memory = device.allocate(like.nbytes)
            held.callback(memory.free)
            pinned = device.pin(like.nbytes)
            held.callback(pinned.free)
            held.callback(room.close)
            held.callback(_settle, stream, event)
            room.cut(cut, memory.address, stream)
            stream.copy_out(pinned, memory, like.nbytes)
            stream.mark(event)
            event.wait()
            found = pinned.array[: like.nbytes].view(like.dtype).reshape(like.shape)
            return np.array(found)


class CutRoom:
    """What one run at a time needs to cut: room for a copy, taken when a frame has to be copied."""

    def __init__(self, cutter: Cutter) -> None:
        """No room yet."""
        self._cutter = cutter
        self._pinned: PinnedMemory | None = None
        self._memory: DeviceMemory | None = None

    def cut(self, cut: Cut, tensor_address: int, stream: Stream) -> None:
        """Put the making of a tensor into a stream; the frame has to stay until that is done.

        Raises:
            EngineError: the part is nowhere near the frame.
            CudaError: the device failed.
        """
        frame, plan = self._frame_of(cut, stream)
        target = Target(tensor_address, cut.spec, format_of(cut.spec))
        crop = _crop(frame, plan, cut.pad, target)
        self._cutter.module.launch(launch_letterbox(frame, crop), stream)

    def close(self) -> None:
        """Give the room back, after what was asked for is done."""
        held, self._pinned, self._memory = (self._pinned, self._memory), None, None
        for memory in held:
            if memory is not None:
                with contextlib.suppress(CudaError):
                    memory.free()

    def _frame_of(self, cut: Cut, stream: Stream) -> tuple[DeviceFrame, Plan]:
        """Where the device finds the frame, or the part of it that was copied, and the plan for that."""
        raw, plan = cut.frame.raw, cut.plan
        address = self._cutter.slots.address(cut.frame)
        if raw is not None and address is not None:
            return _described(address, raw.pixels, is_nv12=raw.is_nv12), plan
        if raw is not None and raw.is_nv12:  # half the bytes of the picture that was made of it
            return self._copied(raw, stream), plan
        pixels = cut.frame.pixels
        if isinstance(plan, CropPlan):  # what lies beside it is not looked at
            pixels = pixels[plan.top : plan.bottom, plan.left : plan.right]
            plan = CropPlan(0, 0, plan.right - plan.left, plan.bottom - plan.top)
        return self._copied(RawPixels(pixels, is_nv12=False), stream), plan

    def _copied(self, raw: RawPixels, stream: Stream) -> DeviceFrame:
        size = raw.pixels.nbytes
        pinned, memory = self._room(size)
        packed = pinned.array[:size].reshape(raw.pixels.shape)
        np.copyto(packed, raw.pixels)
        stream.copy_in(memory, pinned, size)
        return _described(memory.address, packed, is_nv12=raw.is_nv12)

    def _room(self, size: int) -> tuple[PinnedMemory, DeviceMemory]:
        if self._pinned is None or self._memory is None or self._memory.size < size:
            self.close()  # the last run was waited for
            self._pinned = self._cutter.device.pin(size)
            self._memory = self._cutter.device.allocate(size)
        return self._pinned, self._memory


def _settle(stream: Stream, event: Event) -> None:
    """Wait for what was asked of a stream, good or not: its memory is about to go."""
    with contextlib.suppress(CudaError):
        stream.mark(event)
        event.wait()


def _described(address: int, pixels: Pixels, *, is_nv12: bool) -> DeviceFrame:
    """Pixels whose first byte the device finds at `address`, row by row as they lie here."""
    rows, width = pixels.shape[:2]
    pitch = pixels.strides[0]
    if not is_nv12:
        return DeviceFrame.bgr(address, width, rows, pitch)
    height = rows * 2 // 3
    return DeviceFrame.nv12(address, address + height * pitch, width, height, pitch, pitch)


def _crop(frame: DeviceFrame, plan: Plan, pad: int, target: Target) -> DeviceCrop:
    if isinstance(plan, LetterboxPlan):
        return crop_of_letterbox(frame, plan, pad, target)
    if isinstance(plan, CropPlan):
        return crop_of_region(plan, target)
    return crop_of_turned(frame, plan, pad, target)
