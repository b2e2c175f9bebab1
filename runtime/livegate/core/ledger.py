"""Counting that costs whoever counts next to nothing.

A thread in a hurry writes down what happened: one append, without a lock. What was written is counted
when somebody asks, and with every so many notes, then by the thread that writes the last of them. Code
that runs for one frame in hundreds is cold each time; run for hundreds of notes in a row it is not.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 256
"""Notes that may wait; a few more while several threads write."""


class Ledger(Generic[T]):
    """What is written by many threads and counted by one at a time."""

    def __init__(self, count: Callable[[T], None]) -> None:
        """`count` is called for each note, in their order, with the ledger's lock held."""
        self._count = count
        self._notes: deque[T] = deque()
        self._lock = threading.Lock()

    def note(self, what: T) -> None:
        """Write down."""
        self._notes.append(what)
        if len(self._notes) >= MOST:
            self.settle()

    def settle(self) -> None:
        """Count all that was written before."""
        with self.settled():
            pass

    @contextmanager
    def settled(self) -> Iterator[None]:
        """`settle`; and nothing is counted while the block runs."""
        with self._lock:
            for _ in range(len(self._notes)):
                self._count(self._notes.popleft())
            yield
