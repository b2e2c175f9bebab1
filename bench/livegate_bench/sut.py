"""The system under test: a `livegate serve` of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

WARM_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Box:
    """A server that is warm, and where it answers."""

    pid: int
    tcp: str
    socket: str
    frames: str

    def target(self, kind: str) -> str:
        """What a gRPC client connects to: tcp or unix."""
        return f"unix:{self.socket}" if kind == "unix" else self.tcp


@contextmanager
def served_box(*arguments: str) -> Iterator[Box]:
    """Start a server with these flags, wait until it is warm, end it afterwards."""
    grpc, metrics = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    with tempfile.TemporaryDirectory(prefix="livegate-bench-") as folder:
        path, frames = f"{folder}/grpc.sock", f"{folder}/frames.sock"
        command = [
            *(sys.executable, "-m", "livegate", "serve", "--http", "", "--frames", frames),
            *("--grpc", grpc, "--metrics", metrics, "--socket", path, "--log-level", "warning"),
            *arguments,
        ]
        server = subprocess.Popen(command)
        try:
            _wait_until_ready(server, metrics)
            yield Box(server.pid, grpc, path, frames)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20)


def _wait_until_ready(server: subprocess.Popen[bytes], metrics: str) -> None:
    until_s = time.monotonic() + WARM_TIMEOUT_S
    while time.monotonic() < until_s and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{metrics}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not become ready; its own message stands above")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
