"""The CUDA kernels' own sources, compiled for this CPU and launched there."""

from __future__ import annotations

import atexit
import ctypes
import dataclasses
import functools
import math
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cuda_fake import FakeGpu
from livegate.core.resources import resource_dir
from livegate.devices.device import Stream
from livegate.devices.modules import KernelModule
from livegate.kernels.launch import Launch
from livegate.kernels.pictures import (
    DeviceCrop,
    DeviceFrame,
    Target,
    TensorFormat,
    crop_of_letterbox,
    crop_of_region,
    crop_of_turned,
    format_of,
    launch_face_crops,
    launch_letterbox,
)
from livegate.manifests.schema import InputTensor
from livegate.preprocess.ops import CropPlan, LetterboxPlan, TurnedPlan

FLOATS = InputTensor(name="x", shape=(1, 3, 40, 48), layout="NCHW", dtype="float32", colour="BGR")
BYTES = InputTensor(name="x", shape=(1, 40, 48, 3), layout="NHWC", dtype="uint8", colour="BGR")
SCALED = msgspec.structs.replace(
    FLOATS, colour="RGB", scale=(1 / 255, 0.5, 1.0), mean=(0.485, -3.0, 123.675)
)
GUARD = 64
"""Bytes before and behind a tensor that nobody may touch."""
SOURCE = Path(__file__).with_name("kernels_on_cpu.cpp")
WARNINGS = ("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Werror")
# Whatever the language leaves undefined ends the process here: sums that overflow, shifts, indices.
CHECKED = ("-ffp-contract=off", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
# nvcc makes one rounding of a product and a sum; so does this.
CONTRACTED = ("-ffp-contract=fast", *(("-mfma",) if platform.machine() == "x86_64" else ()))


class KernelsOnCpu:
    """Runs a Launch as the GPU would; addresses are those of this process."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Take the compiled sources."""
        self.library = library

    def run(self, launch: Launch, *, threads: int | None = None) -> None:
        """Run every thread of every block; `threads` in place of the launch's for one that waits."""
        block = launch.block if threads is None else (threads, 1, 1)
        arguments = [
            one if isinstance(one, ctypes.c_void_p) else ctypes.byref(one) for one in launch.arguments
        ]
        run = getattr(self.library, f"run_{launch.kernel}")
        run((ctypes.c_uint * 3)(*launch.grid), (ctypes.c_uint * 3)(*block), *arguments)


def compiled(*, contracted: bool = False) -> KernelsOnCpu:
    """The kernels for this CPU; skips the test where nothing can compile or run them."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here: apt install g++")
    if contracted and "-mfma" in CONTRACTED and " fma " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU does not multiply and add with one rounding")
    return _compiled(compiler, CONTRACTED if contracted else CHECKED)


@functools.cache
def _compiled(compiler: str, flags: tuple[str, ...]) -> KernelsOnCpu:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        compile_to(library, compiler, flags)
        return KernelsOnCpu(ctypes.CDLL(str(library)))


@functools.cache
def built_modules() -> tuple[ctypes.CDLL, bytes]:
    """A driver's calls for modules without a GPU, and the kernels as it takes them; compiled once."""
    if shutil.which("c++") is None or shutil.which("cc") is None:
        pytest.skip("no C and C++ compilers here: apt install g++")
    folder = Path(tempfile.mkdtemp(prefix="livegate-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source, library = SOURCE.with_name("modules_on_cpu.c"), folder / "modules.so"
    flags = ("-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
    subprocess.run(["cc", *flags, str(source), "-o", str(library), "-ldl"], check=True)
    kernels = folder / "kernels.so"
    compile_to(kernels, "c++")
    return ctypes.CDLL(str(library)), str(kernels).encode()


class InOrder(KernelModule):
    """Kernels on this CPU that wait for their turn in a fake GPU's stream."""

    def __init__(self, gpu: FakeGpu) -> None:
        """Load them."""
        driver, code = built_modules()
        super().__init__(code, driver)
        self.launches = 0
        self._gpu = gpu

    def launch(self, launch: Launch, stream: Stream) -> None:
        """As [D] cuLaunchKernel: the arguments are copied now, the work comes later."""
        self.launches += 1
        told = tuple(type(one).from_buffer_copy(one) for one in launch.arguments)
        for frame in told:
            if isinstance(frame, DeviceFrame):
                self._require_device_memory(frame.pixels)
                frame.pixels = self._gpu.host_address(frame.pixels)
                frame.chroma = self._gpu.host_address(frame.chroma or 0)
        own = dataclasses.replace(launch, arguments=told)
        self._gpu.ask(stream.handle, lambda: super(InOrder, self).launch(own, stream))

    def _require_device_memory(self, address: int) -> None:
        """The host's own address of memory that is mapped is none of the device's."""
        mapped = self._gpu.mapped.items()
        assert not any(base <= address < base + size for base, size in mapped), "the host's address"


def compile_to(library: Path, compiler: str, flags: tuple[str, ...] = CHECKED) -> None:
    """The kernels for this CPU as a shared library."""
    include = f"-I{resource_dir('kernels')}"
    options = ("-std=c++17", "-O2", "-shared", "-fPIC", "-pthread", *WARNINGS, *flags, include)
    command = [compiler, *options, str(SOURCE), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def frame_of(pixels: np.ndarray) -> DeviceFrame:
    """(H, W, 3) uint8 BGR, rows may be strided, where it lies; the frame keeps it alive."""
    height, width, _ = pixels.shape
    frame = DeviceFrame.bgr(pixels.ctypes.data, width, height, pixels.strides[0])
    frame.kept = pixels
    return frame


def frame_of_nv12(light: np.ndarray, chroma: np.ndarray) -> DeviceFrame:
    """(H, W) and (H / 2, W) uint8, rows may be strided, where they lie; the frame keeps them alive."""
    height, width = light.shape
    frame = DeviceFrame.nv12(
        light.ctypes.data, chroma.ctypes.data, width, height, light.strides[0], chroma.strides[0]
    )
    frame.kept = (light, chroma)
    return frame


def nv12(width: int, height: int, beside: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise: brightness, chroma, and both in one array without gaps.

    `beside` bytes end each row of brightness, twice as many each of chroma.
    """
    random = np.random.default_rng(width * height)
    source = random.integers(0, 256, (height * 3 // 2, width), np.uint8)
    planes = source[:height], source[height:]
    wide = [np.pad(p, ((0, 0), (0, beside * n)), constant_values=0xEE) for n, p in enumerate(planes, 1)]
    return wide[0][:, :width], wide[1][:, :width], source


@dataclass
class Guarded:
    """A tensor with bytes around it that tell when somebody writes beside it."""

    shape: tuple[int, ...]
    dtype: type
    memory: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Fill everything with a pattern."""
        size = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        self.memory = np.full(size + 2 * GUARD, 0xA5, np.uint8)

    @property
    def address(self) -> int:
        """Where the tensor begins."""
        return int(self.memory.ctypes.data) + GUARD

    def tensor(self) -> np.ndarray:
        """The tensor, once nothing beside it was touched."""
        assert (self.memory[:GUARD] == 0xA5).all()
        assert (self.memory[-GUARD:] == 0xA5).all()
        return self.memory[GUARD:-GUARD].view(self.dtype).reshape(self.shape)


DTYPES = {
    TensorFormat.NCHW_FLOAT32: np.float32,
    TensorFormat.NCHW_FLOAT16: np.float16,
    TensorFormat.NCHW_UINT8: np.uint8,
    TensorFormat.NHWC_UINT8: np.uint8,
}


def guarded(kind: TensorFormat, width: int, height: int) -> Guarded:
    """Memory for a tensor of that format."""
    is_last = kind is TensorFormat.NHWC_UINT8
    return Guarded((1, height, width, 3) if is_last else (1, 3, height, width), DTYPES[kind])


Wanted = tuple[Callable[[Target], DeviceCrop], InputTensor, TensorFormat]
"""What makes a crop for a place in memory, and the tensor it is for."""


def run_letterbox(
    kernels: KernelsOnCpu,
    frame: DeviceFrame,
    plan: LetterboxPlan,
    spec: InputTensor,
    pad: int = 0,
    kind: TensorFormat | None = None,
) -> np.ndarray:
    """The letterboxed tensor of a frame."""
    kind = format_of(spec) if kind is None else kind
    memory = guarded(kind, plan.input_width, plan.input_height)
    crop = crop_of_letterbox(frame, plan, pad, Target(memory.address, spec, kind))
    kernels.run(launch_letterbox(frame, crop))
    return memory.tensor()


def run_crops(
    kernels: KernelsOnCpu,
    frame: DeviceFrame,
    wanted: list[Wanted],
) -> list[np.ndarray]:
    """The tensors of several crops, from one launch."""
    memories, crops = [], []
    for crop_of, spec, kind in wanted:
        memory = guarded(kind, int(spec.width), int(spec.height))
        memories.append(memory)
        crops.append(crop_of(Target(memory.address, spec, kind)))
    array = (DeviceCrop * len(crops))(*crops)
    kernels.run(launch_face_crops(frame, crops, ctypes.addressof(array)))
    return [memory.tensor() for memory in memories]


def region(kernels: KernelsOnCpu, pixels: np.ndarray, plan: CropPlan, spec: InputTensor) -> np.ndarray:
    """The tensor of one region."""
    crop_of = functools.partial(crop_of_region, plan)
    return run_crops(kernels, frame_of(pixels), [(crop_of, spec, format_of(spec))])[0]


def turned(
    kernels: KernelsOnCpu, pixels: np.ndarray, plan: TurnedPlan, spec: InputTensor, pad: int
) -> np.ndarray:
    """The tensor of one turned rectangle."""
    frame = frame_of(pixels)
    crop_of = functools.partial(crop_of_turned, frame, plan, pad)
    return run_crops(kernels, frame, [(crop_of, spec, format_of(spec))])[0]
