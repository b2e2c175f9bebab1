"""The server under test: a `livegate serve` of its own, with every face open."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from livegate_bench.failure import BenchError
from livegate_bench.generator.credentials import CONFIG
from livegate_bench.measure.scrape import DIRECT

WARM_TIMEOUT_S = 120
END_S = 20
LOOK_EVERY_S = 0.02
PORTS = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class Box:
    """A server that is warm, and where it answers."""

    pid: int
    tcp: str
    socket: str
    frames: str
    http: str
    metrics: str

    def target(self, kind: str) -> str:
        """What a gRPC client connects to: tcp or unix."""
        return f"unix:{self.socket}" if kind == "unix" else self.tcp


@dataclass(frozen=True, slots=True)
class Server:
    """The box and how it does."""

    box: Box
    ready_s: float
    """From the start of its process to the first good answer of /readyz."""
    status: Callable[[], int | None]

    def check(self) -> None:
        """Hold that it runs.

        Raises:
            BenchError: it has ended.
        """
        status = self.status()
        if status is not None:
            raise BenchError(
                f"the server ended with status {status} while it was measured; what it said stands above"
            )


@contextmanager
def served_box(*arguments: str) -> Iterator[Box]:
    """As `running_server`, for who needs its addresses only."""
    with running_server(*arguments) as server:
        yield server.box


@contextmanager
def running_server(*arguments: str) -> Iterator[Server]:
    """Start a server with these flags, wait until it is warm, end it afterwards.

    Raises:
        BenchError: it does not become ready.
    """
    grpc, http, metrics = (f"127.0.0.1:{port}" for port in free_ports(3))
    with tempfile.TemporaryDirectory(prefix="livegate-bench-") as folder:
        path, frames, config = (
            f"{folder}/{name}" for name in ("grpc.sock", "frames.sock", "bench.toml")
        )
        Path(config).write_text(CONFIG)
        command = [
            *(sys.executable, "-m", "livegate", "serve", "--config", config, "--http", http),
            *("--frames", frames, "--grpc", grpc, "--metrics", metrics, "--socket", path),
            # No profile of this box unless it is asked for: what is measured stands in the flags.
            *("--log-level", "warning", "--profile", "", *arguments),
        ]
        started_s = time.perf_counter()
        server = subprocess.Popen(command)
        try:
            _wait_until_ready(server, metrics)
            ready_s = time.perf_counter() - started_s
            yield Server(Box(server.pid, grpc, path, frames, http, metrics), ready_s, server.poll)
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(END_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], metrics: str) -> None:
    until_s = time.monotonic() + WARM_TIMEOUT_S
    while time.monotonic() < until_s and server.poll() is None:
        try:
            with DIRECT.open(f"http://{metrics}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(LOOK_EVERY_S)
    raise BenchError("the server did not become ready; its own message stands above")


def free_ports(count: int) -> tuple[int, ...]:
    """Below those that the kernel gives to connections: one of them could take it before the server.

    All held at once, so that no two are the same.
    """
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.choice(PORTS)
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
        return tuple(ports)
