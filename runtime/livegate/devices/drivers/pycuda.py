"""pycuda, for boxes that have it: it comes as source and is built against the box's own CUDA.

Source: documen.tician.de/pycuda/driver.html.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livegate.core.errors import ErrorCode, SetupError, first_line
from livegate.devices import device as base
from livegate.devices.device import CudaError, GpuFacts, driver_release, version_from_number

NO_GRAPHS = "pycuda has no calls for CUDA graphs (2026.1, the newest, included)"


class Plugin:
    """Devices through pycuda."""

    def open(self, ordinal: int) -> CudaDevice:
        """A device by its number."""
        try:
            from pycuda import driver as cuda

            cuda.init()
            if ordinal < cuda.Device.count():
                return CudaDevice(cuda, ordinal)
        except Exception as error:
            raise _not_here(f"pycuda does not load or start ({first_line(error)})") from error
        raise _not_here(f"there is no GPU number {ordinal}")


class CudaDevice:
    """One GPU with its primary context, which other libraries of the process share."""

    graphs_problem = NO_GRAPHS

    def __init__(self, cuda: Any, ordinal: int) -> None:
        """Retain the context; it lives as long as the process."""
        self._cuda = cuda
        gpu = cuda.Device(ordinal)
        self._context = gpu.retain_primary_context()
        major, minor = gpu.compute_capability()
        self.facts = GpuFacts(
            name=gpu.name(),
            capability=(major, minor),
            cuda=version_from_number(cuda.get_driver_version()),
            driver=driver_release(),
            total_bytes=gpu.total_memory(),
            is_integrated=bool(gpu.get_attribute(cuda.device_attribute.INTEGRATED)),
            # It has no name for HOST_REGISTER_SUPPORTED: where that is missing, registering is refused.
            maps_host_memory=bool(gpu.get_attribute(cuda.device_attribute.CAN_MAP_HOST_MEMORY)),
        )

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Its context in the calling thread."""
        with _told(self._cuda, "push"):
            self._context.push()
        try:
            yield
        finally:
            with _told(self._cuda, "pop"):
                self._cuda.Context.pop()

    def free_bytes(self) -> int:
        """Memory that nobody holds."""
        with _told(self._cuda, "mem_get_info"):
            free, _ = self._cuda.mem_get_info()
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
    """mem_alloc."""

    def __init__(self, cuda: Any, size: int) -> None:
        """Take it."""
        self._cuda, self.size = cuda, size
        with _told(cuda, "mem_alloc"):
            self._memory = cuda.mem_alloc(size)
        self.address = int(self._memory)

    def free(self) -> None:
        """Give it back."""
        memory, self._memory, self.address = self._memory, None, 0
        if memory is not None:
            with _told(self._cuda, "free"):
                memory.free()


class PinnedMemory:
    """pagelocked_empty."""

    def __init__(self, cuda: Any, size: int) -> None:
        """Take it."""
        self._cuda = cuda
        with _told(cuda, "pagelocked_empty"):
            self.array = cuda.pagelocked_empty(size, np.uint8)
        self._owner = self.array.base

    def free(self) -> None:
        """Give it back."""
        owner, self._owner = self._owner, None
        if owner is not None:
            self.array = np.empty(0, np.uint8)
            with _told(self._cuda, "free"):
                owner.free()


class MappedMemory:
    """register_host_memory."""

    def __init__(self, cuda: Any, memory: NDArray[np.uint8]) -> None:
        """Register it and ask for the device's address, which may be another."""
        self._cuda = cuda
        with _told(cuda, "register_host_memory"):
            flags = cuda.mem_host_register_flags.DEVICEMAP
            self._registered = cuda.register_host_memory(memory, flags).base
            self.address = int(self._registered.get_device_pointer())

    def close(self) -> None:
        """Unregister it."""
        with _told(self._cuda, "unregister"):
            self._registered.unregister()


class Event:
    """An event without a clock; who waits sleeps."""

    def __init__(self, cuda: Any) -> None:
        """Make it."""
        self._cuda = cuda
        with _told(cuda, "Event"):
            self.event = cuda.Event(cuda.event_flags.BLOCKING_SYNC | cuda.event_flags.DISABLE_TIMING)

    def wait(self) -> None:
        """Sleep until it is reached."""
        with _told(self._cuda, "synchronize"):
            self.event.synchronize()

    def close(self) -> None:
        """Let it go; pycuda destroys it."""
        self.event = None


class Stream:
    """A stream that does not wait for the default one."""

    NON_BLOCKING = 1
    """CU_STREAM_NON_BLOCKING, which pycuda has no name for."""

    def __init__(self, cuda: Any) -> None:
        """Make it."""
        self._cuda = cuda
        with _told(cuda, "Stream"):
            self._stream = cuda.Stream(self.NON_BLOCKING)
        self.handle = int(self._stream.handle)

    def copy_in(self, target: base.DeviceMemory, source: Any, size: int) -> None:
        """Host to device."""
        with _told(self._cuda, "memcpy_htod_async"):
            self._cuda.memcpy_htod_async(target.address, source.array[:size], self._stream)

    def copy_out(self, target: Any, source: base.DeviceMemory, size: int) -> None:
        """Device to host."""
        with _told(self._cuda, "memcpy_dtoh_async"):
            self._cuda.memcpy_dtoh_async(target.array[:size], source.address, self._stream)

    def mark(self, event: Any) -> None:
        """Record an event."""
        with _told(self._cuda, "record"):
            event.event.record(self._stream)

    def record(self, enqueue: Callable[[], None]) -> base.Graph:
        """Not with this library."""
        raise CudaError(NO_GRAPHS, "record")

    def close(self) -> None:
        """Let it go; pycuda destroys it."""
        self._stream = None


@contextlib.contextmanager
def _told(cuda: Any, call: str) -> Iterator[None]:
    """Its errors as ours: they say 'cuMemAlloc failed: out of memory'."""
    try:
        yield
    except cuda.Error as error:
        raise CudaError(first_line(error), call) from error


def _not_here(why: str) -> SetupError:
    return SetupError(
        ErrorCode.INIT_FAIL, why, hint="build pycuda on the box: pip install 'livegate[pycuda]'"
    )
