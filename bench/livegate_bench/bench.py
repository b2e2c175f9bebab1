"""One run of the bench: what all of its rows share, built once and handed to scenarios."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from rich.console import Console

from livegate.app.build import worker_count
from livegate.client import LivenessClient
from livegate.core.config import Config
from livegate_bench.failure import BenchError
from livegate_bench.options import config_from, pace_from, server_arguments
from livegate_bench.picture import load_picture, name_of
from livegate_bench.rows import EngineRun
from livegate_bench.sut import Server, running_server
from livegate_bench.system import Place

MOST_CAMERAS = 256
MOST_DECODED = 16
"""Each is a process of its own: a box has memory for so many, not for as many as queues."""
ROOM = (
    *("--set", f"frames.max_producers={MOST_CAMERAS}"),
    *("--set", f"frames.max_connections={2 * MOST_CAMERAS}"),
    *("--set", "frames.ceiling_mib=4096"),
    *("--set", f"ingest.max_cameras={MOST_DECODED}"),
)
"""For many cameras; none of it costs anything while they are few."""
EVERY_FRAME = ("--set", "attention.recheck_ms=0")
"""Each frame is judged, though it looks like the last: what a request is compared with."""


class Bench:
    """Use it in a with-block: the server that its systems share ends with it."""

    def __init__(self, options: argparse.Namespace, console: Console | None = None) -> None:
        """Nothing is started yet.

        Raises:
            SetupError: a setting is refused.
            BenchError: there is no picture.
        """
        self.options = options
        self.config = config_from(options)
        self.pace = pace_from(options)
        self.seed: int = options.seed
        self.threads = worker_count(self.config)
        self.stack = ExitStack()
        self._console = console or Console(stderr=True)
        self._turns = 0
        self._servers: dict[tuple[str, ...], Server] = {}
        self._judging: dict[str, tuple[EngineRun, ...]] = {}
        self._loaded: tuple[EngineRun, ...] | None = None
        try:
            self.picture = load_picture(options.picture)
            self.picture_name = name_of(self.picture)
        except OSError as error:
            raise BenchError(
                f"there is no picture to send: {error}; --picture FILE names one"
            ) from error

    def server(self, flags: tuple[str, ...] = EVERY_FRAME) -> Server:
        """The one with these flags beside the bench's own; started when the first one asks."""
        if flags not in self._servers:
            self.say("starting a server")
            arguments = (*ROOM, *flags, *server_arguments(self.options))
            self._servers[flags] = self.stack.enter_context(running_server(*arguments))
        return self._servers[flags]

    def judging_engines(self, flags: tuple[str, ...] | None = None) -> tuple[EngineRun, ...]:
        """The networks that the server with these flags, or any, runs for one picture, as it answers."""
        server = self.server(flags) if flags else self._any_server()
        if server.box.tcp not in self._judging:
            with LivenessClient(server.box.tcp) as client:
                told = client.analyze(self.picture).engines
            self._judging[server.box.tcp] = tuple(engine_run(asdict(one)) for one in told)
        return self._judging[server.box.tcp]

    def loaded_engines(self) -> tuple[EngineRun, ...]:
        """All networks of a server, those of videos and of head pose included."""
        if self._loaded is None:
            self._loaded = all_engines(self._any_server())
        return self._loaded

    def _any_server(self) -> Server:
        return next(iter(self._servers.values())) if self._servers else self.server()

    def begin_turns(self) -> int:
        """A number for rows that take turns with each other, and with nobody else."""
        self._turns += 1
        return self._turns

    def place(self, server: Server | None, config: Config | None = None) -> Place:
        """Where a system finds what it needs; `config` in place of the bench's."""
        return Place(config or self.config, self.picture, server.box if server else None)

    def say(self, line: str) -> None:
        """Progress, for whoever watches."""
        self._console.print(line, markup=False, highlight=False)

    def __enter__(self) -> Bench:
        """Ready."""
        return self

    def __exit__(self, *error: object) -> None:
        """The server ends."""
        self.stack.close()


def all_engines(server: Server) -> tuple[EngineRun, ...]:
    """All networks of a server."""
    with LivenessClient(server.box.tcp) as client:
        return tuple(map(engine_run, client.status()["engines"]))


def engine_run(told: Mapping[str, Any]) -> EngineRun:
    """Of what a server tells about a network."""
    return EngineRun(**{name: told[name] for name in EngineRun.__struct_fields__})
