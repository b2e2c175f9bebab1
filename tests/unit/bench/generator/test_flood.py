"""An open loop in one thread, against systems that accept as many as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, QueueError
from livegate_bench.generator.async_link import AsyncLinks
from livegate_bench.generator.flood import Flood
from livegate_bench.system import AsyncAsk, Place, System


class Told(System):
    """Does what it is told for each request, once it was asked to see whether it works."""

    def __init__(self, answer: Callable[[], Awaitable[None]]) -> None:
        super().__init__(Place(Config(), b""))
        self.answer = answer
        self.asked = 0

    async def async_ask(self, stack: AsyncExitStack) -> AsyncAsk:
        async def ask() -> None:
            self.asked += 1
            if self.asked > 1:
                await self.answer()

        return ask


class Places:
    """So many requests wait in it until `all_came`; the surplus is refused at once."""

    def __init__(self, capacity: int, total: int) -> None:
        self.free, self.left = capacity, total
        self.all_came = asyncio.Event()

    async def answer(self) -> None:
        self.left -= 1
        if not self.left:
            self.all_came.set()
        if not self.free:
            raise QueueError(ErrorCode.QUEUE_FULL, "full")
        self.free -= 1
        await self.all_came.wait()


def test_surplus_is_refused_while_the_accepted_wait() -> None:
    """No refusal waits behind one that was accepted; each has its time, and its lateness."""
    places = Places(capacity=5, total=20)
    taken = Flood(2000.0, 0.01, seed=1, arrivals="constant").run(Told(places.answer))
    assert (taken.requests, taken.errors, taken.gave_up) == (5, {"5003": 15}, False)
    assert (len(taken.latencies_s), len(taken.failures_s["5003"]), len(taken.lates_s)) == (5, 15, 20)


def test_request_without_a_free_place_in_the_load_goes_late() -> None:
    """It is not hidden: lateness counts from when it was due."""

    async def answer() -> None:
        await asyncio.sleep(0.01)

    order = Flood(1e5, 5e-5, seed=1, arrivals="constant", most_at_once=1)
    taken = order.run(Told(answer))
    assert taken.requests == 5
    assert max(taken.lates_s) > 0.03


def test_flood_gives_up_on_a_system_that_is_hopelessly_behind() -> None:
    """The rest is not sent; what is under way is waited for."""

    async def answer() -> None:
        await asyncio.sleep(0.03)

    order = Flood(1000.0, 10.0, seed=1, arrivals="constant", most_at_once=1, give_up_s=0.01)
    taken = order.run(Told(answer))
    assert taken.gave_up
    assert 0 < taken.requests < 100


def test_defect_of_a_system_ends_the_flood() -> None:
    """It is no failure of a request."""

    async def answer() -> None:
        raise AttributeError("a typo")

    with pytest.raises(AttributeError, match="a typo"):
        Flood(100.0, 0.01, seed=1, arrivals="constant").run(Told(answer))


async def posted(answers: list[bytes], count: int) -> tuple[list[tuple[int, bytes]], int]:
    """What `count` posts, one after the other, get from a server that has these; its connections."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while (await reader.readuntil(b"\r\n\r\n")).startswith(b"POST /a HTTP/1.1\r\n"):
                assert await reader.readexactly(4) == b"body"
                writer.write(answers.pop(0))
        except EOFError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    links = AsyncLinks(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        return [await links.post("/a", b"body", {"X-A": "1"}) for _ in range(count)], connections
    finally:
        links.close()
        server.close()


def test_link_keeps_its_connection_until_the_server_closes_it() -> None:
    """And reads a status and exactly the body."""
    keep = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    close = b"HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    answers, connections = asyncio.run(posted([keep, close, keep], 3))
    assert answers == [(200, b"ok"), (503, b""), (200, b"ok")]
    assert connections == 2


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 x y\r\ncontent-length: 0\r\n\r\n"]
)
def test_link_calls_what_is_no_answer_a_broken_connection(answer: bytes) -> None:
    """As the other link does: it counts as a failure of the request."""
    with pytest.raises(ConnectionError):
        asyncio.run(posted([answer], 1))
