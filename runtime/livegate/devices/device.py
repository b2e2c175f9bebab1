"""What a CUDA device must be for us: facts, memory, pinned memory, streams, events.

Addresses and handles are integers, because that is what TensorRT and the kernels take. Everything but
`facts` needs the device's context in the calling thread: `with device.current():`.

Source: CUDA Driver API; the primary context is the one that TensorRT's runtime uses as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import load_plugin

DRIVERS = "livegate.devices.drivers"
ORDER = ("cuda_python", "pycuda")
"""cuda-python has wheels for every target; pycuda is built on the box, where somebody did."""
RELEASES = (Path("/sys/module/nvidia/version"), Path("/etc/nv_tegra_release"))
"""Where a driver says its release: on a PC, and on a Jetson, whose module says none."""
Version = tuple[int, int]


class CudaError(Exception):
    """A call of the driver failed: its own name for the error, and the call."""

    def __init__(self, name: str, call: str) -> None:
        """Keep both."""
        super().__init__(f"{call}: {name}")
        self.name = name

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the device had no memory left."""
        return "OUT_OF_MEMORY" in self.name.upper().replace(" ", "_")


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What built code depends on: the GPU, its compute capability, CUDA, the driver's own release."""

    name: str
    capability: Version
    cuda: Version
    """The newest CUDA release that the driver knows."""
    driver: str
    total_bytes: int
    is_integrated: bool
    """The GPU shares the processor's memory, as on a Jetson."""
    maps_host_memory: bool
    """It can be shown memory that the host already has."""

    @property
    def reads_in_place(self) -> bool:
        """Whether it is worth showing it the host's memory: on a card each read would cross the bus."""
        return self.is_integrated and self.maps_host_memory


class DeviceMemory(Protocol):
    """Memory of the device."""

    address: int
    size: int

    def free(self) -> None:
        """Give it back; a second time is harmless."""
        ...


class PinnedMemory(Protocol):
    """Memory of the host that stays where it is, so that copies can run beside the CPU."""

    array: NDArray[np.uint8]
    """(size,) uint8; no view of it may be used after `free`."""

    def free(self) -> None:
        """Give it back; a second time is harmless."""
        ...


class MappedMemory(Protocol):
    """Memory of the host that the device reads where it is."""

    address: int
    """The device's own."""

    def close(self) -> None:
        """Take it away from the device, which must not be reading any more; the memory stays."""
        ...


class Event(Protocol):
    """A mark in a stream."""

    def wait(self) -> None:
        """Sleep until the stream is past the mark; other threads run meanwhile.

        Raises:
            CudaError: what was before the mark failed.
        """
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class Graph(Protocol):
    """Work that was recorded once and is launched as a whole, by one stream at a time."""

    def launch(self, stream: Stream) -> None:
        """Put all of it into a stream.

        Raises:
            CudaError: the device refuses it.
        """
        ...

    def close(self) -> None:
        """Give it back, after what was launched is done."""
        ...


class Stream(Protocol):
    """Work in order. Copies return at once; the memories have to stay until the work is done."""

    handle: int

    def copy_in(self, target: DeviceMemory, source: PinnedMemory, size: int) -> None:
        """The first `size` bytes, from the host to the device."""
        ...

    def copy_out(self, target: PinnedMemory, source: DeviceMemory, size: int) -> None:
        """The first `size` bytes, from the device to the host."""
        ...

    def mark(self, event: Event) -> None:
        """Put a mark behind all that was asked for until now."""
        ...

    def record(self, enqueue: Callable[[], None]) -> Graph:
        """Record what `enqueue` puts into this stream instead of doing it.

        `enqueue` is called once, in this thread, and may neither wait nor take memory; what other
        threads do meanwhile is their affair. Whatever happens, the stream works as before afterwards.

        Raises:
            CudaError: the work cannot be recorded, or the library has no calls for it.
        """
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class Device(Protocol):
    """One GPU. Every call but `current` needs its context."""

    facts: GpuFacts
    graphs_problem: str
    """Why its streams record nothing; empty where they do."""

    def current(self) -> AbstractContextManager[None]:
        """Its primary context in the calling thread, while the block lasts."""
        ...

    def free_bytes(self) -> int:
        """Memory that nobody holds."""
        ...

    def allocate(self, size: int) -> DeviceMemory:
        """Memory of the device.

        Raises:
            CudaError: there is not so much.
        """
        ...

    def pin(self, size: int) -> PinnedMemory:
        """Pinned memory of the host."""
        ...

    def map_host(self, memory: NDArray[np.uint8]) -> MappedMemory:
        """Lock memory of the host where it is and show it to the device.

        Args:
            memory: (size,) uint8 of whole pages; stays until `close`.

        Raises:
            CudaError: the device or the kernel refuses.
        """
        ...

    def stream(self) -> Stream:
        """A stream that does not wait for the default one."""
        ...

    def event(self) -> Event:
        """An event that a waiting thread sleeps for."""
        ...


class Driver(Protocol):
    """A library that reaches CUDA."""

    def open(self, ordinal: int) -> Device:
        """A device by its number.

        Raises:
            SetupError: INIT_FAIL when the library, the driver or the device is not here.
        """
        ...


def open_device(
    ordinal: int = 0,
    *,
    names: Sequence[str] = ORDER,
    load: Callable[[str], Driver] = lambda name: load_driver(name),
) -> Device:
    """The device, through the first library that reaches it.

    Raises:
        SetupError: INIT_FAIL with what each of them said.
    """
    problems = []
    for name in names:
        try:
            return load(name).open(ordinal)
        except SetupError as error:
            problems.append(f"{name}: {error.message}")
    raise SetupError(
        ErrorCode.INIT_FAIL,
        f"no NVIDIA GPU is reached: {'; '.join(problems)}",
        hint="install NVIDIA's driver and livegate[tensorrt]; on a box with its own pycuda that will do",
    )


def load_driver(name: str) -> Driver:
    """One library by name.

    Raises:
        SetupError: NO_EXIST when there is no such file.
    """
    driver: Driver = load_plugin(DRIVERS, name).Plugin()
    return driver


def driver_release(paths: Sequence[Path] = RELEASES) -> str:
    """The first line that a driver says of itself; empty where none says anything."""
    for path in paths:
        try:
            return path.read_text(errors="replace").splitlines()[0].strip()
        except (OSError, IndexError):
            continue
    return ""


def version_from_number(number: int) -> Version:
    """CUDA counts 12060 for 12.6."""
    return number // 1000, number % 1000 // 10
