"""A peer's server as a process tree: started, waited for, stopped while others are timed, ended.

Peers start processes of their own (Ray a dozen, Triton its server), some in sessions of their own: what
ends with the bench is everything below the first process, in its session, or with its mark in the
environment, so that nothing is left. A guard ends them where the bench itself is killed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from livegate_bench.failure import BenchError
from livegate_bench.measure.meter import family
from livegate_bench.peers.guard import Guard, marked

MARK = "LIVEGATE_BENCH_PEER"
READY_S = 120.0
LOOK_EVERY_S = 0.1
END_S = 15.0
SAID_BYTES = 4000
SAID_LINES = 3
Clock = Callable[[], float]


class PeerError(BenchError):
    """A peer that cannot be timed, and why; the others can."""


class EndedEarly(PeerError):
    """It ended before it was ready."""


class PeerProcess:
    """The tree. Use `running`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start it, with `folder` to work in and for what it says."""
        mark = secrets.token_hex(8)
        self._mark = f"{MARK}={mark}".encode()
        self._said = folder / "said.txt"
        with ExitStack() as undo:
            self._guard = Guard(self._mark)
            undo.callback(self._guard.leave)
            with self._said.open("wb") as said:
                self._first = subprocess.Popen(
                    command,
                    cwd=folder,
                    env={**environment, MARK: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            undo.pop_all()

    @property
    def pid(self) -> int:
        """Of the first process."""
        return self._first.pid

    def status(self) -> int | None:
        """How the first process ended; None while it runs."""
        return self._first.poll()

    def said(self) -> str:
        """The end of what it printed."""
        with contextlib.suppress(OSError):
            text = self._said.read_bytes()[-SAID_BYTES:].decode(errors="replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return " / ".join(lines[-SAID_LINES:])
        return ""

    def wait_until_ready(
        self,
        why_not: Callable[[], str],
        *,
        limit_s: float = READY_S,
        now: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Ask again and again, until `why_not` has nothing to say.

        Raises:
            EndedEarly: it has ended; with what it printed last.
            PeerError: it is not ready in time; the same.
        """
        until_s = now() + limit_s
        while True:
            if self.status() is not None:
                raise EndedEarly(f"it ended with status {self.status()}: {self.said()}")
            if not (why := why_not()):
                return
            if now() > until_s:
                raise PeerError(f"it was not ready after {limit_s:.0f} s ({why}): {self.said()}")
            sleep(LOOK_EVERY_S)

    def pause(self) -> None:
        """Stop the whole tree, parents first, so that none of them minds a child that stands still."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, children first."""
        self._send(signal.SIGCONT, is_backwards=True)

    def end(self, limit_s: float = END_S) -> None:
        """Ask the first process to end, then kill what is left of the tree."""
        self.resume()
        members = self._members()
        if self._first.poll() is None:
            self._first.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._first.wait(limit_s)
        for pid, started in {**members, **self._members()}.items():
            if started == _started(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._first.wait()
        self._guard.leave()

    def _send(self, number: int, *, is_backwards: bool = False) -> None:
        members = list(self._members())
        for pid in reversed(members) if is_backwards else members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _members(self) -> dict[int, str]:
        """Process number and start time of each, the first one first."""
        found = dict.fromkeys(family(self.pid)) if self._first.poll() is None else {}
        found |= dict.fromkeys(self._strays())
        return {pid: started for pid in found if (started := _started(pid))}

    def _strays(self) -> Iterator[int]:
        yield from marked(self._mark)
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                session = (folder / "stat").read_text().rpartition(")")[2].split()[3]
                if session == str(self.pid):
                    yield int(folder.name)


def _started(pid: int) -> str:
    """Ticks from boot to the start of a process; "" when it is gone: tells it from a later one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[PeerProcess]:
    """A peer's process in a folder of its own, which goes with it."""
    # Short: Ray puts sockets below it, whose names may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="lgp-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        process = PeerProcess(command, {**environment, "TMPDIR": name}, folder)
        try:
            yield process
        finally:
            process.end()
