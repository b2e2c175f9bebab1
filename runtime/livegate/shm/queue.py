"""A bounded queue of frames that waits for nobody longer than it says.

The stop is checked before anything else, so that after it every call ends with 5002, also when frames
are left: whoever stops a gate does not want it to open on what was seen before (Ascend's BlockingQueue
does the same). What is left is handed to `on_drop`.

What happens to a frame that finds the queue full:
  NEWEST_WINS   the oldest waiting frame gives way; a camera's default, and never an error
  REJECT        5003 at once
  BLOCK         wait for a place until the deadline, then 5003

Frames above the maximum age give way first under every policy. A frame that is leased is no longer in
the queue, so no policy can touch it.

A frame that most likely shows once more what was just judged costs a fiftieth of one that is judged. It
has a head start before the frames of other cameras, so that it does not wait behind a row of those until
its successor throws it out; who has waited for longer than that is before it all the same.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, Protocol, TypeVar

from livegate.core.errors import ErrorCode, QueueError
from livegate.shm.change import Change
from livegate.shm.layout import DropReason

Clock = Callable[[], int]
HEAD_START_NS = 20_000_000
"""Half of the time between two frames at 25 a second: no such frame is thrown out for it alone."""


class Waiting(Protocol):
    """What may wait in a queue."""

    @property
    def captured_ns(self) -> int:
        """Monotonic nanoseconds: when the picture was taken."""


T = TypeVar("T", bound=Waiting)
Afterwards = list[Callable[[], None]]
"""What must be called when the lock is free again."""


class Policy(str, Enum):
    """What happens to a frame that finds the queue full."""

    NEWEST_WINS = "newest_wins"
    REJECT = "reject"
    BLOCK = "block"


class FrameQueue(Generic[T]):
    """Waiting frames of one camera, oldest first. Safe to call from any thread."""

    def __init__(
        self,
        capacity: int,
        policy: Policy,
        *,
        max_age_ns: int | None = None,
        now_ns: Clock = time.monotonic_ns,
        changed: Change | None = None,
        on_drop: Callable[[T, DropReason], None] = lambda frame, reason: None,
    ) -> None:
        """An empty queue.

        `changed` may be shared by several queues, so that one reader can wait for all of them.
        `on_drop` is told of every frame that leaves unread, never with a lock held.
        """
        self.capacity = capacity
        self.policy = policy
        self.max_age_ns = max_age_ns
        self.dropped: Counter[DropReason] = Counter()
        self._now_ns = now_ns
        self._changed = changed or Change()
        self._on_drop = on_drop
        self._frames: deque[T] = deque()
        self._since_ns = 0
        self._is_stopped = False
        self.repeats_until_ns = 0
        """Frames captured before then will most likely show what was just judged. Anybody may write it:
        it is a guess, which costs a frame nothing but its head start."""

    def __len__(self) -> int:
        """How many frames wait; some of them may be too old to be given out."""
        return len(self._frames)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopped

    @property
    def turn_ns(self) -> int | None:
        """Since when its camera waits for its turn, a brief frame's head start counted in.

        None while no frame waits; the lock is held. A frame that takes another one's place takes over
        its wait.
        """
        if not self._frames:
            return None
        is_brief = self._frames[0].captured_ns < self.repeats_until_ns
        return self._since_ns - HEAD_START_NS if is_brief else self._since_ns

    def is_free_for(self, frame: T) -> bool:
        """Whether it may be seen to at once: no other frame waits, it is young, nobody said stop."""
        with self._changed.lock:
            return not (self._is_stopped or self._frames or self._is_old(frame))

    def push(self, frame: T, *, timeout_s: float = 0.0) -> None:
        """Queue a frame by the policy; only BLOCK waits, and no longer than `timeout_s`.

        A frame that is too old already is dropped, and takes nobody's place.

        Raises:
            QueueError: QUEUE_FULL by REJECT, and by BLOCK at the timeout; QUEUE_STOPED.
        """
        after: Afterwards = []
        try:
            with self._changed.lock:
                self._refuse_stopped()
                if not self._frames:
                    self._since_ns = self._now_ns()
                if len(self._frames) >= self.capacity:
                    self._make_room(frame, timeout_s, after)
                if self._is_old(frame):
                    self._drop(frame, DropReason.EXPIRED, after)
                    return
                self._frames.append(frame)
                self._tell_one()
        finally:
            run_all(after)

    def pop(self, *, timeout_s: float | None = None) -> T:
        """The oldest frame that is young enough; no timeout = wait for one or for the stop.

        Raises:
            QueueError: QUEUE_EMPTY at the timeout; QUEUE_STOPED.
        """
        return pop_when(self._changed, self.take, timeout_s, self._now_ns)

    def take(self, after: Afterwards) -> T | None:
        """`pop` without waiting, for a reader that holds the condition; None when empty.

        `after` collects what the reader must call when it has let the condition go.
        """
        self._refuse_stopped()
        self._expire(after)
        if not self._frames:
            return None
        if self.policy is Policy.BLOCK:
            self._changed.notify_all()  # a producer may wait for the place
        self._since_ns = self._now_ns()
        return self._frames.popleft()

    def stop(self, reason: DropReason = DropReason.STOPPED) -> None:
        """Wake everybody; from now on every call ends with 5002. What is left is dropped."""
        after: Afterwards = []
        with self._changed.lock:
            self._is_stopped = True
            while self._frames:
                self._drop(self._frames.popleft(), reason, after)
            self._changed.notify_all()
        run_all(after)

    def _make_room(self, frame: T, timeout_s: float, after: Afterwards) -> None:
        """Return when there is a place, or no need of one; the lock is held."""
        deadline_ns = self._now_ns() + int(timeout_s * 1e9)
        while True:
            self._refuse_stopped()
            self._expire(after)
            if len(self._frames) < self.capacity or self._is_old(frame):
                return
            if self.policy is Policy.NEWEST_WINS:
                self._drop(self._frames.popleft(), DropReason.REPLACED, after)
            elif self.policy is Policy.REJECT:
                raise self._full()
            else:
                wait_until(self._changed, deadline_ns, self._now_ns, self._full)

    def _tell_one(self) -> None:
        """One reader is enough for one frame; where producers wait, too, nobody can tell them apart."""
        if self.policy is Policy.BLOCK:
            self._changed.notify_all()
        else:
            self._changed.notify()

    def _is_old(self, frame: T) -> bool:
        return self.max_age_ns is not None and self._now_ns() - frame.captured_ns > self.max_age_ns

    def _expire(self, after: Afterwards) -> None:
        """Take out what is too old; the lock is held.

        Every frame is looked at: one that came later may have been taken earlier.
        """
        if self.max_age_ns is None:
            return
        since_ns = self._now_ns() - self.max_age_ns
        for frame in [frame for frame in self._frames if frame.captured_ns < since_ns]:
            self._frames.remove(frame)
            self._drop(frame, DropReason.EXPIRED, after)

    def _drop(self, frame: T, reason: DropReason, after: Afterwards) -> None:
        """Count a frame that left unread, and remember to say so; the lock is held."""
        self.dropped[reason] += 1
        after.append(lambda: self._on_drop(frame, reason))

    def _refuse_stopped(self) -> None:
        if self._is_stopped:
            raise stopped_queue()

    def _full(self) -> QueueError:
        self.dropped[DropReason.REJECTED] += 1
        return QueueError(
            ErrorCode.QUEUE_FULL,
            f"all {self.capacity} places of the frame queue are taken",
            hint="send fewer frames, or let the newest win (frames.policy)",
        )


def pop_when(
    changed: Change,
    take: Callable[[Afterwards], T | None],
    timeout_s: float | None,
    now_ns: Clock,
) -> T:
    """Call `take` at every change until it gives a frame.

    Raises:
        QueueError: QUEUE_EMPTY at the timeout, and whatever `take` raises.
    """
    deadline_ns = None if timeout_s is None else now_ns() + int(timeout_s * 1e9)
    while True:
        after: Afterwards = []
        try:
            with changed.lock:
                frame = take(after)
                if frame is not None:
                    return frame
                if not after:
                    wait_until(changed, deadline_ns, now_ns, empty_queue)
        finally:
            if after:
                run_all(after)


def wait_until(
    changed: Change,
    deadline_ns: int | None,
    now_ns: Clock,
    late: Callable[[], QueueError],
) -> None:
    """Wait for one change; the condition is held.

    Raises:
        QueueError: what `late` makes, when the deadline has passed already.
    """
    if deadline_ns is None:
        changed.wait()
        return
    left_ns = deadline_ns - now_ns()
    if left_ns <= 0:
        raise late()
    changed.wait(left_ns / 1e9)


def empty_queue() -> QueueError:
    """5001."""
    return QueueError(ErrorCode.QUEUE_EMPTY, "no frame came in time")


def stopped_queue() -> QueueError:
    """5002."""
    return QueueError(
        ErrorCode.QUEUE_STOPED, "the frame queue is stopped", hint="connect to another box"
    )


def run_all(after: Afterwards) -> None:
    """Call each once, in order."""
    for call in after:
        call()
