"""Which containers were judged already: a nonce counts once, as long as its container may be valid.

A container is valid while its own time is within a window around the box's. Its nonce is remembered
until it has left the window. `floor_ms` is the newest time among the containers that were forgotten:
nothing made at or before it is judged. While the clock runs evenly the window is the stricter of the
two; when the clock is set back, or when memory is short, the floor keeps forgotten containers out.

It begins at the start of the server, so that what was judged before a restart is not judged again by
clocks that agree. A box without a clock battery starts in the past, and its clock jumps when the time
comes in: the start is therefore reckoned back from the clock as it is now. The price: after each start,
a client whose clock lags is refused for as long as it lags.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable

from livegate.core.errors import ErrorCode, RequestError

CAPACITY = 65_536
HINT = "pack it anew; set the clocks, or widen linkface.data_window_s"
Nonce = tuple[str, bytes]
"""A device and its nonce."""


class Nonces:
    """The containers of late. Safe to call from any thread."""

    def __init__(
        self,
        window_s: float,
        *,
        capacity: int = CAPACITY,
        now_s: Callable[[], float] = time.time,
        elapsed_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        """Nothing was judged, and nothing that was made until now will be."""
        self._elapsed_s = elapsed_s
        self._begun_s = elapsed_s()
        self._window_ms = int(window_s * 1000)
        self._capacity = capacity
        self._now_s = now_s
        self._floor_ms = int(now_s() * 1000)
        self._known: dict[Nonce, tuple[int, bool]] = {}
        """When its container was made, and whether it is taken."""
        self._by_age: list[tuple[int, Nonce]] = []
        self._lock = threading.Lock()

    def claim(self, nonce: Nonce, created_ms: int) -> None:
        """Take a container for this request; nobody else gets it until `release`.

        Raises:
            RequestError: PARAM_FAILURE: seen before, too old, from the future.
        """
        now_ms = int(self._now_s() * 1000)
        with self._lock:
            self._forget(now_ms - self._window_ms)
            self._floor_ms = max(self._floor_ms, now_ms - self._up_ms)
            self._require_in_time(created_ms, now_ms)
            known_ms, is_taken = self._known.get(nonce, (created_ms, False))
            if is_taken:
                raise _refused("was judged already", "a container is judged once; pack a new one")
            if known_ms != created_ms:  # it would be forgotten with the older of the two
                raise _refused("has the nonce of another one", "pack it anew")
            if nonce not in self._known:
                heapq.heappush(self._by_age, (created_ms, nonce))
            self._known[nonce] = (created_ms, True)
            while len(self._by_age) > self._capacity:
                self._forget_oldest()

    def release(self, nonce: Nonce) -> None:
        """The request got no verdict: its container may come again."""
        with self._lock:
            if nonce in self._known:
                self._known[nonce] = (self._known[nonce][0], False)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    @property
    def _up_ms(self) -> int:
        """Rounded up: what was made in the server's first millisecond is judged."""
        return math.ceil((self._elapsed_s() - self._begun_s) * 1000)

    def _require_in_time(self, created_ms: int, now_ms: int) -> None:
        ahead_ms = created_ms - now_ms
        window = f"{self._window_ms / 1000:g} s are allowed"
        if ahead_ms > self._window_ms:
            raise _refused(f"was made {ahead_ms / 1000:.0f} s in the future, {window}", HINT)
        if -ahead_ms > self._window_ms:
            raise _refused(f"was made {-ahead_ms / 1000:.0f} s ago, {window}", HINT)
        if created_ms <= self._floor_ms:
            raise _refused("was made before this server began to remember what it judged", HINT)

    def _forget(self, until_ms: int) -> None:
        while self._by_age and self._by_age[0][0] < until_ms:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        created_ms, nonce = heapq.heappop(self._by_age)
        del self._known[nonce]
        self._floor_ms = max(self._floor_ms, created_ms)


def _refused(fact: str, hint: str) -> RequestError:
    return RequestError(ErrorCode.PARAM_FAILURE, f"the container {fact}", hint=hint)
