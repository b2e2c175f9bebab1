"""When a question is asked again, and after which pause.

Only questions are: they change nothing on the box, so asking twice is safe. A frame, a stream and
everything that changes the box's cameras is said once, because whoever lost the answer cannot know
whether it was acted upon.

The pause doubles from try to try, and half of it is dice, so that many clients that lost one box do not
come back in step ("equal jitter", Exponential Backoff And Jitter, AWS Architecture Blog, 2015). What the
box asked for in google.rpc.RetryInfo is the least pause. A pause that would outlast the call is not
begun: the error is told while there is still time to do something else.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from livegate.client.codec import RETRY_DELAY_S
from livegate.core.errors import ErrorCode, LiveGateError

PASSING = frozenset((ErrorCode.CONNECTION_FAILURE, ErrorCode.NOT_INIT, ErrorCode.QUEUE_FULL))
"""What may be gone a moment later: no server, a server that warms up, a full queue.

Not INPROGRESS: engines are built for minutes.
"""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how soon. `clock` is monotonic seconds, `dice` gives 0..1."""

    retries: int = 2
    # gRPC dials a refused address again after 100 ms with 20 % of jitter: half of this is more.
    first_pause_s: float = 0.25
    max_pause_s: float = 2.0
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random

    def begin(self, timeout_s: float) -> Tries:
        """A call that may take `timeout_s`, its retries and pauses included."""
        return Tries(self, timeout_s)


class Tries:
    """One call's tries."""

    def __init__(self, policy: RetryPolicy, timeout_s: float) -> None:
        """The time runs from now."""
        self._policy = policy
        self._until_s = policy.clock() + timeout_s
        self._failed = 0

    @property
    def left_s(self) -> float:
        """How long the next try may take."""
        return max(0.0, self._until_s - self._policy.clock())

    def pause_s(self, error: LiveGateError) -> float | None:
        """How long to wait before the next try; None when there is to be none."""
        policy = self._policy
        self._failed += 1
        if self._failed > policy.retries or error.code not in PASSING:
            return None
        pause_s = min(policy.max_pause_s, policy.first_pause_s * 2 ** (self._failed - 1))
        asked_s = float(error.fields.get(RETRY_DELAY_S, 0.0))
        chosen_s = max(asked_s, pause_s / 2) + pause_s / 2 * policy.dice()
        return chosen_s if chosen_s < self.left_s else None
