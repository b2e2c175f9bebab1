"""How much memory all segments together may take, asked before any is taken.

A memfd is not bounded by /dev/shm, and fallocate on one does not fail in time: under a cgroup limit
of 1 MB, 200 MB succeed and the first write is killed. So the sum is held against three limits first:
the configured ceiling, the machine's MemAvailable, and what each cgroup above us has left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from livegate.core.errors import ErrorCode, RequestError

MIB = 1 << 20
Rooms = dict[str, int]
"""Bytes left, by the name of what limits them."""


class SegmentBudget:
    """Adds up the segments that live."""

    def __init__(self, ceiling_bytes: int, read_rooms: Callable[[], Rooms] | None = None) -> None:
        """`read_rooms` asks the machine, each time anew; the default reads /proc and the cgroups."""
        self.ceiling_bytes = ceiling_bytes
        self._read_rooms = read_rooms or machine_rooms
        self._taken_bytes = 0
        self._lock = threading.Lock()

    @property
    def taken_bytes(self) -> int:
        """The sum of the segments that live."""
        return self._taken_bytes

    def take(self, wanted_bytes: int) -> None:
        """Count a segment that is about to be made.

        Raises:
            RequestError: OUT_OF_MEM, with the missing amount.
        """
        with self._lock:
            rooms = {"frames.ceiling_mib": self.ceiling_bytes - self._taken_bytes}
            rooms.update(self._read_rooms())
            name, room = min(rooms.items(), key=lambda item: item[1])
            if room < wanted_bytes:
                raise _missing(wanted_bytes, room, name)
            self._taken_bytes += wanted_bytes

    def give_back(self, taken_bytes: int) -> None:
        """A segment is gone, or was not made after all."""
        with self._lock:
            self._taken_bytes -= taken_bytes


def _missing(wanted: int, room: int, name: str) -> RequestError:
    missing = wanted - room
    return RequestError(
        ErrorCode.OUT_OF_MEM,
        f"the slots take {wanted / MIB:.1f} MiB, {name} leaves {max(0, room) / MIB:.1f} MiB: "
        f"{missing / MIB:.1f} MiB are missing",
        hint="ask for fewer slots or smaller frames, or raise the limit",
        fields={"missing_bytes": str(missing), "limit": name},
    )


def machine_rooms(root: Path = Path("/")) -> Rooms:
    """What the machine and the cgroups above this process have left; unreadable limits are none."""
    rooms = {}
    available = _field(root / "proc/meminfo", "MemAvailable:")
    if available is not None:
        rooms["MemAvailable"] = available * 1024
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            for base in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
                rooms.update(_group_rooms(root / base, path, _V2))
        elif "memory" in controllers.split(","):
            rooms.update(_group_rooms(root / "sys/fs/cgroup/memory", path, _V1))
    return rooms


_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _group_rooms(base: Path, path: str, names: tuple[str, str, str]) -> Rooms:
    """What is left in a cgroup and in each above it.

    Inside a container the path may name a folder of the host that is not mounted here; then only the
    folders that are there count, and the mount's own top is always one of them.
    """
    limit_name, usage_name, cache_name = names
    rooms = {}
    folder = base / path.strip("/")
    for group in (folder, *folder.parents):
        limit, usage = _number(group / limit_name), _number(group / usage_name)
        if limit is not None and usage is not None:
            # File pages that nobody used lately are given up before anything is refused: a box that
            # has read its models would look full without this.
            cache = _field(group / "memory.stat", cache_name) or 0
            rooms[str(group / limit_name)] = limit - usage + cache
        if group == base:
            break
    return rooms


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _field(path: Path, name: str) -> int | None:
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None
