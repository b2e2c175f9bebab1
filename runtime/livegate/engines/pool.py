"""Who may run now: a bounded queue in front of a few worker threads.

The queue answers at once: a request that finds no place is refused (5003), one that comes after the
stop is refused (5002). While more comes than can be done, new requests have half of the places
(flood.py). Deadlines of waiting requests are watched by a thread of their own, so that they end on time
although every worker is busy (a queue that looks at deadlines only when a worker is free ends them
late). A request that its client has given up leaves the queue before it runs.

On a CPU a worker runs a whole request: networks of this size gain nothing from batches there, and a
run on one thread in each of as many workers as there are cores was measured fastest.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from livegate.core.errors import DeadlineError, ErrorCode, QueueError
from livegate.engines.denormals import flush_denormals
from livegate.engines.flood import Flood

T = TypeVar("T")
Clock = Callable[[], int]


class Job(Future[T]):
    """A call that waits for its turn; cancelling it takes it out of the queue."""

    def __init__(self, pool: EnginePool, call: Callable[[], T], deadline_ns: int | None) -> None:
        """Wait."""
        super().__init__()
        self.deadline_ns = deadline_ns
        self.is_waiting = True
        self._pool = pool
        self._call: Callable[[], T] | None = call

    def cancel(self) -> bool:
        """Give the place in the queue back; False when it runs already."""
        is_cancelled = super().cancel()
        if is_cancelled:
            self._call = None
            self._pool.forget(self)
        return is_cancelled

    def run(self) -> None:
        """Run the call, unless it was cancelled. The call and its pictures are let go first."""
        call, self._call = self._call, None
        if call is None or not self.set_running_or_notify_cancel():
            return
        error = _call_into(self, call)
        if error is not None:
            # The frames of a failed call hold its pictures, and the error holds the frames.
            traceback.clear_frames(error.__traceback__)
            self.set_exception(error)

    def refuse(self, error: Exception) -> None:
        """End it without having run."""
        self._call = None
        if self.set_running_or_notify_cancel():
            self.set_exception(error)


def _call_into(job: Job[T], call: Callable[[], T]) -> BaseException | None:
    """Run a call; a frame of its own, so that it is over when its error is looked at."""
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who waits
        return error
    job.set_result(result)
    return None


class EnginePool:
    """A fixed number of workers and a bounded queue."""

    def __init__(
        self,
        workers: int,
        capacity: int,
        *,
        now_ns: Clock = time.monotonic_ns,
        watches_deadlines: bool = True,
        cores: Sequence[int] = (),
    ) -> None:
        """Start the workers. With `cores`, one for each worker, each stays on its own."""
        self.workers = workers
        self.capacity = capacity
        self._now_ns = now_ns
        self._jobs: deque[Job[Any]] = deque()
        # Weak: an answered request must not live until its deadline.
        self._deadlines: list[tuple[int, int, weakref.ref[Job[Any]]]] = []
        self._order = itertools.count()
        self._begun_ns: dict[int, int] = {}
        """When the job of a thread began, or last showed progress."""
        self._is_stopped = False
        self._flood = Flood(capacity)
        lock = threading.Lock()
        self._work = threading.Condition(lock)
        self._idle = threading.Condition(lock)
        self._alarm = threading.Condition(lock)
        self._threads = [self._thread(self._worker(n, cores), f"worker-{n}") for n in range(workers)]
        if watches_deadlines:
            self._threads.append(self._thread(self._watch, "deadlines"))

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return len(self._jobs)

    @property
    def running(self) -> int:
        """How many requests run."""
        return len(self._begun_ns)

    @property
    def longest_run_s(self) -> float:
        """Seconds since the slowest running call began, or last showed `progress`; 0 without any."""
        with self._work:
            oldest_ns = min(self._begun_ns.values(), default=None)
        return 0.0 if oldest_ns is None else (self._now_ns() - oldest_ns) / 1e9

    def progress(self) -> None:
        """Said by a call between one thing and the next: it does not hang, however long it takes."""
        with self._work:
            if threading.get_ident() in self._begun_ns:
                self._begun_ns[threading.get_ident()] = self._now_ns()

    def submit(
        self, call: Callable[[], T], *, deadline_ns: int | None = None, is_new: bool = False
    ) -> Job[T]:
        """Queue a call. `is_new`: nothing was done for it yet, so in a flood it has half of the places.

        Raises:
            QueueError: QUEUE_STOPED after `stop`, QUEUE_FULL when every place is taken that it may have.
        """
        job = Job(self, call, deadline_ns)
        with self._work:
            if self._is_stopped:
                raise shutting_down()
            self._refuse_surplus(is_new)
            self._jobs.append(job)
            if deadline_ns is not None:
                self._set_alarm(deadline_ns, job)
            self._work.notify()
        return job

    def expire(self) -> int | None:
        """End every waiting request whose deadline has passed.

        Returns:
            The next deadline, in monotonic nanoseconds; None when none is left.
        """
        late = []
        with self._work:
            while self._deadlines:
                deadline_ns, _, reference = self._deadlines[0]
                job = reference()
                is_waiting = job is not None and job.is_waiting
                if is_waiting and deadline_ns > self._now_ns():
                    break
                heapq.heappop(self._deadlines)
                if job is not None and is_waiting:
                    self._drop(job)
                    late.append(job)
            upcoming = self._deadlines[0][0] if self._deadlines else None
        for job in late:
            job.refuse(
                DeadlineError(
                    "the deadline passed while the request waited in the queue",
                    hint="allow more time, or send fewer requests at once",
                )
            )
        return upcoming

    def stop(self) -> None:
        """Take no more requests; those that wait will still be run."""
        with self._work:
            self._is_stopped = True
            self._work.notify_all()
            self._alarm.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Stop, then wait for accepted requests; False when some were left at the timeout.

        Those that still wait then are refused with 5002; those that run are let run.
        """
        self.stop()
        with self._idle:
            if self._idle.wait_for(lambda: not self._jobs and not self._begun_ns, timeout_s):
                return True
            left = list(self._jobs)
            for job in left:
                self._drop(job)
        for job in left:
            job.refuse(QueueError(ErrorCode.QUEUE_STOPED, "the server shut down before its turn"))
        return False

    def close(self, timeout_s: float = 5.0) -> None:
        """Drain, and end the threads, both within the timeout; a call that runs on is left alone."""
        until_s = time.monotonic() + timeout_s
        self.drain(timeout_s)
        with self._work:
            # The watcher sleeps until the next deadline, which may be that of an answered request.
            self._alarm.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"livegate-{name}", daemon=True)
        thread.start()
        return thread

    def forget(self, job: Job[Any]) -> None:
        """Free the place of a cancelled job."""
        with self._work:
            if job.is_waiting:
                self._drop(job)

    def _drop(self, job: Job[Any]) -> None:
        """Take a waiting job out; the lock is held."""
        job.is_waiting = False
        self._jobs.remove(job)
        self._idle.notify_all()

    def _refuse_surplus(self, is_new: bool) -> None:
        """Raise QUEUE_FULL where no more may wait; the lock is held."""
        waiting, now_ns = len(self._jobs), self._now_ns()
        places = self._flood.places(waiting, now_ns) if is_new else self.capacity
        if waiting < places:
            return
        if is_new:
            self._flood.refused(now_ns)
        is_whole = places == self.capacity
        limit = f"all {places} places are taken" if is_whole else f"in a flood {places} may"
        raise QueueError(
            ErrorCode.QUEUE_FULL,
            f"{waiting} requests wait, {limit}",
            hint="try again in a moment, or raise server.queue_capacity",
        )

    def _set_alarm(self, deadline_ns: int, job: Job[Any]) -> None:
        """Remember a deadline, and wake the watcher if it is the next one; the lock is held."""
        if len(self._deadlines) > 2 * self.capacity + 64:  # mostly jobs that were answered in time
            self._deadlines = [entry for entry in self._deadlines if _is_waiting(entry[2]())]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline_ns, next(self._order), weakref.ref(job)))
        if self._deadlines[0][2]() is job:
            self._alarm.notify()

    def _worker(self, number: int, cores: Sequence[int]) -> Callable[[], None]:
        def work() -> None:
            if cores:
                os.sched_setaffinity(0, {cores[number]})  # 0 is the calling thread
            flush_denormals()
            self._serve()

        return work

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            del job
            with self._idle:
                del self._begun_ns[threading.get_ident()]
                self._idle.notify_all()

    def _next(self) -> Job[Any] | None:
        with self._work:
            self._work.wait_for(lambda: self._jobs or self._is_stopped)
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            job.is_waiting = False
            self._begun_ns[threading.get_ident()] = self._now_ns()
            return job

    def _watch(self) -> None:
        while True:
            upcoming = self.expire()
            with self._alarm:
                if self._is_stopped and not self._jobs:
                    return
                if upcoming is not None:
                    wait_s: float | None = max(0.0, (upcoming - self._now_ns()) / 1e9)
                else:
                    wait_s = 1.0 if self._is_stopped else None
                if not self._deadlines or self._deadlines[0][0] == upcoming:
                    self._alarm.wait(wait_s)


def shutting_down() -> QueueError:
    """What everybody hears who comes after the stop."""
    return QueueError(ErrorCode.QUEUE_STOPED, "the server is shutting down", hint="try another box")


def _is_waiting(job: Job[Any] | None) -> bool:
    return job is not None and job.is_waiting
