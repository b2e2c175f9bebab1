"""A system that is asked over HTTP: what is sent and what an answer says; the links are here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from livegate_bench.generator.async_link import AsyncLinks
from livegate_bench.generator.http_link import HttpLink
from livegate_bench.system import Ask, AsyncAsk, System


class HttpSystem(System):
    """Base of the dialects."""

    def message(self) -> tuple[str, bytes, Mapping[str, str]]:
        """(path, body, headers) of one request, built anew as the cloud's own clients do."""
        raise NotImplementedError

    def check(self, status: int, answer: bytes) -> None:
        """Hold that an answer is a verdict.

        Raises:
            Refused: it is not.
        """
        raise NotImplementedError

    def caller(self) -> Ask:
        """A connection of its own."""
        link = HttpLink(self.place.server.http)
        self.stack.callback(link.close)
        return lambda: self.check(*link.post(*self.message()))

    async def async_ask(self, stack: AsyncExitStack) -> AsyncAsk:
        """Connections of its own, one for each request under way."""
        links = AsyncLinks(self.place.server.http)
        stack.callback(links.close)

        async def ask() -> None:
            self.check(*await links.post(*self.message()))

        return ask
