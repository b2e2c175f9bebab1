"""Whether a process puts anything on a disk while something happens."""

from __future__ import annotations

import threading
from pathlib import Path

HANG_S = 60


def files_of(process: int, ours: set[str]) -> set[str]:
    """What a process has open that is a file on a disk, deleted ones included."""
    folder = Path(f"/proc/{process}/fd")
    found = set()
    for entry in folder.iterdir():
        try:
            name = str(entry.readlink())
        except OSError:
            continue
        if name.startswith("/") and not name.startswith(("/dev/", "/memfd:", "/proc/", "/sys/")):
            found.add(name)
    return found - ours


class DiskWatch:
    """Looks at a process's files again and again, and at the folder for temporary ones."""

    def __init__(self, process: int, temporary: Path) -> None:
        self._ours = files_of(process, set())
        self._process, self._temporary = process, temporary
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen: set[str] = set()
        self.looks = 0

    def __enter__(self) -> DiskWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join(HANG_S)

    def _look(self) -> None:
        while not self._is_over.is_set():
            self.looks += 1
            self.seen |= files_of(self._process, self._ours)
            self.seen |= {str(path) for path in self._temporary.iterdir()}
