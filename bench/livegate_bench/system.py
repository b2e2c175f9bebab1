"""What is measured: systems that answer one request at a time, each a file in systems/, found by name.

A system lives in the load generator's process. It may be a client of the server that all of them share,
or do the work itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import ClassVar

from livegate.core.config import Config
from livegate.core.plugins import load_plugin, plugin_names
from livegate_bench.peers.table import PREFIX
from livegate_bench.rows import EngineRun
from livegate_bench.sut import Box

SYSTEMS = "livegate_bench.systems"
Stages = Mapping[str, float]
"""Milliseconds of one request, by stage."""
Ask = Callable[[], Stages | None]
"""One request to its answer; stages where the system itself knows them. For one thread at a time.

Raises LiveGateError, Refused or OSError when it was not answered as asked.
"""

AsyncAsk = Callable[[], Awaitable[None]]
"""The same for an event loop, any number at once."""


class Refused(Exception):
    """An answer that is an error; `code` is the interface's own."""

    def __init__(self, code: str) -> None:
        """The code stands in the row."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """What a system needs: how the models run, what to send, and the server."""

    config: Config
    picture: bytes
    box: Box | None = None

    @property
    def server(self) -> Box:
        """Of a system that has one."""
        if self.box is None:
            raise ValueError("this place has no server")
        return self.box


class System:
    """Base of all. What callers open goes on `stack` and is closed with the system."""

    is_served: ClassVar[bool] = True
    """Whether a server does the work; else the load's own process does."""

    without_server: ClassVar[str] = "in-process"
    """The system that does the same work in the load's own process: what serving is compared with."""
    has_own_networks: ClassVar[bool] = False
    """Whether a request runs other networks than a picture's silent liveness does."""
    most_callers: ClassVar[int] = 64
    """Clients of an open loop, which has one for each request under way."""
    busy_code: ClassVar[str] = "5003"
    """What a request hears that finds no place in the server's queue; empty where none is refused."""

    def __init__(self, place: Place) -> None:
        """Nothing is opened yet."""
        self.place = place
        self.stack = ExitStack()
        self._callers: list[Ask] = []

    @property
    def engines(self) -> tuple[EngineRun, ...]:
        """What runs, where the system does the work itself."""
        return ()

    def caller(self) -> Ask:
        """One more client."""
        raise NotImplementedError

    async def async_ask(self, stack: AsyncExitStack) -> AsyncAsk:
        """One request, any number of them at once; what it opens goes on `stack`. Where busy_code is."""
        raise NotImplementedError

    def callers(self, count: int) -> list[Ask]:
        """So many clients: those of before first, new ones for the rest."""
        while len(self._callers) < count:
            self._callers.append(self.caller())
        return self._callers[:count]

    def close(self) -> None:
        """Let go of all of them."""
        self.stack.close()


def system_names() -> tuple[str, ...]:
    """Every system, as rows name it."""
    return tuple(name.replace("_", "-") for name in plugin_names(SYSTEMS))


def system_class(name: str) -> type[System]:
    """One of them, or a peer, which has a server of its own and is in no list.

    Raises:
        SetupError: NO_EXIST when there is none of that name.
    """
    if name.startswith(PREFIX):
        from livegate_bench.peers.clients import peer_class

        return peer_class(name)
    found: type[System] = load_plugin(SYSTEMS, name.replace("-", "_")).Plugin
    return found
