"""Which challenges are open, and which have ended: each is taken once, in time, or never.

Bounded on both sides. The nonces of the latest that ended are kept, so that their owners hear why; an
older one is unknown. Nothing is written: after a restart every nonce is unknown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from livegate.core.challenge import Challenge
from livegate.core.errors import DeadlineError, ErrorCode, RequestError

START_ANOTHER = "start another challenge"


class ChallengeBook:
    """Safe for any thread. `on_expired` is called with how many nobody answered in time."""

    def __init__(
        self,
        max_open: int,
        on_expired: Callable[[int], None] = lambda count: None,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Empty. `now_ns` is monotonic, so that nobody sets it."""
        self._max_open = max_open
        self._on_expired = on_expired
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._open: dict[str, Challenge] = {}
        self._ended: dict[str, bool] = {}

    def __len__(self) -> int:
        """How many nonces it knows."""
        return len(self._open) + len(self._ended)

    def add(self, challenge: Challenge) -> None:
        """Wait for its answer.

        Raises:
            RequestError: FULL when as many wait as may.
        """
        with self._lock:
            self._sweep()
            if len(self._open) >= self._max_open:
                raise RequestError(
                    ErrorCode.FULL,
                    f"{self._max_open} challenges wait for an answer",
                    hint="answer one, wait for one to expire, or raise challenge.max_open",
                )
            self._open[challenge.nonce] = challenge

    def find(self, nonce: str) -> Challenge:
        """The open challenge of a nonce, which stays open.

        Raises:
            RequestError: NO_EXIST for one that nobody started, EXIST for one that was answered.
            DeadlineError: its time is up.
        """
        with self._lock:
            return self._found(nonce)

    def take(self, nonce: str) -> Challenge:
        """The same, for the one answer that it gets. Raises as `find`."""
        with self._lock:
            challenge = self._found(nonce)
            self._end(nonce, was_taken=True)
            return challenge

    def _found(self, nonce: str) -> Challenge:
        self._sweep()
        if nonce in self._open:
            return self._open[nonce]
        if nonce not in self._ended:
            raise RequestError(
                ErrorCode.NO_EXIST, "there is no such challenge on this box", hint=START_ANOTHER
            )
        if self._ended[nonce]:
            raise RequestError(
                ErrorCode.EXIST, "this challenge was answered already", hint=START_ANOTHER
            )
        raise DeadlineError("the time to answer this challenge is up", hint=START_ANOTHER)

    def _sweep(self) -> None:
        """End those whose time is up."""
        now_ns = self._now_ns()
        late = [nonce for nonce, one in self._open.items() if now_ns > one.deadline_ns]
        for nonce in late:
            self._end(nonce, was_taken=False)
        if late:
            self._on_expired(len(late))

    def _end(self, nonce: str, *, was_taken: bool) -> None:
        del self._open[nonce]
        self._ended[nonce] = was_taken
        while len(self._ended) > self._max_open:
            del self._ended[next(iter(self._ended))]
