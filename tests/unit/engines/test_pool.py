"""Who may run now. Workers are held by gates, time is told by hand, nothing sleeps."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager

import pytest

from frame_queue_rig import eventually
from livegate.core.errors import DeadlineError, ErrorCode, QueueError
from livegate.engines.pool import EnginePool
from support import HANG_S, FakeClock, Gate


@contextmanager
def pool_of(workers: int = 1, capacity: int = 2, clock: FakeClock | None = None) -> Iterator[EnginePool]:
    """A pool without a deadline thread: `expire` is called by the test."""
    pool = EnginePool(workers, capacity, now_ns=clock or FakeClock(), watches_deadlines=False)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def held(pool: EnginePool) -> Iterator[Gate]:
    """Every worker of a pool is busy until the gate is opened, or the block ends."""
    gates = [Gate() for _ in range(pool.workers)]
    with ExitStack() as stack:
        for gate in gates:
            stack.callback(gate.open)
            pool.submit(gate)
            assert gate.entered.wait(HANG_S)
        yield gates[0]


def test_submit_result_is_the_calls() -> None:
    """What a call returns is the job's result."""
    with pool_of() as pool:
        assert pool.submit(lambda: 42).result(HANG_S) == 42


def test_submit_call_that_raises_gives_its_exception() -> None:
    """What a call raises is the job's exception, and the worker lives on."""
    with pool_of() as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 // 0).result(HANG_S)
        assert pool.submit(lambda: "alive").result(HANG_S) == "alive"


def test_submit_jobs_run_in_their_order() -> None:
    """One worker takes the requests in the order in which they came."""
    order: list[int] = []
    with pool_of(capacity=5) as pool:
        with held(pool):
            jobs = [pool.submit(lambda n=n: order.append(n)) for n in range(5)]  # type: ignore[misc]
        for job in jobs:
            job.result(HANG_S)
    assert order == [0, 1, 2, 3, 4]


def test_submit_two_workers_run_at_once() -> None:
    """As many calls run at the same time as there are workers."""
    meeting = threading.Barrier(2)
    with pool_of(workers=2) as pool:
        jobs = [pool.submit(lambda: meeting.wait(HANG_S)) for _ in range(2)]
        assert {job.result(HANG_S) for job in jobs} == {0, 1}


def test_longest_run_is_that_of_the_oldest_request_that_runs() -> None:
    """Waiting does not count, nor does what is done."""
    clock = FakeClock()
    with pool_of(workers=2, capacity=5, clock=clock) as pool:
        assert pool.longest_run_s == 0
        first, second = Gate(), Gate()
        pool.submit(first)
        assert first.entered.wait(HANG_S)
        clock.now_ns += 3_000_000_000
        last = pool.submit(second)
        assert second.entered.wait(HANG_S)
        clock.now_ns += 1_000_000_000
        assert pool.longest_run_s == 4
        first.open()
        eventually(lambda: pool.running == 1, "the worker is done")
        assert pool.longest_run_s == 1
        second.open()
        last.result(HANG_S)
        eventually(lambda: pool.running == 0, "the worker is done")
        assert pool.longest_run_s == 0


def test_call_that_shows_progress_has_not_run_long() -> None:
    """Sixteen pictures on a slow box are no driver that hangs; outside of a call it means nothing."""
    clock, step = FakeClock(), Gate()
    with pool_of(clock=clock) as pool:
        pool.progress()
        assert pool.running == 0

        def pictures() -> None:
            clock.now_ns += 20_000_000_000
            pool.progress()
            clock.now_ns += 20_000_000_000
            step()

        last = pool.submit(pictures)
        assert step.entered.wait(HANG_S)
        assert pool.longest_run_s == 20
        step.open()
        last.result(HANG_S)


def test_submit_without_a_place_is_refused_at_once() -> None:
    """When every place is taken the next request is 5003, with the number of places."""
    with pool_of(capacity=2) as pool, held(pool):
        pool.submit(int)
        pool.submit(int)
        with pytest.raises(QueueError, match="2 places") as caught:
            pool.submit(int)
        assert caught.value.code is ErrorCode.QUEUE_FULL
        assert pool.depth == 2


def test_submit_in_a_flood_new_requests_have_half_of_the_places() -> None:
    """A burst may fill all; after a refusal half hold, but for what is under way already."""
    with pool_of(capacity=8) as pool, held(pool):
        jobs = [pool.submit(int, is_new=True) for _ in range(8)]
        for message, waiting in ((r"8 requests wait, all 8 places", 8), (r"4 .* flood 4 may", 4)):
            while pool.depth > waiting:
                jobs.pop().cancel()
            with pytest.raises(QueueError, match=message):
                pool.submit(int, is_new=True)
        for _ in range(4):
            pool.submit(int)
        with pytest.raises(QueueError, match="8 places"):
            pool.submit(int)


def test_submit_of_what_is_under_way_that_is_refused_is_no_flood() -> None:
    """A video that asks again every 20 ms takes no place from anybody."""
    with pool_of(capacity=2) as pool, held(pool):
        jobs = [pool.submit(int), pool.submit(int)]
        with pytest.raises(QueueError):
            pool.submit(int)
        jobs.pop().cancel()
        pool.submit(int, is_new=True)
        assert pool.depth == 2


def test_submit_running_requests_take_no_place() -> None:
    """The places are for those that wait: a busy worker's request is not counted."""
    with pool_of(workers=2, capacity=1) as pool, held(pool):
        assert pool.depth == 0
        pool.submit(int)
        assert pool.depth == 1


def test_submit_after_stop_is_refused() -> None:
    """After the stop a request is 5002."""
    with pool_of() as pool:
        pool.stop()
        with pytest.raises(QueueError) as caught:
            pool.submit(int)
        assert caught.value.code is ErrorCode.QUEUE_STOPED


def test_expire_waiting_request_ends_though_every_worker_is_busy() -> None:
    """A deadline ends a waiting request on time, whatever the workers do; its call never runs."""
    clock = FakeClock(0)
    ran: list[str] = []
    with pool_of(clock=clock) as pool, held(pool):
        late = pool.submit(lambda: ran.append("late"), deadline_ns=100)
        patient = pool.submit(lambda: ran.append("patient"), deadline_ns=300)
        clock.now_ns = 99
        assert pool.expire() == 100
        assert not late.done()
        clock.now_ns = 100
        assert pool.expire() == 300
        with pytest.raises(DeadlineError) as caught:
            late.result(timeout=0)
        assert caught.value.code is ErrorCode.TIMEOUT
        assert not patient.done()
        assert pool.depth == 1
    assert ran == ["patient"]


def test_expire_frees_the_place() -> None:
    """The place of a request that was too late is free at once."""
    clock = FakeClock(0)
    with pool_of(capacity=1, clock=clock) as pool, held(pool):
        pool.submit(int, deadline_ns=10)
        clock.now_ns = 10
        assert pool.expire() is None
        assert pool.depth == 0
        pool.submit(int)
        assert pool.depth == 1


def test_expire_running_request_is_left_alone() -> None:
    """A deadline that passes while the request runs does not end it."""
    clock = FakeClock(0)
    gate = Gate()
    with pool_of(clock=clock) as pool:
        job = pool.submit(gate, deadline_ns=10)
        assert gate.entered.wait(HANG_S)
        clock.now_ns = 1000
        assert pool.expire() is None
        assert not job.done()
        gate.open()
        assert job.result(HANG_S) == "through"


def test_expire_deadlines_out_of_order_end_the_earliest_first() -> None:
    """The next deadline is the earliest one, in whatever order the requests came."""
    clock = FakeClock(0)
    with pool_of(capacity=3, clock=clock) as pool, held(pool):
        jobs = {at: pool.submit(int, deadline_ns=at) for at in (300, 100, 200)}
        assert pool.expire() == 100
        clock.now_ns = 250
        assert pool.expire() == 300
        assert [at for at, job in jobs.items() if job.done()] == [100, 200]


def test_expire_request_without_deadline_waits_for_ever() -> None:
    """A request without a deadline is never too late."""
    clock = FakeClock(0)
    with pool_of(clock=clock) as pool, held(pool):
        job = pool.submit(int)
        clock.now_ns = 10**18
        assert pool.expire() is None
        assert not job.done()


def test_watcher_ends_late_requests_by_itself() -> None:
    """With its own thread the pool ends a late request without being asked, the worker still busy."""
    pool = EnginePool(1, 2, now_ns=lambda: 1000)
    try:
        with held(pool):
            job = pool.submit(int, deadline_ns=1000)
            with pytest.raises(DeadlineError):
                job.result(HANG_S)
    finally:
        pool.close()


def test_cancel_waiting_request_frees_its_place_and_never_runs() -> None:
    """A request that its client gave up leaves the queue before it runs."""
    ran: list[str] = []
    with pool_of(capacity=1) as pool:
        with held(pool):
            job = pool.submit(lambda: ran.append("cancelled"))
            assert job.cancel()
            assert pool.depth == 0
            other = pool.submit(lambda: ran.append("other"))
        other.result(HANG_S)
    assert ran == ["other"]
    with pytest.raises(CancelledError):
        job.result(timeout=0)


def test_cancel_running_request_is_refused() -> None:
    """What runs already cannot be cancelled and gives its result."""
    gate = Gate()
    with pool_of() as pool:
        job = pool.submit(gate)
        assert gate.entered.wait(HANG_S)
        assert not job.cancel()
        gate.open()
        assert job.result(HANG_S) == "through"


def test_cancel_twice_is_harmless() -> None:
    """Cancelling again changes nothing, the queue's depth included."""
    with pool_of(capacity=2) as pool, held(pool):
        job = pool.submit(int)
        pool.submit(int)
        assert job.cancel()
        assert job.cancel()
        assert pool.depth == 1


def test_cancel_then_expire_does_not_end_it_twice() -> None:
    """A cancelled request whose deadline then passes stays cancelled."""
    clock = FakeClock(0)
    with pool_of(clock=clock) as pool, held(pool):
        job = pool.submit(int, deadline_ns=10)
        job.cancel()
        clock.now_ns = 20
        assert pool.expire() is None
        assert job.cancelled()


def test_drain_waits_for_waiting_and_running_requests() -> None:
    """Draining refuses new requests and returns once every accepted one has ended."""
    with pool_of(capacity=2) as pool, held(pool) as gate:
        waiting = pool.submit(lambda: "served")
        drained: list[bool] = []
        drainer = threading.Thread(target=lambda: drained.append(pool.drain(HANG_S)))
        drainer.start()
        assert not drained
        gate.open()
        drainer.join(HANG_S)
        assert drained == [True]
        assert waiting.result(timeout=0) == "served"


def test_drain_with_work_left_at_the_timeout_is_false() -> None:
    """A drain that has to give up says so."""
    with pool_of() as pool, held(pool):
        assert pool.drain(0.0) is False


def test_drain_idle_pool_is_true() -> None:
    """A pool without work is drained at once."""
    with pool_of() as pool:
        assert pool.drain(0.0) is True


def test_drain_ends_when_the_last_waiting_request_is_cancelled() -> None:
    """A drain does not wait for requests that nobody waits for."""
    with pool_of() as pool:
        gate = Gate()
        running = pool.submit(gate)
        assert gate.entered.wait(HANG_S)
        waiting = pool.submit(int)
        pool.stop()
        assert waiting.cancel()
        gate.open()
        running.result(HANG_S)
        assert pool.drain(HANG_S)


def test_close_refuses_what_is_left() -> None:
    """Requests that still wait when the pool closes are 5002, and their calls never run."""
    ran: list[str] = []
    pool = EnginePool(1, 2, watches_deadlines=False)
    with held(pool):
        job = pool.submit(lambda: ran.append("never"))
        pool.close(timeout_s=0.0)
        with pytest.raises(QueueError) as caught:
            job.result(timeout=0)
        assert caught.value.code is ErrorCode.QUEUE_STOPED
    pool.close()
    assert ran == []


def test_close_ends_every_thread_though_a_deadline_is_far() -> None:
    """No thread outlives the pool, the watcher that waits for a far deadline included."""
    pool = EnginePool(2, 4)
    far_ns = 10**15 + max(0, pool._now_ns())
    with held(pool):
        pool.submit(int, deadline_ns=far_ns)
        pool.stop()  # the watcher goes back to sleep until that deadline
    pool.close(HANG_S)
    assert [thread.name for thread in pool._threads if thread.is_alive()] == []


def test_close_twice_is_harmless() -> None:
    """Closing again does nothing."""
    pool = EnginePool(1, 1)
    pool.close()
    pool.close()
    assert not any(thread.is_alive() for thread in pool._threads)


class Pictures:
    """Stands for the bytes of a request; a plain list cannot be watched."""


@pytest.mark.parametrize("end", ["run", "raise", "cancel", "expire", "close"])
def test_job_that_has_ended_holds_no_pictures(end: str) -> None:
    """Whichever way a request ends, its pictures are let go although its job is still held."""
    clock = FakeClock(0)
    pool = EnginePool(1, 2, now_ns=clock, watches_deadlines=False)

    def submit() -> tuple[object, weakref.ref[Pictures]]:
        pictures = Pictures()

        def call() -> int:
            assert pictures is not None
            if end == "raise":
                raise ValueError("from a call")
            return 1

        return pool.submit(call, deadline_ns=10), weakref.ref(pictures)

    with held(pool) as gate:
        job, watched = submit()
        assert watched() is not None
        if end == "cancel":
            job.cancel()  # type: ignore[attr-defined]
        elif end == "expire":
            clock.now_ns = 10
            pool.expire()
        elif end == "close":
            pool.close(timeout_s=0.0)
        else:
            gate.open()
            assert pool.drain(HANG_S)
    if end == "raise":
        job.exception(0).__traceback__ = None  # type: ignore[attr-defined]
    gc.collect()
    assert watched() is None
    pool.close()


def test_deadlines_of_answered_requests_do_not_pile_up() -> None:
    """Thousands of requests answered long before their deadline leave a bounded heap."""
    with pool_of(capacity=4) as pool:
        for _ in range(2000):
            pool.submit(int, deadline_ns=10**18).result(HANG_S)
        assert len(pool._deadlines) <= 2 * pool.capacity + 65


def test_worker_with_a_core_stays_on_it() -> None:
    """Each worker keeps to the core that it was given; the thread that made the pool does not."""
    before = os.sched_getaffinity(0)
    core = min(before)
    pool = EnginePool(1, 4, watches_deadlines=False, cores=[core])
    try:
        assert pool.submit(lambda: os.sched_getaffinity(0)).result(HANG_S) == {core}
    finally:
        pool.close()
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("is_failure", [False, True])
def test_answered_job_and_its_pictures_do_not_live_until_the_deadline(is_failure: bool) -> None:
    """Neither the deadline's alarm nor a failure's traceback keeps a request in memory."""

    class Picture:
        """Something to watch."""

    pool = EnginePool(1, 4)
    watched: list[weakref.ref[object]] = []

    def ask() -> None:
        picture = Picture()
        watched.append(weakref.ref(picture))

        def call() -> int:
            size = len(repr(picture))
            return 1 // 0 if is_failure else size

        job = pool.submit(call, deadline_ns=time.monotonic_ns() + 3600 * 10**9)
        watched.append(weakref.ref(job))
        if is_failure:
            with pytest.raises(ZeroDivisionError):
                job.result(HANG_S)
        else:
            assert job.result(HANG_S)

    try:
        ask()
        pool.submit(lambda: None).result(HANG_S)  # the worker has let go of the first one
        gc.collect()
        assert [reference() for reference in watched] == [None, None]
    finally:
        pool.close()


def test_drain_at_its_bound_refuses_what_waits_and_returns() -> None:
    """A call that runs on is left alone; those behind it get 5002 then, not later."""
    pool = EnginePool(1, 4)
    gate = Gate()
    pool.submit(gate)
    assert gate.entered.wait(HANG_S)
    waiting = pool.submit(lambda: 1)
    assert not pool.drain(0.01)
    with pytest.raises(QueueError) as caught:
        waiting.result(HANG_S)
    assert caught.value.code is ErrorCode.QUEUE_STOPED
    gate.open()
    pool.close()
