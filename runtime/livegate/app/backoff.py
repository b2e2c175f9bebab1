"""How long to wait before the next try, and when to give up."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

FIRST_S = 0.5


class Backoff:
    """Pauses that double up to a limit, each cut by chance so that cameras do not try in step."""

    def __init__(self, longest_s: float, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives 0..1; a pause is between half of its length and all of it."""
        self._longest_s = longest_s
        self._chance = chance
        self._tries = 0

    def next_s(self) -> float:
        """The next pause."""
        length_s = min(self._longest_s, FIRST_S * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return length_s * (0.5 + 0.5 * self._chance())

    def reset(self) -> None:
        """It went well: the next pause is a short one."""
        self._tries = 0


class CrashCount:
    """Tells a process that crashes now and then from one that cannot live."""

    def __init__(self, limit: int, window_s: float) -> None:
        """Too many is `limit` crashes within `window_s`."""
        self._times: deque[float] = deque(maxlen=limit)
        self._window_s = window_s

    def add(self, now_s: float) -> bool:
        """Count one; whether it is one too many."""
        self._times.append(now_s)
        return len(self._times) == self._times.maxlen and now_s - self._times[0] <= self._window_s
