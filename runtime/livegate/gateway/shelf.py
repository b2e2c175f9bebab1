"""Files that callers uploaded, by id: so many bytes, for so long, in memory only.

Off unless the operator turns it on; an id is then given all the same, because clients expect one, and
a later request finds it unknown.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

Later = Callable[[float, Callable[[], None]], None]
"""Has something called after so many seconds."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file, whose it is, and when it goes."""

    owner: str
    until_s: float
    content: bytes = field(repr=False)


class Shelf:
    """Keeps files for their owners; the oldest make room. Safe to call from any thread."""

    def __init__(
        self,
        max_bytes: int,
        ttl_s: float,
        *,
        now_s: Callable[[], float] = time.monotonic,
        later: Later | None = None,
    ) -> None:
        """Empty; with 0 bytes it stays so."""
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._now_s = now_s
        self._later = later or _by_timer
        self._files: dict[str, Stored] = {}
        self._bytes = 0
        self._is_due = False
        self._lock = threading.Lock()

    def put(self, owner: str, content: bytes) -> str:
        """A new id, under which the owner finds the file if there is room for it."""
        name = uuid.uuid4().hex
        with self._lock:
            self._sweep()
            if not self.is_open or len(content) > self._max_bytes:
                return name
            while self._bytes + len(content) > self._max_bytes:
                self._drop(next(iter(self._files)))
            self._files[name] = Stored(owner, self._now_s() + self._ttl_s, content)
            self._bytes += len(content)
            self._call_later()
        return name

    def get(self, owner: str, name: str) -> bytes | None:
        """The owner's file; None when there is none, it has expired, or it is somebody else's."""
        with self._lock:
            self._sweep()
            found = self._files.get(name)
        return found.content if found is not None and found.owner == owner else None

    @property
    def is_open(self) -> bool:
        """Whether anything is kept at all."""
        return self._max_bytes > 0

    @property
    def used_bytes(self) -> int:
        """How many are kept."""
        return self._bytes

    def _sweep(self) -> None:
        """Files go in the order they came: all have the same time."""
        now_s = self._now_s()
        for name in [name for name, file in self._files.items() if file.until_s <= now_s]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._bytes -= len(self._files.pop(name).content)

    def _call_later(self) -> None:
        """Nothing outlives its time because nobody asks any more."""
        if self._files and not self._is_due:
            self._is_due = True
            first = next(iter(self._files.values()))
            self._later(max(0.0, first.until_s - self._now_s()), self._expire)

    def _expire(self) -> None:
        with self._lock:
            self._is_due = False
            self._sweep()
            self._call_later()


def _by_timer(delay_s: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(delay_s, call)
    timer.daemon = True
    timer.start()
