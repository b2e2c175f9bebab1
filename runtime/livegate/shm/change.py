"""A condition that costs less where nobody waits."""

from __future__ import annotations

import threading


class Change(threading.Condition):
    """`with change.lock` is `with change`, without two calls of Python code on the way."""

    def __init__(self) -> None:
        """Nobody waits. The lock may be taken more than once by one thread."""
        self.lock = threading.RLock()
        super().__init__(self.lock)
