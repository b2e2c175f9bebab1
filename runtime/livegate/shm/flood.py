"""How many messages a peer may send."""

from __future__ import annotations

import time
from collections.abc import Callable

from livegate.core.errors import ErrorCode, RequestError


class MessageAllowance:
    """A token bucket that holds one second's worth. For one thread."""

    def __init__(self, rate_per_s: int, *, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Full."""
        self.rate_per_s = rate_per_s
        self._now_ns = now_ns
        self._last_ns = now_ns()
        self._left = float(rate_per_s)

    def spend(self) -> None:
        """One message came.

        Raises:
            RequestError: FULL when there were more than the rate allows.
        """
        now_ns = self._now_ns()
        self._left += (now_ns - self._last_ns) / 1e9 * self.rate_per_s
        self._left = min(self._left, float(self.rate_per_s))
        self._last_ns = now_ns
        if self._left < 1:
            raise RequestError(
                ErrorCode.FULL,
                f"more than {self.rate_per_s} messages came within a second",
                hint="two messages a frame are enough; or raise frames.max_messages_per_s",
            )
        self._left -= 1
