"""How many may wait while more comes than can be done.

All places are for bursts. Once somebody was refused, a long queue would only make everybody wait and get
nothing more done, so for a while half of the places hold. Then all do again, for it may have been a
burst: as many clients as places who each wait for their answer must not be refused for ever after it.
Each time that all are filled anew soon afterwards the while is twice as long.
"""

from __future__ import annotations

import math

PART, CALM = 0.5, 0.25
"""Of the places: how many may wait in a flood, and how few wait when it is over before its time."""
FIRST_NS, LONGEST_NS = 2_000_000_000, 32_000_000_000


class Flood:
    """Of one queue; its lock is held at every call."""

    def __init__(self, capacity: int) -> None:
        """No flood."""
        self._capacity = capacity
        self._until_ns = 0
        self._while_ns = FIRST_NS

    def places(self, waiting: int, now_ns: int) -> int:
        """How many may wait now."""
        if waiting <= CALM * self._capacity:
            self._until_ns = min(self._until_ns, now_ns)
        return math.ceil(PART * self._capacity) if now_ns < self._until_ns else self._capacity

    def refused(self, now_ns: int) -> None:
        """Somebody found no place."""
        if now_ns < self._until_ns:
            return
        is_new = now_ns - self._until_ns > LONGEST_NS
        self._while_ns = FIRST_NS if is_new else min(2 * self._while_ns, LONGEST_NS)
        self._until_ns = now_ns + self._while_ns
