"""LivenessClient over TCP on loopback: one connection for all threads."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import ClassVar

from livegate.client import AsyncLivenessClient, LivenessClient
from livegate_bench.system import Ask, AsyncAsk, Place, System


class Plugin(System):
    """A JPEG file in a unary call."""

    kind: ClassVar[str] = "tcp"

    def __init__(self, place: Place) -> None:
        """Connect with the first request."""
        super().__init__(place)
        self._client = LivenessClient(place.server.target(self.kind), retries=0)
        self.stack.enter_context(self._client)

    def caller(self) -> Ask:
        """The client is good for all threads."""

        def ask() -> None:
            self._client.analyze(self.place.picture)

        return ask

    async def async_ask(self, stack: AsyncExitStack) -> AsyncAsk:
        """A connection of its own."""
        client = AsyncLivenessClient(self.place.server.target(self.kind), retries=0)
        await stack.enter_async_context(client)

        async def ask() -> None:
            await client.analyze(self.place.picture)

        return ask
