"""The state of a stream and of a watch, without threads and without asyncio.

Waiting is written once, as generators ("steps") that yield how long to wait for a change, are sent
whether one came, and return what was waited for. A driver runs them: client/stream.py under a lock with
threads, client/aiostream.py in an event loop. The manner is that of h11 and of every sans-I/O protocol;
the rejected way was two copies of the same conditions, one with await.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import TypeVar

from livegate.client.answers import StreamAnswer
from livegate.core.errors import DeadlineError, ErrorCode, LiveGateError, RequestError
from livegate.core.results import GateDecision, Reason

T = TypeVar("T")
Steps = Generator[float | None, bool, T]
"""Yields the seconds to wait for a change (None: for ever), is sent whether one came, returns T."""
Clock = Callable[[], float]
MAX_OPEN_AGE_S = 1.0
MAX_WORDS = 64


class Inbox:
    """Answers that came and were not taken yet, and how it ended. `on_change` wakes whoever waits.

    An OPEN that nobody took in time is turned into HOLD: the person has gone on.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Empty and open. `clock` is monotonic seconds."""
        self._answers: deque[StreamAnswer] = deque()
        self._came_s: deque[float] = deque()
        self._clock = clock
        self._end: LiveGateError | None = None
        self.is_over = False
        self.on_change: Callable[[], None] = lambda: None

    @property
    def owes(self) -> bool:
        """Whether the box is to send something, so that silence is a failure."""
        return True

    def put(self, answer: StreamAnswer) -> None:
        """An answer came."""
        self._came_s.append(self._clock())
        self._answers.append(answer)
        self.on_change()

    def over(self, error: LiveGateError | None) -> None:
        """Nothing comes any more, for this reason or in good order; the first end counts."""
        if not self.is_over:
            self.is_over, self._end = True, error
            self.on_change()

    def hung_up(self) -> None:
        """The box ended the call without an error, and not because we asked for it."""
        self.over(LiveGateError(ErrorCode.CONNECTION_CLOSE, "the box ended the call"))

    def receive(self, timeout_s: float | None) -> Steps[StreamAnswer | None]:
        """The next answer; None after the last one.

        `timeout_s` is the longest silence while the box owes an answer; each change begins it anew.

        Raises:
            LiveGateError: what the stream ended with, once every answer was taken; TIMEOUT.
        """
        while not self._answers and not self.is_over:
            limit_s = timeout_s if self.owes else None
            if not (yield limit_s):
                raise DeadlineError(
                    f"no answer came for {timeout_s:g} s",
                    hint="the box is busy, or gone: look at status",
                )
        if self._answers:
            return self._take()
        if self._end is not None:
            raise self._end
        return None

    def _take(self) -> StreamAnswer:
        answer, came_s = self._answers.popleft(), self._came_s.popleft()
        is_old = self._clock() - came_s > MAX_OPEN_AGE_S
        if answer.gate is GateDecision.OPEN and is_old:
            stale = (Reason.STALE_FRAME.value,)
            return dataclasses.replace(answer, gate=GateDecision.HOLD, reasons=stale)
        return answer


class FrameInbox(Inbox):
    """A stream: frames on their way out, and one answer owed for each.

    A frame counts from `send` until its answer is taken, so that neither frames nor answers pile up.
    """

    def __init__(self, opening: bytes, max_unanswered: int, clock: Clock = time.monotonic) -> None:
        """`opening` goes first.

        Raises:
            RequestError: PARAM_FAILURE when no frame at all could go.
        """
        super().__init__(clock)
        if max_unanswered < 1:
            raise RequestError(
                ErrorCode.PARAM_FAILURE, f"max_unanswered is {max_unanswered}, it is at least 1"
            )
        self._outgoing: deque[bytes] = deque((opening,))
        self._max_unanswered = max_unanswered
        self._is_finished = False
        self._taken = 0
        self._sent = 0

    @property
    def unanswered(self) -> int:
        """Frames whose answer was not taken yet."""
        return self._sent - self._taken

    @property
    def owes(self) -> bool:
        """Whether a frame has no answer, or the end is due."""
        return self._is_finished or self.unanswered > len(self._answers)

    def put(self, answer: StreamAnswer) -> None:
        """An answer came.

        Raises:
            RequestError: INVALID_PARAM for one more than there were frames.
        """
        if self.unanswered <= len(self._answers):
            raise RequestError(ErrorCode.INVALID_PARAM, "the box answered a frame that was not sent")
        super().put(answer)

    def over(self, error: LiveGateError | None) -> None:
        """Nothing comes or goes any more."""
        self._outgoing.clear()
        super().over(error)

    def hung_up(self) -> None:
        """In good order if we had finished and every frame has its answer."""
        if self._is_finished and self.unanswered == len(self._answers):
            self.over(None)
        else:
            super().hung_up()

    def finish(self) -> None:
        """No more frames."""
        self._is_finished = True
        self.on_change()

    def send(self, content: bytes, timeout_s: float) -> Steps[None]:
        """Put a frame on its way, as soon as there is room for it.

        Raises:
            LiveGateError: TIMEOUT when there was none in time; what the stream ended with.
        """
        until_s = self._clock() + timeout_s
        while not self.is_over and not self._is_finished and self.unanswered >= self._max_unanswered:
            left_s = until_s - self._clock()
            if left_s <= 0 or not (yield left_s):
                raise self._too_many(timeout_s)
        self._check_open()
        self._outgoing.append(content)
        self._sent += 1
        self.on_change()

    def ask(self, content: bytes, timeout_s: float) -> Steps[StreamAnswer]:
        """Send a frame and wait for its answer.

        Raises:
            LiveGateError: BUSY when other frames are under way; else as `send` and `receive`.
        """
        if self.unanswered:
            raise RequestError(
                ErrorCode.BUSY,
                f"{self.unanswered} frames have an answer that was not taken",
                hint="take the answers first: ask is for one frame at a time",
            )
        yield from self.send(content, timeout_s)
        answer = yield from self.receive(timeout_s)
        if answer is None:
            raise LiveGateError(ErrorCode.CONNECTION_CLOSE, "the stream was closed")
        return answer

    def next_request(self) -> Steps[bytes | None]:
        """What goes out next; None after the last one."""
        while not self._outgoing:
            if self.is_over or self._is_finished:
                return None
            yield None
        return self._outgoing.popleft()

    def _take(self) -> StreamAnswer:
        self._taken += 1
        self.on_change()
        return super()._take()

    def _check_open(self) -> None:
        if self._end is not None:
            raise self._end
        if self.is_over or self._is_finished:
            raise LiveGateError(
                ErrorCode.CONNECTION_CLOSE,
                "the stream has ended, no frame can follow",
                hint="open another",
            )

    def _too_many(self, timeout_s: float) -> DeadlineError:
        waiting = len(self._answers)
        hint = "take the answers: iterate, or call receive" if waiting else "send less, or wait longer"
        return DeadlineError(
            f"{self.unanswered} frames have no answer taken after {timeout_s:g} s, "
            f"there may be {self._max_unanswered} (answers that wait here: {waiting})",
            hint=hint,
        )


class NewestInbox(Inbox):
    """A watch: who takes slowly gets the newest answer, the newest error, and every word.

    A word is the gate's, a prompt, or the end of a challenge.

    The server keeps the same rule up to its socket, but between the sockets lie windows that hold
    seconds of answers; so the client reads all the time, and the rule is kept here again.
    """

    def put(self, answer: StreamAnswer) -> None:
        """An answer came; those before it make room, up to the last word of the gate."""
        while self._answers and _makes_room(self._answers[-1], answer):
            self._drop(-1)
        if len(self._answers) >= MAX_WORDS:
            self._drop(0)
        super().put(answer)

    def _drop(self, index: int) -> None:
        del self._answers[index], self._came_s[index]


def _makes_room(old: StreamAnswer, new: StreamAnswer) -> bool:
    has_word = old.gate is not None or old.prompt is not None or old.challenge is not None
    return not has_word and (old.error is None or new.error is not None)
