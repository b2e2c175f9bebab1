"""Ends what a bench has left behind: run beside a peer, it waits for the death of the bench.

A bench that is killed (SIGKILL, out of memory) cannot end its peers, and they stand still by then,
stopped while others were timed: they would keep their memory for ever. The kernel's own signal at a
parent's death (PR_SET_PDEATHSIG) reaches the first process of a tree alone. So a guard holds the end of
a pipe whose other end is the bench's: a word through it ends the guard, its end without a word is the
bench's death.

Standard library only, and no imports of ours: it is started for each peer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LOOKS, LOOK_EVERY_S = 100, 0.05


class Guard:
    """The guard of one mark, as the bench holds it."""

    def __init__(self, mark: bytes) -> None:
        """Start it. `mark` is a variable of the environment, NAME=value, of all that is to be ended."""
        self._process = subprocess.Popen(
            [sys.executable, "-IS", __file__, mark.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # what a terminal sends to the bench is not for it
        )

    def leave(self) -> None:
        """The bench has tidied up by itself."""
        if self._process.poll() is None:
            self._process.communicate(b".")

    def lose(self) -> int:
        """As when the bench dies; returns when the guard has ended, with its status."""
        self._process.communicate()
        return self._process.returncode


def marked(mark: bytes) -> Iterator[int]:
    """The processes that carry a mark in their environment, this one left out."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid() and is_marked(folder, mark):
            yield int(folder.name)


def is_marked(folder: Path, mark: bytes) -> bool:
    """Whether a process, by its folder in /proc, has a mark; one that is gone has none."""
    with contextlib.suppress(OSError):
        return mark in (folder / "environ").read_bytes().split(b"\0")
    return False


def kill_all(mark: bytes) -> None:
    """Kill them, and those that they started meanwhile."""
    for _ in range(LOOKS):
        found = list(marked(mark))
        for pid in found:
            _kill(pid, mark)
        if not found:
            return
        time.sleep(LOOK_EVERY_S)


def _kill(pid: int, mark: bytes) -> None:
    """Kill it, if it is still the one that was found: a number may be taken by another meanwhile."""
    with contextlib.suppress(OSError):
        held = os.pidfd_open(pid)
        try:
            if is_marked(Path(f"/proc/{pid}"), mark):
                signal.pidfd_send_signal(held, signal.SIGKILL)
        finally:
            os.close(held)


def main() -> None:
    """Wait for a word, or for the end."""
    if not sys.stdin.buffer.read(1):
        kill_all(sys.argv[1].encode())


if __name__ == "__main__":
    main()
