"""One who watches a camera: a short queue that never blocks the one who fills it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from msgspec.structs import replace

from livegate.core.errors import LiveGateError
from livegate.core.results import FrameAnswer, GateDecision, Reason
from livegate.pipelines.challenge import LiveChallenge
from livegate.service.outcomes import answer_of_news, answer_with_news

MAX_UNREAD = 16


class Watch:
    """The answers that were not read yet: filled by any thread, read by one.

    Who reads slowly misses answers, the oldest first, but those with a word of the gate, or with news of
    the challenge that this watcher answers, last of all.
    An OPEN that was not read in time is turned into HOLD: nobody may be let in by old news.
    """

    def __init__(
        self,
        camera: str,
        notify: Callable[[], None],
        max_age_ms: int,
        challenge: LiveChallenge | None = None,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`notify` is called from any thread when there is something to take."""
        self.camera = camera
        self.challenge = challenge
        self._notify = notify
        self._max_age_ns = max_age_ms * 1_000_000
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._unread: deque[tuple[int, FrameAnswer]] = deque()
        self._end: LiveGateError | None = None

    def put(self, answer: FrameAnswer) -> None:
        """Tell the watcher, unless nothing more comes; news of a challenge are for who answers it."""
        own = self._addressed(answer)
        with self._lock:
            if self._end is None:
                self._append(own)
        self._notify()

    @property
    def left_s(self) -> float | None:
        """Seconds until `expire` may have something to tell; None when it never will."""
        return self.challenge.left_s if self.challenge is not None else None

    def expire(self) -> None:
        """Tell what the deadline of its challenge brought, should no frame have come to tell it."""
        news = self.challenge.expire() if self.challenge is not None else None
        if news is not None:
            self.put(answer_of_news(news))

    def end(self, error: LiveGateError, last: FrameAnswer | None = None) -> None:
        """Nothing more comes but `last`: a frame that was under way does not follow it."""
        own = None if last is None else self._addressed(last)
        with self._lock:
            if self._end is None and own is not None:
                self._append(own)
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

    def _addressed(self, answer: FrameAnswer) -> FrameAnswer:
        """The answer with the news of this watcher's challenge, and of no other."""
        if self.challenge is not None:
            silence, news = self.challenge.silence, answer.news
            is_ours = news is not None and news.nonce == silence.nonce
            return answer_with_news(answer, news if news is not None and is_ours else silence)
        return answer if answer.news is None else replace(answer, news=None)

    def _append(self, answer: FrameAnswer) -> None:
        """The lock is held."""
        if len(self._unread) >= MAX_UNREAD:
            del self._unread[self._least()]
        self._unread.append((self._now_ns(), answer))

    def _least(self) -> int:
        """The index of what can best be missed."""
        wordless = (i for i, (_, answer) in enumerate(self._unread) if not _has_word(answer))
        return next(wordless, 0)


def _has_word(answer: FrameAnswer) -> bool:
    news = answer.news
    return answer.gate is not None or (news is not None and bool(news.prompt or news.verdict))
