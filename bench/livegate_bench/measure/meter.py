"""What processes use, from /proc: theirs and that of all whom they started.

Source: proc(5). The root is a parameter: a folder that is laid out as /.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def family(pid: int, root: Path = ROOT) -> tuple[int, ...]:
    """A process and all below it; who is gone meanwhile is left out."""
    children: dict[int, list[int]] = {}
    for folder in (root / "proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name), root)):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, left = list[int](), [pid]
    while left:
        found.append(left.pop())
        left += children.get(found[-1], [])
    return tuple(found)


def cpu_seconds(pid: int, root: Path = ROOT) -> float:
    """User and system time of a process, of all below it, and of those that have ended."""
    return sum(
        sum(map(int, fields[11:15])) for member in family(pid, root) if (fields := _stat(member, root))
    ) / float(TICKS)


def rss_bytes(pid: int, root: Path = ROOT) -> int:
    """Resident memory of a process and all below it; shared pages count in each."""
    pages = 0
    for member in family(pid, root):
        fields = _text(root / f"proc/{member}/statm").split()
        pages += int(fields[1]) if fields else 0
    return pages * PAGE_BYTES


def anonymous_bytes(pid: int, root: Path = ROOT) -> int | None:
    """Memory of a process and all below it that is neither a file's nor shared; None where untold."""
    kib = 0
    for member in family(pid, root):
        lines = _text(root / f"proc/{member}/smaps_rollup").splitlines()
        own = [line.split()[1] for line in lines if line.startswith("Anonymous:")]
        if not own and _stat(member, root):
            return None
        kib += sum(map(int, own))
    return kib << 10


def open_files(pid: int, root: Path = ROOT) -> int:
    """Descriptors of a process and all below it."""
    return sum(_entries(root / f"proc/{member}/fd") for member in family(pid, root))


def _stat(pid: int, root: Path) -> list[str]:
    """Fields of /proc/PID/stat from the state on: [1] parent, [11:15] times; none when it is gone."""
    return _text(root / f"proc/{pid}/stat").rpartition(")")[2].split()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _entries(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0
