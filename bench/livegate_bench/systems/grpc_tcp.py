"""LivenessClient over TCP on loopback: one connection for all threads."""

from __future__ import annotations

from typing import ClassVar

from livegate.client import LivenessClient
from livegate_bench.system import Ask, Place, System


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
