"""One who watches a camera: a short queue that never blocks the one who fills it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from livegate.core.errors import LiveGateError
from livegate.core.results import FrameAnswer, GateDecision, Reason

MAX_UNREAD = 16


class Watch:
    """The answers that were not read yet: filled by any thread, read by one.

    Who reads slowly misses answers, the oldest first, but those with a word of the gate last of all.
    An OPEN that was not read in time is turned into HOLD: nobody may be let in by old news.
    """

    def __init__(
        self,
        camera: str,
        notify: Callable[[], None],
        max_age_ms: int,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`notify` is called from any thread when there is something to take."""
        self.camera = camera
        self._notify = notify
        self._max_age_ns = max_age_ms * 1_000_000
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._unread: deque[tuple[int, FrameAnswer]] = deque()
        self._end: LiveGateError | None = None

    def put(self, answer: FrameAnswer) -> None:
        """Tell the watcher."""
        with self._lock:
            if len(self._unread) >= MAX_UNREAD:
                del self._unread[self._least()]
            self._unread.append((self._now_ns(), answer))
        self._notify()

    def end(self, error: LiveGateError) -> None:
        """Nothing more comes."""
        with self._lock:
            self._end = self._end or error
        self._notify()

    def take(self) -> FrameAnswer | None:
        """The oldest answer that was not read; None when there is none yet.

        Raises:
            LiveGateError: why nothing more comes, once everything was read.
        """
        with self._lock:
            if not self._unread:
                if self._end is not None:
                    raise self._end
                return None
            put_ns, answer = self._unread.popleft()
        if answer.gate is GateDecision.OPEN and self._now_ns() - put_ns > self._max_age_ns:
            return replace(answer, gate=GateDecision.HOLD, reasons=(Reason.STALE_FRAME,))
        return answer

    def _least(self) -> int:
        """The index of what can best be missed."""
        wordless = (i for i, (_, answer) in enumerate(self._unread) if answer.gate is None)
        return next(wordless, 0)
