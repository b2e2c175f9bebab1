"""Frames where they lie: an integrated GPU reads the frame queue's slots without a copy.

A producer's memory is registered with the driver once, when its first frame is to be read by an engine,
and taken away when the producer has left and nobody looks at a frame any more. Each frame's address is
the block's plus its offset. Never on a card, which would fetch every pixel over the bus: there a frame
is copied in one go.

Source: CUDA Driver API, cuMemHostRegister; CUDA for Tegra, memory management (pinned memory).
"""

from __future__ import annotations

from livegate.core.frame import Frame, Pixels, SharedBlock
from livegate.core.telemetry import get_logger
from livegate.devices.device import CudaError, Device, MappedMemory

log = get_logger("livegate.devices")


class SlotReader:
    """What one engine needs to read slots in place. Safe for any thread."""

    def __init__(self, device: Device) -> None:
        """Nothing is shown to the device yet."""
        self._device = device
        self._is_told = False

    def address(self, frame: Frame) -> int | None:
        """Where the device reads a frame's raw pixels; None where they have to be copied."""
        raw = frame.raw
        if raw is None or raw.block is None or not self._device.facts.reads_in_place:
            return None
        first = raw.block.device_address(self._share)
        return None if first is None else first + raw.offset

    def _share(self, memory: Pixels) -> SharedBlock | None:
        try:
            with self._device.current():
                return _Shared(self._device, self._device.map_host(memory))
        except CudaError as error:
            if not self._is_told:
                self._is_told = True
                log.warning("frames are copied to the GPU", why=str(error), bytes=memory.size)
            return None


class _Shared:
    """A block that the device was shown."""

    def __init__(self, device: Device, mapped: MappedMemory) -> None:
        """Keep what closes it."""
        self._device, self._mapped, self.address = device, mapped, mapped.address

    def close(self) -> None:
        """The producer is gone."""
        try:
            with self._device.current():
                self._mapped.close()
        except CudaError as error:
            log.warning("a producer's memory was not taken back from the GPU", why=str(error))
