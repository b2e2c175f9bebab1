"""The processes that a test started; the test run itself may have others."""

from __future__ import annotations

import psutil


def children_with(word: str, parent: int | None = None) -> list[psutil.Process]:
    """Children of this process, or of another, that have a word among their arguments."""
    found = []
    for process in psutil.Process(parent).children():
        try:
            if word in process.cmdline():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found
