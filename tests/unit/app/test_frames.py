"""The frame queue's threads, over a broker and cameras that wait for the test."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from livegate.app.frames import FrameFace
from livegate.core.errors import ErrorCode, QueueError
from livegate.service.cameras import Cameras
from livegate.shm.broker import Broker

WAIT_S = 30.0
"""A hang detector."""


class HeldBroker:
    """Gives out what the test puts in; stops when told."""

    def __init__(self) -> None:
        self.leases: queue.Queue[SimpleNamespace | None] = queue.Queue()

    def start(self) -> None:
        """Nothing listens."""

    def pop(self, *, timeout_s: float) -> SimpleNamespace:
        """What was put in next."""
        lease = self.leases.get(timeout=WAIT_S)
        if lease is None:
            raise QueueError(ErrorCode.QUEUE_STOPED, "stopped")
        return lease

    def stop(self) -> None:
        """The end, for one thread."""
        self.leases.put(None)


class HeldCameras:
    """Looks until the test lets go, then does what the lease says."""

    def __init__(self) -> None:
        self.looks = threading.Event()
        self.goes_on = threading.Event()

    def look(self, lease: SimpleNamespace) -> None:
        """One frame."""
        self.looks.set()
        assert self.goes_on.wait(WAIT_S)
        lease.ends()


class Threads:
    """One consumer of both."""

    def __init__(self) -> None:
        self.broker, self.cameras = HeldBroker(), HeldCameras()
        self.face = FrameFace(cast(Broker, self.broker), cast(Cameras, self.cameras), 1)
        self.face.consume()

    def take(self, *, since_s: float, ends: Callable[[], Any] = lambda: None) -> None:
        """Have a frame looked at that was taken so long ago."""
        leased_ns = time.monotonic_ns() - int(since_s * 1e9)
        self.broker.leases.put(SimpleNamespace(leased_ns=leased_ns, ends=ends))
        assert self.cameras.looks.wait(WAIT_S)

    def let_go(self) -> None:
        """The look ends; wait until the thread asks for the next frame."""
        self.cameras.goes_on.set()
        until_s = time.monotonic() + WAIT_S
        while self.face.longest_run_s and time.monotonic() < until_s:
            time.sleep(0.001)


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads()
    yield made
    made.cameras.goes_on.set()
    made.face.stop(WAIT_S)


def test_thread_that_hangs_in_a_look_is_seen(threads: Threads) -> None:
    """The time runs from the lease, and no thread that waits for a frame counts."""
    assert threads.face.longest_run_s == 0
    threads.take(since_s=100)
    assert 100 <= threads.face.longest_run_s < 100 + WAIT_S
    threads.let_go()
    assert threads.face.longest_run_s == 0


def test_thread_whose_look_fails_takes_the_next_frame(threads: Threads) -> None:
    """One consumer less would starve every camera; what failed counts no longer."""

    def fails() -> None:
        raise RuntimeError("a bug")

    threads.take(since_s=50, ends=fails)
    threads.let_go()
    assert threads.face.longest_run_s == 0
    threads.cameras.looks.clear()
    threads.cameras.goes_on.clear()
    threads.take(since_s=7)
    assert 7 <= threads.face.longest_run_s < 7 + WAIT_S
