"""A peer's server from its folder: its own Python, our models, the same cores."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from livegate_bench.bench import Bench
from livegate_bench.measure.rounds import Own
from livegate_bench.peers.answers import Answer, why_different
from livegate_bench.peers.clients import Answering, peer_class
from livegate_bench.peers.process import PeerError, PeerProcess, running
from livegate_bench.peers.table import Peer
from livegate_bench.rows import EngineRun
from livegate_bench.sut import Box, Server, free_ports
from livegate_bench.system import Refused

Variant = Literal["plain", "ours"]
WARM_REQUESTS = 4
"""After a peer stood still: its first answer is late."""
QUIET = {
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "OTEL_SDK_DISABLED": "true",
    "NO_PROXY": "*",
    "no_proxy": "*",
    "PYTHONUNBUFFERED": "1",
}
DROPPED = ("PYTHONHOME", "VIRTUAL_ENV", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(frozen=True, slots=True)
class Shop:
    """Where the peers of a checkout are: programs, and the environments that were built for them."""

    programs: Path
    environments: Path

    def python(self, peer: Peer) -> Path:
        """The interpreter of a peer.

        Raises:
            PeerError: there is none, and why.
        """
        found = self.environments / peer.folder / "bin" / "python"
        why = self.environments / f"{peer.folder}.why"
        if why.is_file():
            raise PeerError(why.read_text().strip())
        if not found.is_file():
            raise PeerError("its environment is not built: make bench-peers builds it")
        return found


@dataclass(frozen=True, slots=True)
class Serving:
    """A peer that answers as we do."""

    process: PeerProcess
    own: Own
    answering: Answering

    @contextmanager
    def awake(self) -> Iterator[None]:
        """For the time that it is measured; else the whole tree stands still."""
        self.process.resume()
        try:
            for _ in range(WARM_REQUESTS):
                with contextlib.suppress(Refused, OSError):
                    self.answering()
            yield
        finally:
            self.process.pause()


@contextmanager
def started(
    shop: Shop, peer: Peer, variant: Variant, settings: Mapping[str, Any]
) -> Iterator[tuple[PeerProcess, Box, Path]]:
    """The server's process, where it will answer, and the file in which it will tell what it runs.

    Raises:
        PeerError: as Shop.python.
    """
    http, grpc, metrics = free_ports(3)
    told = shop.environments / f"{peer.folder}.told.{os.getpid()}.json"
    command = [
        *(str(shop.python(peer)), str(shop.programs / peer.folder / "server.py")),
        *("--http", str(http), "--grpc", str(grpc), "--metrics", str(metrics)),
        *("--variant", variant, "--settings", json.dumps(dict(settings)), "--told", str(told)),
    ]
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    environment = {**kept, **QUIET, "PYTHONPATH": str(shop.programs)}
    try:
        with running(command, environment) as process:
            box = Box(process.pid, f"127.0.0.1:{grpc}", "", "", f"127.0.0.1:{http}", "")
            yield process, box, told
    finally:
        told.unlink(missing_ok=True)


def serving(
    bench: Bench,
    peer: Peer,
    running_peer: tuple[PeerProcess, Box, Path],
    ours: Answer,
    wait: Callable[[PeerProcess, Callable[[], str]], None] = PeerProcess.wait_until_ready,
) -> Serving:
    """Wait for it, and hold its answer against ours.

    Raises:
        PeerError: it is not ready in time, has ended, or answers something else.
    """
    process, box, told = running_peer
    started_s = time.perf_counter()
    server = Server(box, 0.0, process.status)
    system = peer_class(peer.system)(bench.place(server))
    bench.stack.callback(system.close)
    answering = system.answering()
    wait(process, lambda: _why_silent(answering))
    try:
        theirs = answering()
    except (Refused, OSError) as error:
        raise PeerError(f"it answered once and then did not: {error}") from error
    if why := why_different(ours, theirs):
        raise PeerError(f"{why}: it does not do the same job, so it is not timed")
    server = Server(box, time.perf_counter() - started_s, process.status)
    return Serving(process, Own(server, engines_told(told)), answering)


def engines_told(path: Path) -> tuple[EngineRun, ...]:
    """What a peer's server wrote about its engines.

    Raises:
        PeerError: nothing, or nothing that can be read.
    """
    names = EngineRun.__struct_fields__
    try:
        told = json.loads(path.read_bytes())
        return msgspec.convert(
            [{name: one[name] for name in names} for one in told], tuple[EngineRun, ...]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PeerError(f"it does not tell what it runs: {error}") from error


def _why_silent(answering: Answering) -> str:
    try:
        answering()
    except (Refused, OSError) as error:
        return str(error) or type(error).__name__
    return ""
