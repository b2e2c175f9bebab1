"""The word to the service manager, against a socket that listens as systemd does."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livegate.app.systemd import STANDSTILL_S, ServiceManager
from livegate.engines.builds import BuildProgress
from livegate.service.liveness import STUCK_S, State, Status
from support import HANG_S


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """systemd's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(tmp_path / "notify"))
        own.settimeout(HANG_S)
        yield own


def environ_for(listener: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": listener.getsockname(), "PATH": "/bin", **more}


def status(state: State, *, run_s: float = 0.0, build: BuildProgress | None = None) -> Status:
    return Status(state, 1, 0, 0, 1, (), (), longest_run_s=run_s, build=build)


def heard(
    listener: socket.socket,
    states: list[Status],
    count: int,
    clock: Callable[[], float] = time.monotonic,
) -> list[dict[str, str]]:
    """What is said while the server goes through these states, the last one for ever."""
    told: list[dict[str, str]] = []

    async def listen() -> None:
        left = list(states)
        manager = ServiceManager(environ_for(listener, WATCHDOG_USEC="3000"), clock=clock)
        saying = asyncio.ensure_future(
            manager.keep_told(lambda: left.pop(0) if len(left) > 1 else left[0])
        )
        while len(told) < count:
            text = (await asyncio.to_thread(listener.recv, 4096)).decode()
            told.append(dict(line.split("=", 1) for line in text.split("\n")))
        saying.cancel()

    asyncio.run(listen())
    return told


def test_warming_asks_for_time_and_ready_is_said_once(listener: socket.socket) -> None:
    """EXTEND_TIMEOUT_USEC until the models are warm, READY once, then signs of life alone."""
    warming, ready = status(State.WARMING), status(State.READY)
    told = heard(listener, [warming, ready], 6)
    assert told[0] == {"EXTEND_TIMEOUT_USEC": "120000000", "STATUS": "warming"}
    assert told[1] == {"WATCHDOG": "1"}
    assert told[2] == {"READY": "1", "STATUS": "ready"}
    assert told[3:] == [{"WATCHDOG": "1"}] * 3


def test_engine_that_is_built_stands_in_the_status(listener: socket.socket) -> None:
    """Who looks at `systemctl status` sees which, and how far."""
    build = BuildProgress("lg_face", "face", "optimising", 0.25, 12.0, 36.0)
    told = heard(listener, [status(State.BUILDING, build=build)], 1)
    assert told[0]["STATUS"] == "building lg_face face: 25%"


def test_warming_that_stands_still_asks_for_no_more_time(listener: socket.socket) -> None:
    """A driver that hangs in the first run; an engine that gets on may take as long as it takes."""
    built = (BuildProgress("lg_face", "face", "optimising", part, 1.0, 1.0) for part in (0.1, 0.2, 0.3))
    states = [*(status(State.BUILDING, build=build) for build in built), status(State.WARMING)]
    hours = (n * 0.7 * STANDSTILL_S for n in itertools.count())
    told = heard(listener, states, 20, lambda: next(hours))
    assert sum("EXTEND_TIMEOUT_USEC" in one for one in told) == len(states)
    assert told[-5:] == [{"WATCHDOG": "1"}] * 5


def test_stuck_worker_silences_the_signs_of_life(listener: socket.socket) -> None:
    """Ready is still said; not one WATCHDOG comes while a worker hangs, and they come back with it."""
    stuck, free = status(State.READY, run_s=STUCK_S + 1), status(State.READY, run_s=STUCK_S)
    told = heard(listener, [stuck, stuck, stuck, free], 3)
    assert told == [{"READY": "1", "STATUS": "ready"}, {"WATCHDOG": "1"}, {"WATCHDOG": "1"}]


def test_variables_are_not_left_for_children(listener: socket.socket) -> None:
    """A camera's process that inherited the socket could speak for the server."""
    environ = environ_for(listener, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
    assert ServiceManager(environ).period_s == 30
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "more",
    [{}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}],
    ids=["not watched", "another process", "no number"],
)
def test_watchdog_of_nobody_or_of_another_is_none(listener: socket.socket, more: dict[str, str]) -> None:
    """Without a period of its own the server is not watched."""
    assert ServiceManager(environ_for(listener, **more)).period_s == 0


def test_without_a_manager_nothing_is_said() -> None:
    """Started by hand: no socket, no task that lives on."""
    manager = ServiceManager({})
    manager.tell(READY="1")
    asyncio.run(manager.keep_told(lambda: status(State.READY)))


def test_manager_that_does_not_listen_is_no_error(tmp_path: Path) -> None:
    """A server that cannot tell serves all the same."""
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell(READY="1")


def test_abstract_socket_is_understood() -> None:
    """systemd names abstract sockets with an @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(f"\0livegate-test-{os.getpid()}")
        own.settimeout(HANG_S)
        ServiceManager({"NOTIFY_SOCKET": f"@livegate-test-{os.getpid()}"}).tell(STOPPING="1")
        assert own.recv(100) == b"STOPPING=1"
