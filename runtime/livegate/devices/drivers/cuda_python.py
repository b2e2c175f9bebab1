"""cuda-python: NVIDIA's own bindings of the driver API, with wheels for x86-64 and aarch64.

The package imports without a driver; the first call then raises a class of its own, which is another one
in each release. Calls answer with a status and their results.

Source: nvidia.github.io/cuda-python, cuda.bindings.driver; CUDA Driver API.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livegate.core.errors import ErrorCode, SetupError, first_line
from livegate.devices import device as base
from livegate.devices.device import CudaError, GpuFacts, driver_release, version_from_number

NAME_BYTES = 256


class Plugin:
    """Devices through cuda-python."""

    def open(self, ordinal: int) -> CudaDevice:
        """A device by its number."""
        try:
            from cuda.bindings import driver as cuda
        except Exception as error:
            raise _not_here(f"cuda-python does not load ({first_line(error)})") from error
        try:
            _check("cuInit", cuda.cuInit(0))
            if ordinal >= _check("cuDeviceGetCount", cuda.cuDeviceGetCount()):
                raise _not_here(f"there is no GPU number {ordinal}")
            return CudaDevice(cuda, ordinal)
        except SetupError:
            raise
        except Exception as error:
            raise _not_here(
                f"the driver (libcuda.so.1) does not answer ({first_line(error)})"
            ) from error


class CudaDevice:
    """One GPU with its primary context, which other libraries of the process share."""

    graphs_problem = ""

    def __init__(self, cuda: Any, ordinal: int) -> None:
        """Retain the context; it lives as long as the process.

        Raises:
            CudaError: the device does not start.
        """
        self._cuda = cuda
        number = _check("cuDeviceGet", cuda.cuDeviceGet(ordinal))
        self._context = _check("cuDevicePrimaryCtxRetain", cuda.cuDevicePrimaryCtxRetain(number))
        self.facts = _facts(cuda, number)

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Its context in the calling thread."""
        cuda = self._cuda
        _check("cuCtxPushCurrent", cuda.cuCtxPushCurrent(self._context))
        try:
            yield
        finally:
            _check("cuCtxPopCurrent", cuda.cuCtxPopCurrent())

    def free_bytes(self) -> int:
        """Memory that nobody holds."""
        cuda = self._cuda
        free, _ = _check("cuMemGetInfo", cuda.cuMemGetInfo())
        return int(free)

    def allocate(self, size: int) -> DeviceMemory:
        """Memory of the device."""
        return DeviceMemory(self._cuda, size)

    def pin(self, size: int) -> PinnedMemory:
        """Pinned memory of the host."""
        return PinnedMemory(self._cuda, size)

    def map_host(self, memory: NDArray[np.uint8]) -> MappedMemory:
        """Memory of the host that the device reads where it is."""
        return MappedMemory(self._cuda, memory)

    def stream(self) -> Stream:
        """A stream of its own."""
        return Stream(self._cuda)

    def event(self) -> Event:
        """An event without a clock."""
        return Event(self._cuda)


class DeviceMemory:
    """cuMemAlloc."""

    def __init__(self, cuda: Any, size: int) -> None:
        """Take it."""
        self._cuda, self.size = cuda, size
        self.address = int(_check("cuMemAlloc", cuda.cuMemAlloc(size)))

    def free(self) -> None:
        """Give it back."""
        cuda, address, self.address = self._cuda, self.address, 0
        if address:
            _check("cuMemFree", cuda.cuMemFree(address))


class PinnedMemory:
    """cuMemHostAlloc."""

    def __init__(self, cuda: Any, size: int) -> None:
        """Take it."""
        self._cuda = cuda
        self.address = int(_check("cuMemHostAlloc", cuda.cuMemHostAlloc(size, 0)))
        self.array = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(self.address))

    def free(self) -> None:
        """Give it back."""
        cuda, address, self.address = self._cuda, self.address, 0
        if address:
            self.array = np.empty(0, np.uint8)
            _check("cuMemFreeHost", cuda.cuMemFreeHost(address))


class MappedMemory:
    """cuMemHostRegister."""

    def __init__(self, cuda: Any, memory: NDArray[np.uint8]) -> None:
        """Register it and ask for the device's address, which may be another."""
        self._cuda, self._memory = cuda, memory
        self._host = int(memory.ctypes.data)
        flags = int(cuda.CU_MEMHOSTREGISTER_DEVICEMAP)
        _check("cuMemHostRegister", cuda.cuMemHostRegister(self._host, memory.size, flags))
        try:
            told = cuda.cuMemHostGetDevicePointer(self._host, 0)
            self.address = int(_check("cuMemHostGetDevicePointer", told))
        except BaseException:
            with contextlib.suppress(CudaError):
                self.close()
            raise

    def close(self) -> None:
        """cuMemHostUnregister."""
        cuda = self._cuda
        _check("cuMemHostUnregister", cuda.cuMemHostUnregister(self._host))


class Event:
    """cuEventCreate, without a clock; who waits sleeps."""

    def __init__(self, cuda: Any) -> None:
        """Make it."""
        flags = cuda.CUevent_flags
        wanted = int(flags.CU_EVENT_BLOCKING_SYNC) | int(flags.CU_EVENT_DISABLE_TIMING)
        self._cuda, self.event = cuda, _check("cuEventCreate", cuda.cuEventCreate(wanted))

    def wait(self) -> None:
        """Sleep until it is reached."""
        cuda = self._cuda
        _check("cuEventSynchronize", cuda.cuEventSynchronize(self.event))

    def close(self) -> None:
        """Give it back."""
        cuda = self._cuda
        _check("cuEventDestroy", cuda.cuEventDestroy(self.event))


class Stream:
    """cuStreamCreate."""

    def __init__(self, cuda: Any) -> None:
        """Make it."""
        wanted = int(cuda.CUstream_flags.CU_STREAM_NON_BLOCKING)
        self._cuda, self.stream = cuda, _check("cuStreamCreate", cuda.cuStreamCreate(wanted))
        self.handle = int(self.stream)

    def copy_in(self, target: base.DeviceMemory, source: Any, size: int) -> None:
        """Host to device."""
        cuda = self._cuda
        done = cuda.cuMemcpyHtoDAsync(target.address, source.address, size, self.stream)
        _check("cuMemcpyHtoDAsync", done)

    def copy_out(self, target: Any, source: base.DeviceMemory, size: int) -> None:
        """Device to host."""
        cuda = self._cuda
        done = cuda.cuMemcpyDtoHAsync(target.address, source.address, size, self.stream)
        _check("cuMemcpyDtoHAsync", done)

    def mark(self, event: Any) -> None:
        """Record an event."""
        cuda = self._cuda
        _check("cuEventRecord", cuda.cuEventRecord(event.event, self.stream))

    def record(self, enqueue: Callable[[], None]) -> Graph:
        """Capture, instantiate.

        Thread-local capture, as NVIDIA's trtexec does: in the global mode another worker that takes
        memory meanwhile would spoil it, or fail itself.
        """
        cuda = self._cuda
        mode = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _check("cuStreamBeginCapture", cuda.cuStreamBeginCapture(self.stream, mode))
        try:
            enqueue()
        except BaseException:
            self._give_up_capture()
            raise
        graph = _check("cuStreamEndCapture", cuda.cuStreamEndCapture(self.stream))
        try:
            made = _check("cuGraphInstantiate", cuda.cuGraphInstantiate(graph, 0))
        finally:
            _check("cuGraphDestroy", cuda.cuGraphDestroy(graph))
        return Graph(cuda, made)

    def close(self) -> None:
        """Give it back."""
        cuda = self._cuda
        _check("cuStreamDestroy", cuda.cuStreamDestroy(self.stream))

    def _give_up_capture(self) -> None:
        """End it; there is a graph only where the capture itself was still good."""
        cuda = self._cuda
        with contextlib.suppress(CudaError):
            graph = _check("cuStreamEndCapture", cuda.cuStreamEndCapture(self.stream))
            _check("cuGraphDestroy", cuda.cuGraphDestroy(graph))


class Graph:
    """An instantiated graph."""

    def __init__(self, cuda: Any, graph: Any) -> None:
        """Take it over."""
        self._cuda, self._graph = cuda, graph

    def launch(self, stream: Any) -> None:
        """cuGraphLaunch."""
        cuda = self._cuda
        _check("cuGraphLaunch", cuda.cuGraphLaunch(self._graph, stream.stream))

    def close(self) -> None:
        """Give it back."""
        cuda = self._cuda
        _check("cuGraphExecDestroy", cuda.cuGraphExecDestroy(self._graph))


def _facts(cuda: Any, number: Any) -> GpuFacts:
    name = _check("cuDeviceGetName", cuda.cuDeviceGetName(NAME_BYTES, number))
    wanted = cuda.CUdevice_attribute
    major, minor, is_integrated, can_map, can_register = (
        int(_check("cuDeviceGetAttribute", cuda.cuDeviceGetAttribute(attribute, number)))
        for attribute in (
            wanted.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            wanted.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            wanted.CU_DEVICE_ATTRIBUTE_INTEGRATED,
            wanted.CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY,
            wanted.CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED,
        )
    )
    return GpuFacts(
        name=name.split(b"\0")[0].decode(errors="replace"),
        capability=(major, minor),
        cuda=version_from_number(_check("cuDriverGetVersion", cuda.cuDriverGetVersion())),
        driver=driver_release(),
        total_bytes=int(_check("cuDeviceTotalMem", cuda.cuDeviceTotalMem(number))),
        is_integrated=bool(is_integrated),
        maps_host_memory=bool(can_map and can_register),
    )


def _check(call: str, answer: tuple[Any, ...]) -> Any:
    """The result of a call: nothing, a value, or several.

    Raises:
        CudaError: its status is not success.
    """
    status, *results = answer
    if int(status) != 0:
        # A driver that is newer than the bindings has errors without a name in them.
        raise CudaError(getattr(status, "name", f"error {int(status)}"), call)
    return results[0] if len(results) == 1 else tuple(results)


def _not_here(why: str) -> SetupError:
    return SetupError(
        ErrorCode.INIT_FAIL, why, hint="install NVIDIA's driver and pip install 'livegate[tensorrt]'"
    )
