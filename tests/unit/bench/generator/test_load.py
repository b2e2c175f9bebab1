"""The load's process, as the bench holds it."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from livegate.core.config import Config
from livegate_bench.failure import BenchError
from livegate_bench.generator.load import Load
from livegate_bench.generator.loadgen import Closed
from livegate_bench.system import Place


def test_load_that_dies_is_told_and_gone() -> None:
    """Out of memory, say: the bench ends, instead of waiting for ever."""
    with Load("null", Place(Config(), b"")) as load:
        process = psutil.Process(load.pid)
        assert load.take(Closed(2, seconds=60, most=10)).requests == 10
        assert load.take(Closed(1, seconds=60, most=10)).cpu_s >= 0
        os.kill(load.pid, signal.SIGKILL)
        with pytest.raises(BenchError, match="the load of null ended by itself"):
            load.take(Closed(1, seconds=60))
    assert not process.is_running()


def test_system_that_does_not_work_says_why_and_leaves_no_process() -> None:
    """There is no server, and a client that needs one."""
    before = set(psutil.Process().children())
    with pytest.raises(BenchError, match="the system grpc-tcp does not work"):
        Load("grpc-tcp", Place(Config(), b""))
    left = set(psutil.Process().children()) - before
    assert not [child for child in left if "spawn_main" in " ".join(child.cmdline())]


def test_wait_ends_when_the_check_says_that_it_is_in_vain() -> None:
    """A server that died must not be waited for."""
    alive = [True]

    def check() -> None:
        if not alive[0]:
            raise BenchError("the server ended")

    load = Load("null", Place(Config(), b""), check)
    alive[0] = False
    with pytest.raises(BenchError, match="the server ended"), load:
        load.take(Closed(1, seconds=3, most=10**9))
    assert not psutil.pid_exists(load.pid)
