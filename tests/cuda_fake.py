"""CUDA without a GPU: the calls that our two drivers make, over the memory of this process.

What is played back is the documented behaviour, whose page each function names: what a call answers
with, what it refuses, in which order work happens. A stream does nothing until somebody waits for it, so
that a result that is read too early is seen to be missing.

Pages: [D] docs.nvidia.com/cuda/cuda-driver-api, [B] nvidia.github.io/cuda-python/cuda-bindings,
[P] documen.tician.de/pycuda/driver.html
"""

from __future__ import annotations

import ctypes
import enum
import mmap
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

MAPPED_APART = 1 << 46
"""From the host's address of mapped memory to the device's: whoever confuses them reads nothing."""
ORIN = {"name": "Orin (a fake)", "capability": (8, 7), "cuda": 12060, "bytes": 8 << 30, "integrated": 1}


class FakeGpu:
    """One GPU's state, whichever library looks at it."""

    def __init__(self, *, count: int = 1, total_bytes: int = ORIN["bytes"]) -> None:  # type: ignore[assignment]
        """All memory is free."""
        self.count, self.total_bytes = count, total_bytes
        self.blocks: dict[int, Any] = {}
        self.streams: dict[int, list[Callable[[], None]]] = {}
        self.captures: dict[int, list[Callable[[], None]]] = {}
        """Streams that record: what they were asked for instead of doing it."""
        self.mapped: dict[int, int] = {}
        """Host memory that the device reads in place: bytes by address."""
        self.integrated, self.refuses_to_map = ORIN["integrated"], False
        self.graphs = 0
        self.launch_status = CUresult.CUDA_SUCCESS
        self.spoils_captures = False
        """[D] CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: the capture ends without a graph."""
        self.events = 0
        self.failure = 0
        """The status that the next wait ends with: [D] errors of kernels are told by later calls."""
        self._contexts = threading.local()
        self._next = 1 << 20

    @property
    def depth(self) -> int:
        """Contexts of the calling thread: [D] group CUDA_CTX, each thread has a stack of its own."""
        depth: int = getattr(self._contexts, "depth", 0)
        return depth

    @depth.setter
    def depth(self, depth: int) -> None:
        self._contexts.depth = depth

    def number(self) -> int:
        """A handle that was not given out before."""
        self._next += 64
        return self._next

    def take(self, size: int) -> int:
        """[D] cuMemAlloc: 0 bytes are CUDA_ERROR_INVALID_VALUE, too many CUDA_ERROR_OUT_OF_MEMORY."""
        if size <= 0:
            return -1
        if size > self.free_bytes:
            return -2
        block = (ctypes.c_ubyte * size)()
        address = ctypes.addressof(block)
        self.blocks[address] = block
        return address

    @property
    def free_bytes(self) -> int:
        """[D] cuMemGetInfo."""
        return self.total_bytes - sum(len(block) for block in self.blocks.values())

    def ask(self, stream: int, step: Callable[[], None]) -> None:
        """[D] cuStreamBeginCapture: what a capturing stream is asked for is recorded, not done."""
        self.captures.get(stream, self.streams[stream]).append(step)

    def map(self, address: int, size: int) -> CUresult:
        """[D] cuMemHostRegister: whole pages; memory that is registered already is refused."""
        if address % mmap.PAGESIZE or size % mmap.PAGESIZE or not size:
            return CUresult.CUDA_ERROR_INVALID_VALUE
        if address in self.mapped:
            return CUresult.CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
        if self.refuses_to_map:
            return CUresult.CUDA_ERROR_NOT_SUPPORTED
        self.mapped[address] = size
        return CUresult.CUDA_SUCCESS

    def host_address(self, address: int) -> int:
        """Where the host has what the device reads at an address."""
        host = address - MAPPED_APART
        is_mapped = any(base <= host < base + size for base, size in self.mapped.items())
        return host if is_mapped else address

    def work(self, stream: int) -> int:
        """Do what was asked of a stream, in order."""
        todo, self.streams[stream] = self.streams[stream], []
        for step in todo:
            step()
        failure, self.failure = self.failure, 0
        return failure


class CUresult(enum.IntEnum):
    """[D] group CUDA_TYPES, CUresult."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_INVALID_CONTEXT = 201
    CUDA_ERROR_ILLEGAL_ADDRESS = 700
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712
    CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713
    CUDA_ERROR_NOT_SUPPORTED = 801
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901


def cuda_python_fake(gpu: FakeGpu) -> Any:
    """A module that stands for cuda.bindings.driver: [B] every call answers (status, *results)."""
    cuda = types.ModuleType("cuda.bindings.driver")
    good = CUresult.CUDA_SUCCESS

    def needs_context(call: Callable[..., Any]) -> Callable[..., Any]:
        """[D] CUDA_ERROR_INVALID_CONTEXT: no context is bound to the calling thread."""

        def checked(*arguments: Any) -> Any:
            return call(*arguments) if gpu.depth else (CUresult.CUDA_ERROR_INVALID_CONTEXT,)

        return checked

    def taken(size: int) -> Any:
        address = gpu.take(size)
        if address > 0:
            return good, address
        refused = {-1: CUresult.CUDA_ERROR_INVALID_VALUE, -2: CUresult.CUDA_ERROR_OUT_OF_MEMORY}
        return refused[address], None

    def freed(address: int) -> Any:
        """[D] cuMemFree: an address that was not given out is CUDA_ERROR_INVALID_VALUE."""
        known = gpu.blocks.pop(address, None)
        return (good if known is not None else CUresult.CUDA_ERROR_INVALID_VALUE,)

    def moved(target: int, source: int, size: int, stream: int) -> Any:
        """[D] cuMemcpyHtoDAsync, cuMemcpyDtoHAsync: in the stream's order."""
        gpu.ask(int(stream), lambda: ctypes.memmove(target, source, size))
        return (good,)

    def made_stream(flags: int) -> Any:
        """[D] cuStreamCreate."""
        stream = gpu.number()
        gpu.streams[stream] = []
        return good, stream

    class FakeEvent:
        stream = 0

    def made_event(flags: int) -> Any:
        """[D] cuEventCreate."""
        gpu.events += 1
        return good, FakeEvent()

    def registered(p: int, size: int, flags: int) -> Any:
        """[D] cuMemHostRegister with CU_MEMHOSTREGISTER_DEVICEMAP."""
        return (gpu.map(p, size) if flags == 2 else CUresult.CUDA_ERROR_INVALID_VALUE,)

    def pointed(p: int, flags: int) -> Any:
        """[D] cuMemHostGetDevicePointer; on a Jetson the host's own address is another one or not."""
        return (good, p + MAPPED_APART) if p in gpu.mapped else (CUresult.CUDA_ERROR_INVALID_VALUE, None)

    def unregistered(p: int) -> Any:
        """[D] cuMemHostUnregister."""
        known = gpu.mapped.pop(p, None)
        return (good if known else CUresult.CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED,)

    def began(stream: int, mode: Any) -> Any:
        """[D] cuStreamBeginCapture: a stream that captures already is CUDA_ERROR_INVALID_VALUE."""
        assert mode is cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        if stream in gpu.captures:
            return (CUresult.CUDA_ERROR_INVALID_VALUE,)
        gpu.captures[stream] = []
        return (good,)

    def ended(stream: int) -> Any:
        """[D] cuStreamEndCapture: an invalidated capture has no graph."""
        steps = gpu.captures.pop(stream)
        if gpu.spoils_captures:
            return CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, None
        gpu.graphs += 1
        return good, steps

    def instantiated(graph: Any, flags: int) -> Any:
        """[D] cuGraphInstantiate."""
        gpu.graphs += 1
        return good, tuple(graph)

    def launched(graph: Any, stream: int) -> Any:
        """[D] cuGraphLaunch: behind what the stream was asked for before."""
        for step in graph:
            gpu.ask(int(stream), step)
        return (gpu.launch_status,)

    def destroyed_graph(graph: Any) -> Any:
        """[D] cuGraphDestroy, cuGraphExecDestroy."""
        gpu.graphs -= 1
        return (good,)

    def recorded(event: Any, stream: int) -> Any:
        """[D] cuEventRecord."""
        event.stream = int(stream)
        return (good,)

    def synchronised(event: Any) -> Any:
        """[D] cuEventSynchronize: waits for the work in front of the record; may tell its errors."""
        return (CUresult(gpu.work(event.stream) if event.stream else 0),)

    def destroyed_event(event: Any) -> Any:
        """[D] cuEventDestroy."""
        gpu.events -= 1
        return (good,)

    def pushed(context: Any) -> Any:
        """[D] cuCtxPushCurrent."""
        gpu.depth += 1
        return (good,)

    def popped() -> Any:
        """[D] cuCtxPopCurrent."""
        gpu.depth -= 1
        return good, "context"

    attributes = enum.IntEnum(  # [D] group CUDA_TYPES, CUdevice_attribute
        "CUdevice_attribute",
        {
            "CU_DEVICE_ATTRIBUTE_INTEGRATED": 18,
            "CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY": 19,
            "CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED": 99,
            "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": 75,
            "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": 76,
        },
    )
    orin: Any = ORIN["capability"]

    def attribute(asked: int, dev: int) -> Any:
        """[D] cuDeviceGetAttribute."""
        return good, {18: gpu.integrated, 19: 1, 75: orin[0], 76: orin[1], 99: 1}[asked]

    # [D] cuInit, group CUDA_INITIALIZE: CUDA_ERROR_NO_DEVICE without a GPU.
    cuda.cuInit = lambda flags: (good if gpu.count else CUresult.CUDA_ERROR_NO_DEVICE,)
    cuda.cuDeviceGetCount = lambda: (good, gpu.count)  # [D] group CUDA_DEVICE
    cuda.cuDeviceGet = lambda ordinal: (good, ordinal)
    cuda.cuDeviceGetName = lambda length, dev: (good, str(ORIN["name"]).encode().ljust(length, b"\0"))
    cuda.cuDeviceGetAttribute = attribute
    cuda.cuDeviceTotalMem = lambda dev: (good, gpu.total_bytes)
    cuda.cuDevicePrimaryCtxRetain = lambda dev: (good, "context")  # [D] group CUDA_PRIMARY_CTX
    cuda.cuDriverGetVersion = lambda: (good, ORIN["cuda"])  # [D] group CUDA_VERSION
    cuda.cuCtxPushCurrent, cuda.cuCtxPopCurrent = pushed, popped
    cuda.cuMemGetInfo = needs_context(lambda: (good, gpu.free_bytes, gpu.total_bytes))
    cuda.cuMemAlloc, cuda.cuMemFree = needs_context(taken), needs_context(freed)
    cuda.cuMemHostAlloc = needs_context(lambda size, flags: taken(size))
    cuda.cuMemFreeHost = needs_context(freed)
    cuda.cuMemcpyHtoDAsync = cuda.cuMemcpyDtoHAsync = needs_context(moved)
    cuda.cuStreamCreate = needs_context(made_stream)
    cuda.cuStreamDestroy = lambda stream: (good, gpu.streams.pop(stream))[:1]  # [D] cuStreamDestroy
    cuda.cuEventCreate, cuda.cuEventRecord = needs_context(made_event), needs_context(recorded)
    cuda.cuEventSynchronize, cuda.cuEventDestroy = synchronised, destroyed_event
    cuda.CU_MEMHOSTREGISTER_DEVICEMAP = 2  # [D] group CUDA_TYPES
    cuda.cuMemHostRegister = needs_context(registered)
    cuda.cuMemHostGetDevicePointer, cuda.cuMemHostUnregister = map(
        needs_context, (pointed, unregistered)
    )
    cuda.cuStreamBeginCapture, cuda.cuStreamEndCapture = needs_context(began), needs_context(ended)
    cuda.cuGraphInstantiate, cuda.cuGraphLaunch = needs_context(instantiated), needs_context(launched)
    cuda.cuGraphDestroy = cuda.cuGraphExecDestroy = needs_context(destroyed_graph)
    modes = ("GLOBAL", "THREAD_LOCAL", "RELAXED")  # [D] group CUDA_TYPES, CUstreamCaptureMode
    named = [f"CU_STREAM_CAPTURE_MODE_{mode}" for mode in modes]
    cuda.CUstreamCaptureMode = enum.IntEnum("CUstreamCaptureMode", named, start=0)
    cuda.CUresult, cuda.CUdevice_attribute = CUresult, attributes
    cuda.CUevent_flags = types.SimpleNamespace(CU_EVENT_BLOCKING_SYNC=1, CU_EVENT_DISABLE_TIMING=2)
    cuda.CUstream_flags = types.SimpleNamespace(CU_STREAM_NON_BLOCKING=1)
    return cuda


def pycuda_fake(gpu: FakeGpu) -> Any:
    """A module that stands for pycuda.driver: [P] objects that free themselves, and exceptions."""
    cuda = types.ModuleType("pycuda.driver")

    class Error(Exception):
        """[P] pycuda.driver.Error: the base of all of them."""

    class LogicError(Error):
        """[P] for wrong calls, a missing context among them."""

    class NoMemoryError(Error):
        """[P] pycuda.driver.MemoryError."""

    class LaunchError(Error):
        """[P] pycuda.driver.LaunchError."""

    def need_context() -> None:
        if not gpu.depth:
            raise LogicError("cuMemAlloc failed: invalid device context")

    def taken(size: int) -> int:
        need_context()
        address = gpu.take(size)
        if address == -2:
            raise NoMemoryError("cuMemAlloc failed: out of memory")
        if address < 0:
            raise LogicError("cuMemAlloc failed: invalid argument")
        return address

    class Allocation:
        """[P] DeviceAllocation, PagelockedHostAllocation: an integer, and `free`."""

        def __init__(self, size: int) -> None:
            self.address = taken(size)

        def __int__(self) -> int:
            return self.address

        def free(self) -> None:
            need_context()
            del gpu.blocks[self.address]

        @property
        def __array_interface__(self) -> dict[str, Any]:
            size = len(gpu.blocks[self.address])
            return {"shape": (size,), "typestr": "|u1", "data": (self.address, False), "version": 3}

    class Stream:
        """[P] Stream(flags=0), with its handle."""

        def __init__(self, flags: int = 0) -> None:
            need_context()
            self.handle = gpu.number()
            gpu.streams[self.handle] = []

        def __del__(self) -> None:
            gpu.streams.pop(self.handle, None)

    class Event:
        """[P] Event(flags=0)."""

        def __init__(self, flags: int = 0) -> None:
            need_context()
            gpu.events += 1
            self._stream = 0

        def __del__(self) -> None:
            gpu.events -= 1

        def record(self, stream: Any = None) -> None:
            self._stream = stream.handle

        def synchronize(self) -> None:
            if self._stream and gpu.work(self._stream):
                raise LaunchError("cuEventSynchronize failed: an illegal memory access was encountered")

    class Context:
        """[P] Context: `push` is of one, `pop` of the class."""

        def push(self) -> None:
            gpu.depth += 1

        @staticmethod
        def pop() -> None:
            gpu.depth -= 1

    class Device:
        """[P] Device(number)."""

        def __init__(self, number: int) -> None:
            self.number = number

        @staticmethod
        def count() -> int:
            return gpu.count

        def name(self) -> str:
            return str(ORIN["name"])

        def compute_capability(self) -> Any:
            return ORIN["capability"]

        def total_memory(self) -> int:
            return gpu.total_bytes

        def get_attribute(self, attribute: Any) -> Any:
            return {"INTEGRATED": gpu.integrated, "CAN_MAP_HOST_MEMORY": 1}[attribute]

        def retain_primary_context(self) -> Context:
            return Context()

    def init() -> None:
        """[P] init(): LogicError (or RuntimeError) without a device."""
        if not gpu.count:
            raise LogicError("cuInit failed: no CUDA-capable device is detected")

    def copied_in(dest: int, src: Any, stream: Any = None) -> None:
        """[P] memcpy_htod_async(dest, src, stream=None): `src` is a page-locked buffer."""
        need_context()
        address = src.__array_interface__["data"][0]
        gpu.ask(stream.handle, lambda: ctypes.memmove(dest, address, src.nbytes))

    def copied_out(dest: Any, src: int, stream: Any = None) -> None:
        """[P] memcpy_dtoh_async(dest, src, stream=None): `dest` is a page-locked buffer."""
        need_context()
        address = dest.__array_interface__["data"][0]
        gpu.ask(stream.handle, lambda: ctypes.memmove(address, src, dest.nbytes))

    class RegisteredHostMemory:
        """[P] RegisteredHostMemory, a HostPointer."""

        def __init__(self, ary: np.ndarray) -> None:
            self.base, self._address = ary, ary.ctypes.data

        def get_device_pointer(self) -> int:
            need_context()
            return self._address + MAPPED_APART

        def unregister(self) -> None:
            need_context()
            del gpu.mapped[self._address]

    def register_host_memory(ary: np.ndarray, flags: int = 0) -> Any:
        """[P] register_host_memory(ary, flags=0): whole pages; the answer's base is registered."""
        need_context()
        status = gpu.map(ary.ctypes.data, ary.nbytes) if flags == 2 else 1
        if status:
            raise LogicError(f"cuMemHostRegister failed: {CUresult(status).name.lower()}")
        return types.SimpleNamespace(base=RegisteredHostMemory(ary))

    def mem_get_info() -> tuple[int, int]:
        """[P] mem_get_info(): (free, total)."""
        need_context()
        return gpu.free_bytes, gpu.total_bytes

    def pagelocked_empty(shape: int, dtype: Any) -> np.ndarray:
        """[P] pagelocked_empty(shape, dtype): an array whose base is the allocation."""
        return np.asarray(Allocation(shape))

    cuda.Error, cuda.Device, cuda.Context = Error, Device, Context
    cuda.Stream, cuda.Event, cuda.init = Stream, Event, init
    cuda.mem_alloc = Allocation
    cuda.pagelocked_empty, cuda.mem_get_info = pagelocked_empty, mem_get_info
    cuda.memcpy_htod_async, cuda.memcpy_dtoh_async = copied_in, copied_out
    cuda.get_driver_version = lambda: ORIN["cuda"]  # [P] get_driver_version(): an integer
    attributes = ("INTEGRATED", "CAN_MAP_HOST_MEMORY")
    cuda.device_attribute = types.SimpleNamespace(**{name: name for name in attributes})
    cuda.mem_host_register_flags = types.SimpleNamespace(PORTABLE=1, DEVICEMAP=2)
    cuda.register_host_memory = register_host_memory
    cuda.event_flags = types.SimpleNamespace(BLOCKING_SYNC=1, DISABLE_TIMING=2)
    return cuda


FAKES: dict[str, tuple[str, Callable[[FakeGpu], Any]]] = {
    "cuda_python": ("cuda.bindings", cuda_python_fake),
    "pycuda": ("pycuda", pycuda_fake),
}
"""By our driver: the package that its module `driver` is in, and what stands for that module."""


def install_fake(monkeypatch: Any, name: str, gpu: FakeGpu) -> None:
    """Have one of our drivers find the fake in place of its library."""
    import sys

    package, make = FAKES[name]
    parts = package.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), types.ModuleType(parts[depth - 1]))
    module = make(gpu)
    monkeypatch.setitem(sys.modules, f"{package}.driver", module)
    monkeypatch.setattr(sys.modules[package], "driver", module, raising=False)
