"""The memory of one producer: a sealed memfd with slots of one size.

The seals (shrink, grow, and no more seals) take away the peer's ways to make our reads a SIGBUS by
truncating. They do not stop it from writing or punching holes at any time: a trusted producer is read
in place, from an untrusted one each frame is copied once with preadv. Copying through the mapping
would not do: a hole that is punched under it takes a page of memory for each page that is read, and
the limit that it meets kills us, while preadv reads zeros from a hole.

Arrays are made with np.frombuffer. It holds the mapping alive for as long as any view lives;
np.ndarray over the mapping does not, and reading through it after the close is a segfault; over such
an array (SlotGeometry.shape) it is a view as any other.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import secrets
import threading
from collections.abc import Callable

import numpy as np

from livegate.core.errors import ErrorCode, RequestError
from livegate.core.frame import Pixels, Share
from livegate.shm.budget import SegmentBudget
from livegate.shm.geometry import SlotGeometry, empty_picture

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Segment:
    """Slots of one geometry, mapped for reading. Close it when the last lease is gone."""

    def __init__(self, fd: int, geometry: SlotGeometry, slots: int, free: Callable[[], None]) -> None:
        """Take over a sealed memfd; `free` is called once, at the close."""
        self.id = secrets.randbits(64)
        self.fd = fd
        self.geometry = geometry
        self.slots = slots
        self._free = free
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = mmap.mmap(fd, self.total_bytes, prot=mmap.PROT_READ)
        self._shared: _Shared | None = None

    @property
    def total_bytes(self) -> int:
        """Of all slots."""
        return self.geometry.slot_bytes * self.slots

    @property
    def is_closed(self) -> bool:
        """Whether the memory was let go."""
        return self._map is None

    def offset(self, slot: int) -> int:
        """Where a slot begins, in bytes from the start."""
        return self.geometry.slot_bytes * slot

    def in_place(self, slot: int) -> Pixels:
        """The bytes of a slot's picture where they are: (picture_bytes,) uint8, read-only."""
        if self._map is None:
            raise _closed()
        return bytes_in_place(self._map, self.geometry.slot_bytes * slot, self.geometry)

    def private_copy(self, slot: int) -> Pixels:
        """The bytes of a slot's picture in memory of ours: (picture_bytes,) uint8.

        The picture may be torn if the producer writes meanwhile, but it no longer changes under us.

        Raises:
            RequestError: READ_FAIL when the kernel gives fewer bytes.
        """
        if self._map is None:
            raise _closed()
        copy = empty_picture(self.geometry)
        got = os.preadv(self.fd, [copy.data], self.offset(slot))
        if got != copy.size:
            raise RequestError(ErrorCode.READ_FAIL, f"slot {slot} gave {got} of {copy.size} bytes")
        return copy

    def device_address(self, share: Share) -> int | None:
        """Where a device reads the first slot; it is shown the memory once, until the close.

        Whether it was refused is remembered, too: a refusal must not cost every frame an attempt.
        """
        with self._lock:
            if self._map is None:
                return None
            if self._shared is None:
                self._shared = _Shared(self.fd, self.total_bytes, share)
            return self._shared.address

    def close(self) -> None:
        """Let the memory go; views that still live keep the mapping until the last of them dies."""
        with self._lock:
            mapping, self._map = self._map, None
            shared, self._shared = self._shared, None
        if mapping is None:
            return
        if shared is not None:
            shared.close()
        close_mapping(mapping)
        os.close(self.fd)
        self._free()


class _Shared:
    """The memory as a device sees it, through a mapping of its own.

    It may be written to, although nobody does: not every device takes memory that is mapped read-only.
    """

    def __init__(self, fd: int, size: int, share: Share) -> None:
        """Show it."""
        self._map = mmap.mmap(fd, size)
        self._block = share(np.frombuffer(self._map, np.uint8))
        self.address = None if self._block is None else self._block.address

    def close(self) -> None:
        """First the device lets go, then the kernel."""
        block, self._block = self._block, None
        if block is not None:
            block.close()
        del block
        close_mapping(self._map)


def make_segment(name: str, geometry: SlotGeometry, slots: int, budget: SegmentBudget) -> Segment:
    """Ask the budget, then make, reserve and seal the memory.

    Raises:
        RequestError: OUT_OF_MEM, from the budget or from the kernel.
    """
    total = geometry.slot_bytes * slots
    budget.take(total)
    try:
        fd = _sealed_memfd(name, total)
    except BaseException:
        budget.give_back(total)
        raise
    try:
        return Segment(fd, geometry, slots, lambda: budget.give_back(total))
    except BaseException:
        os.close(fd)
        budget.give_back(total)
        raise


def bytes_in_place(mapping: mmap.mmap, offset: int, geometry: SlotGeometry) -> Pixels:
    """The bytes of one picture inside a mapping: (picture_bytes,) uint8; writable as the mapping."""
    return np.frombuffer(mapping, np.uint8, count=geometry.picture_bytes, offset=offset)


def close_mapping(mapping: mmap.mmap) -> None:
    """Unmap now, or, while arrays live inside it, when the last of them dies."""
    try:
        mapping.close()
    except BufferError:
        # The views hold the mapping; the caller's reference was the only other one.
        return


def _sealed_memfd(name: str, total_bytes: int) -> int:
    fd = os.memfd_create(f"livegate-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, total_bytes)
        os.posix_fallocate(fd, 0, total_bytes)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.ENOMEM, errno.ENOSPC, errno.EFBIG):
            raise RequestError(
                ErrorCode.OUT_OF_MEM,
                f"the kernel refused {total_bytes} bytes for {name}: {error.strerror}",
                hint="ask for fewer slots or smaller frames",
                fields={"missing_bytes": str(total_bytes)},
            ) from error
        raise
    return fd


def _closed() -> RequestError:
    return RequestError(ErrorCode.CONNECTION_CLOSE, "the memory of this producer was let go")
