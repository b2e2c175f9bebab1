"""A broker with consumers, and producer processes on strings: for the end-to-end tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import livegate
from frame_queue_kit import HANG_S, refused
from livegate.core.config import FramesConfig
from livegate.core.errors import ErrorCode
from livegate.core.results import Decision
from livegate.shm.broker import Broker
from livegate.shm.lease import Lease
from livegate.shm.outcome import Outcome

TESTS = Path(__file__).parent
GENUINE = Outcome(decision=Decision.GENUINE, score=0.9, algo_task=1031)


def eventually(fact: Callable[[], bool], what: str) -> None:
    """Wait for a fact; a test that hangs says what for."""
    deadline = time.monotonic() + HANG_S
    while not fact():
        assert time.monotonic() < deadline, f"this never came: {what}"
        time.sleep(0.002)


@contextlib.contextmanager
def broker_at(path: Path, **settings: Any) -> Iterator[Broker]:
    """A live broker; at the end it is stopped and has let everything go.

    No frame is too old for it, unless `settings` say so: a busy machine may take its time.
    """
    usual = {"max_messages_per_s": 1_000_000, "max_frame_age_ms": 0}
    broker = Broker(path, FramesConfig(**{**usual, **settings}))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop(timeout_s=HANG_S)
    assert broker.connections == 0
    assert not path.exists()


@dataclass
class Consumer:
    """A thread that judges every frame until the stop; `look` is called with each lease."""

    broker: Broker
    look: Callable[[Lease], None] = lambda lease: None
    errors: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Consumer:
        self.thread = threading.Thread(target=self._consume)
        self.thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.broker.stop(timeout_s=HANG_S)
        self.thread.join(HANG_S)
        assert not self.thread.is_alive()
        if self.errors:
            raise self.errors[0]

    def _consume(self) -> None:
        try:
            with refused(ErrorCode.QUEUE_STOPED):
                while True:
                    self._judge(self.broker.pop())
        except BaseException as error:
            self.errors.append(error)

    def _judge(self, lease: Lease) -> None:
        with lease:
            self.look(lease)
            lease.finish(GENUINE)


def child_environment() -> dict[str, str]:
    """The same code, wherever it is imported from, and no warnings about forks."""
    folders = [str(Path(livegate.__file__).parents[1]), str(TESTS)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(folders),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }


class Puppet:
    """A producer process on a string."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rw")
        self.pid = int(self._file.readline())

    def tell(self, line: str) -> None:
        """Give an order without waiting for the answer."""
        self._file.write(f"{line}\n")
        self._file.flush()

    def do(self, line: str) -> str:
        """Give an order; its answer."""
        self.tell(line)
        return self._file.readline().strip()

    def kill(self) -> None:
        """SIGKILL, and let go of the string."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.let_go()

    def let_go(self) -> None:
        self._file.close()
        self._socket.close()


class Zygote:
    """Makes puppets."""

    def __init__(self, folder: Path) -> None:
        path = folder / "control.sock"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        self._listener.settimeout(HANG_S)
        script = TESTS / "e2e" / "producer_zygote.py"
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(path)],
            stdin=subprocess.PIPE,
            env=child_environment(),
            text=True,
        )

    def spawn(self) -> Puppet:
        assert self._process.stdin is not None
        self._process.stdin.write("spawn\n")
        self._process.stdin.flush()
        connection, _ = self._listener.accept()
        connection.settimeout(HANG_S)
        return Puppet(connection)

    def close(self) -> None:
        self._listener.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(HANG_S) == 0
