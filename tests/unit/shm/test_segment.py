"""The memory: sealed, mapped, and safe to look at after its end."""

from __future__ import annotations

import ctypes
import ctypes.util
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from frame_queue_kit import open_fds
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.shm.budget import MIB, SegmentBudget
from livegate.shm.geometry import geometry_for
from livegate.shm.layout import PixelFormat
from livegate.shm.segment import Segment, make_segment

GEOMETRY = geometry_for(64, 48, PixelFormat.BGR)
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2


@pytest.fixture
def budget() -> SegmentBudget:
    return SegmentBudget(64 * MIB, dict)


@pytest.fixture
def segment(budget: SegmentBudget) -> Iterator[Segment]:
    made = make_segment("door", GEOMETRY, 3, budget)
    yield made
    made.close()


def mapped_ranges() -> list[tuple[int, int]]:
    """Where memfds of ours are mapped in this process, as the kernel says."""
    maps = Path("/proc/self/maps").read_text(encoding="ascii").splitlines()
    spans = [line.split()[0] for line in maps if "/memfd:livegate-" in line]
    return [(int(a, 16), int(b, 16)) for a, b in (span.split("-") for span in spans)]


def test_segment_resized_by_a_peer_is_refused_by_the_kernel(segment: Segment) -> None:
    """The seals hold: no truncation, no growth, no further seals."""
    peer = os.dup(segment.fd)
    try:
        for size in (0, segment.total_bytes - 1, segment.total_bytes + 1):
            with pytest.raises(PermissionError):
                os.ftruncate(peer, size)
        with pytest.raises(PermissionError):
            os.posix_fallocate(peer, 0, segment.total_bytes + 4096)
    finally:
        os.close(peer)


def test_segment_in_place_is_inside_the_mapping_and_read_only(segment: Segment) -> None:
    """Zero copy: the array's address lies in the memfd's mapping, at its slot."""
    pixels = GEOMETRY.shape(segment.in_place(1))
    address = pixels.__array_interface__["data"][0]
    inside = [(a, b) for a, b in mapped_ranges() if a <= address < b]
    assert inside
    assert address == inside[0][0] + segment.offset(1)
    assert not pixels.flags.writeable


def test_segment_in_place_shows_what_a_peer_writes(segment: Segment) -> None:
    """It is the peer's memory, not a picture of it."""
    pixels = GEOMETRY.shape(segment.in_place(2))
    os.pwrite(segment.fd, b"\x2a", segment.offset(2))
    assert pixels[0, 0, 0] == 42


def test_segment_private_copy_does_not_change_any_more(segment: Segment) -> None:
    """What an untrusted peer writes later is not seen."""
    os.pwrite(segment.fd, b"\x01\x02\x03", segment.offset(1))
    pixels = GEOMETRY.shape(segment.private_copy(1))
    os.pwrite(segment.fd, b"\xff\xff\xff", segment.offset(1))
    assert pixels[0, 0].tolist() == [1, 2, 3]
    address = pixels.__array_interface__["data"][0]
    assert not [1 for a, b in mapped_ranges() if a <= address < b]


def test_segment_with_a_hole_punched_reads_zeros(segment: Segment) -> None:
    """A hole cannot be forbidden by seals; both ways of reading survive it."""
    os.pwrite(segment.fd, b"\x07" * segment.total_bytes, 0)
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    flags = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
    size = ctypes.c_int64(segment.total_bytes)
    assert libc.fallocate(segment.fd, flags, ctypes.c_int64(0), size) == 0, os.strerror(
        ctypes.get_errno()
    )
    assert not segment.private_copy(0).any()
    assert not segment.in_place(0).any()


def test_segment_closed_while_an_array_lives_keeps_the_array_readable(
    budget: SegmentBudget,
) -> None:
    """No segfault: the mapping goes with the last view, the budget and the descriptor at once."""
    before = open_fds()
    segment = make_segment("late", GEOMETRY, 3, budget)
    pixels = GEOMETRY.shape(segment.in_place(0))[10:20]
    segment.close()
    assert budget.taken_bytes == 0
    assert int(pixels.sum()) == 0
    assert mapped_ranges()
    del pixels
    assert not mapped_ranges()
    assert open_fds() == before


def test_segment_read_after_its_close_raises(budget: SegmentBudget) -> None:
    """1024, never a fault."""
    segment = make_segment("gone", GEOMETRY, 3, budget)
    segment.close()
    segment.close()
    for read in (segment.in_place, segment.private_copy):
        with pytest.raises(LiveGateError) as caught:
            read(0)
        assert caught.value.code is ErrorCode.CONNECTION_CLOSE


def test_segment_above_the_budget_opens_nothing(budget: SegmentBudget) -> None:
    """1006 before anything is made."""
    before = open_fds()
    with pytest.raises(RequestError) as caught:
        make_segment("big", geometry_for(8192, 8192, PixelFormat.BGR), 3, budget)
    assert caught.value.code is ErrorCode.OUT_OF_MEM
    assert (open_fds(), budget.taken_bytes) == (before, 0)


def test_segment_that_the_kernel_refuses_gives_the_budget_back(
    budget: SegmentBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC from fallocate is 1006, and nothing stays behind."""
    before = open_fds()

    def refuse(fd: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(RequestError) as caught:
        make_segment("full", GEOMETRY, 3, budget)
    assert caught.value.code is ErrorCode.OUT_OF_MEM
    assert (open_fds(), budget.taken_bytes) == (before, 0)


def test_segment_that_cannot_be_mapped_gives_everything_back(
    budget: SegmentBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after the memory was made leaves neither a descriptor nor a count."""
    before = open_fds()

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(OSError, match="Cannot allocate"):
        make_segment("full", GEOMETRY, 3, budget)
    assert (open_fds(), budget.taken_bytes) == (before, 0)


def test_segments_do_not_use_dev_shm(segment: Segment) -> None:
    """The memory has no name that anybody could find, lose or fill."""
    assert str(Path(f"/proc/self/fd/{segment.fd}").readlink()).startswith("/memfd:livegate-door")
    assert np.count_nonzero(segment.in_place(0)) == 0
    assert not list(Path("/dev/shm").glob("*livegate*"))
