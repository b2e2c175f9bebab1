"""Fair turns between the queues of many cameras.

The camera that has waited longest is next, whatever its rate: its wait begins when it had its last turn
or when a frame came after that, and goes on when a newer frame takes the place of the waiting one. So
one that sends 200 frames a second cannot starve one that sends 5.

A camera is passed over while `is_ready` says no: the broker says so while as many of its frames are
looked at as may be, which keeps enough slots for its producer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from livegate.core.errors import ErrorCode, RequestError
from livegate.shm.change import Change
from livegate.shm.layout import DropReason
from livegate.shm.queue import Afterwards, Clock, FrameQueue, T, pop_when, stopped_queue


@dataclass(frozen=True, slots=True)
class _Line(Generic[T]):
    queue: FrameQueue[T]
    is_ready: Callable[[], bool]


class FrameQueues(Generic[T]):
    """The queues of all cameras, read as one. Safe to call from any thread."""

    def __init__(
        self,
        *,
        now_ns: Clock = time.monotonic_ns,
        changed: Change | None = None,
    ) -> None:
        """No camera yet. Queues that are added must share `changed`."""
        self.changed = changed or Change()
        self._now_ns = now_ns
        self._lines: dict[str, _Line[T]] = {}
        self._is_stopped = False

    def add(
        self,
        camera: str,
        queue: FrameQueue[T],
        is_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """Let a camera take part.

        `is_ready` is asked with the lock held: it must be quick, and wait for nothing.

        Raises:
            RequestError: EXIST when it does already.
            QueueError: QUEUE_STOPED.
        """
        with self.changed.lock:
            if self._is_stopped:
                raise stopped_queue()
            if camera in self._lines:
                raise RequestError(
                    ErrorCode.EXIST,
                    f"a producer for the camera {camera!r} is connected already",
                    hint="give each producer a name of its own",
                )
            self._lines[camera] = _Line(queue, is_ready)

    def remove(self, camera: str, reason: DropReason = DropReason.GONE) -> None:
        """Stop a camera's queue and forget it; unknown names are ignored."""
        with self.changed.lock:
            line = self._lines.pop(camera, None)
            self.changed.notify_all()
        if line is not None:
            line.queue.stop(reason)

    def pop(self, *, timeout_s: float | None = None) -> T:
        """The oldest frame of the camera whose turn it is.

        Raises:
            QueueError: QUEUE_EMPTY at the timeout; QUEUE_STOPED.
        """
        return pop_when(self.changed, self._take, timeout_s, self._now_ns)

    def wake(self) -> None:
        """Ask `is_ready` again: a lease has ended while frames of its camera wait."""
        with self.changed.lock:
            self.changed.notify_all()

    def stop(self) -> None:
        """Stop every queue; from now on every call ends with 5002."""
        with self.changed.lock:
            self._is_stopped = True
            queues = [line.queue for line in self._lines.values()]
            self.changed.notify_all()
        for queue in queues:
            queue.stop()

    @property
    def cameras(self) -> tuple[str, ...]:
        """Who takes part."""
        with self.changed.lock:
            return tuple(self._lines)

    def _take(self, after: Afterwards) -> T | None:
        """The next frame, None when there is none; the lock is held."""
        if self._is_stopped:
            raise stopped_queue()
        while (camera := self._next()) is not None:
            line = self._lines[camera] = self._lines.pop(camera)  # of two that wait alike, the other
            frame = line.queue.take(after)
            if frame is not None:
                return frame
        return None

    def _next(self) -> str | None:
        """Whose turn it is, None while nobody waits; the lock is held."""
        chosen, earliest_ns = None, 0
        for camera, line in self._lines.items():
            turn_ns = line.queue.turn_ns
            if turn_ns is None or (chosen is not None and turn_ns >= earliest_ns):
                continue
            if line.is_ready():
                chosen, earliest_ns = camera, turn_ns
        return chosen
