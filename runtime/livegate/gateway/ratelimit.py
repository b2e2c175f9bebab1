"""How often a caller may ask: a token bucket for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from livegate.core.errors import ErrorCode, RequestError


class TokenBucket:
    """Lets `rate` calls a second through, and one second's worth (at least one) at once."""

    def __init__(self, rate: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """Start full; a rate of 0 lets everything through."""
        self._rate = rate
        self._size = max(1.0, rate)
        self._tokens = self._size
        self._now_s = now_s
        self._last_s = now_s()
        self._lock = threading.Lock()

    def take(self, name: str) -> None:
        """Count one call of `name`.

        Raises:
            RequestError: FULL when there is no token left.
        """
        if self._rate == 0:
            return
        if not self._takes():
            raise RequestError(
                ErrorCode.FULL,
                f"{name} sends more than {self._rate:g} requests a second",
                hint="send fewer, or raise its rate_limit_rps",
            )

    def _takes(self) -> bool:
        with self._lock:
            now_s = self._now_s()
            self._tokens = min(self._size, self._tokens + (now_s - self._last_s) * self._rate)
            self._last_s = now_s
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
