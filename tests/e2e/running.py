"""A real `livegate serve` process for a test, on ports of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livegate_bench.sut import free_ports

HANG_S = 60


STARTED: list[subprocess.Popen[bytes]] = []
"""Servers of fixtures, and of the test that runs."""


@dataclass
class Running:
    """The process and where it answers."""

    process: subprocess.Popen[bytes]
    grpc: str
    http: str
    metrics: str
    socket: str
    log: Path

    def url(self, path: str) -> str:
        return f"http://{self.http}{path}"

    def get(self, path: str) -> tuple[int, str]:
        """GET on the operations port."""
        try:
            with urllib.request.urlopen(f"http://{self.metrics}{path}", timeout=HANG_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def queue_depth(self) -> int:
        return int(json.loads(self.get("/readyz")[1])["queue"]["depth"])

    def running(self) -> int:
        return int(json.loads(self.get("/readyz")[1])["running"])

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HANG_S)


def environment() -> dict[str, str]:
    """Ours without anybody's LiveGate settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LIVEGATE_")}


def with_cache() -> dict[str, str]:
    """That environment with the cache of this test run (tests/conftest.py)."""
    return {**environment(), "LIVEGATE_CACHE": os.environ["LIVEGATE_CACHE"]}


def run_cli(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> Any:
    """`livegate ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "livegate", *arguments],
        capture_output=True,
        text=options.pop("text", True),
        timeout=HANG_S,
        check=False,
        env={**with_cache(), **(env or {})},
        **options,
    )


def start(
    folder: Path,
    *arguments: str,
    waits: bool = True,
    backend: str | None = "null",
    python: str = sys.executable,
    env: dict[str, str] | None = None,
) -> Running:
    """Start a server; with `waits`, until it is warm. No backend: the configuration's."""
    grpc, http, metrics = (f"127.0.0.1:{port}" for port in free_ports(3))
    path = str(folder / "grpc.sock")
    log = folder / f"server-{time.monotonic_ns()}.log"
    command = [
        *(python, "-m", "livegate", "serve", *(("--backend", backend) if backend else ())),
        *("--grpc", grpc, "--http", http, "--metrics", metrics, "--socket", path),
        *("--frames", str(folder / "frames.sock"), *arguments),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**with_cache(), **(env or {})})
    STARTED.append(process)
    running = Running(process, grpc, http, metrics, path, log)
    if waits:
        wait_until_ready(running)
    return running


def wait_until_ready(running: Running) -> None:
    wait_until(lambda: _is_ready(running), running)


def wait_until(condition: Any, running: Running | None = None) -> None:
    """Poll with a generous limit that only a hang reaches."""
    until_s = time.monotonic() + HANG_S
    while not condition():
        if running is not None and running.process.poll() is not None:
            raise AssertionError(f"the server ended: {running.log.read_text()}")
        if time.monotonic() > until_s:
            raise AssertionError("nothing happened within the limit that only a hang reaches")
        time.sleep(0.02)


def _is_ready(running: Running) -> bool:
    try:
        return running.get("/readyz")[0] == 200
    except OSError:
        return False
