"""What processes use, out of a folder that is laid out as /proc, and of this very process."""

from __future__ import annotations

import os
from pathlib import Path

from livegate_bench.measure.meter import (
    PAGE_BYTES,
    TICKS,
    anonymous_bytes,
    cpu_seconds,
    family,
    open_files,
    rss_bytes,
)
from sysfs_kit import write


def process(
    root: Path, pid: int, parent: int, *, ticks: tuple[int, ...] = (0,) * 4, pages: int = 0
) -> None:
    """`ticks`: user, system, and those of ended children."""
    before = f"{pid} (a) b) S {parent} " + " ".join("0" * 9)
    write(root / f"proc/{pid}/stat", f"{before} {' '.join(map(str, ticks))} 20 0")
    write(root / f"proc/{pid}/statm", f"999 {pages} 1 1 0 1 0")


def test_family_is_used_up_together(tmp_path: Path) -> None:
    """Children, theirs, and those that have ended; not the neighbours. Names may hold anything."""
    process(tmp_path, 10, 1, ticks=(1, 2, 4, 8), pages=3)
    process(tmp_path, 11, 10, ticks=(16, 0, 0, 0), pages=5)
    process(tmp_path, 12, 11, ticks=(32, 0, 0, 0), pages=7)
    process(tmp_path, 13, 1, ticks=(64, 0, 0, 0), pages=9)
    write(tmp_path / "proc/11/fd/0", "")
    write(tmp_path / "proc/12/fd/1", "")
    assert set(family(10, tmp_path)) == {10, 11, 12}
    assert cpu_seconds(10, tmp_path) == (1 + 2 + 4 + 8 + 16 + 32) / TICKS
    assert rss_bytes(10, tmp_path) == 15 * PAGE_BYTES
    assert open_files(10, tmp_path) == 2


def test_anonymous_memory_is_the_familys_or_unknown(tmp_path: Path) -> None:
    """Shared and file pages beside it do not count; one member that tells nothing makes it unknown."""
    process(tmp_path, 10, 1)
    process(tmp_path, 11, 10)
    told = "00400000-7fff rollup\nRss: 99 kB\nShared_Dirty: 50 kB\nAnonymous: {} kB\n"
    write(tmp_path / "proc/10/smaps_rollup", told.format(3))
    assert anonymous_bytes(10, tmp_path) is None
    write(tmp_path / "proc/11/smaps_rollup", told.format(4))
    assert anonymous_bytes(10, tmp_path) == 7 << 10


def test_process_that_is_gone_uses_nothing(tmp_path: Path) -> None:
    """It may end between two looks."""
    (tmp_path / "proc").mkdir()
    assert (cpu_seconds(10, tmp_path), rss_bytes(10, tmp_path), open_files(10, tmp_path)) == (0, 0, 0)


def test_own_process_is_as_proc_tells() -> None:
    """The columns are the right ones."""
    assert rss_bytes(os.getpid()) > 10 << 20
    assert open_files(os.getpid()) >= 3
    assert cpu_seconds(os.getpid()) > 0
    assert 0 < (anonymous_bytes(os.getpid()) or 0) <= rss_bytes(os.getpid())
