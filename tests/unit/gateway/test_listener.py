"""Connections that nobody means to use: each ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from livegate.gateway import listener
from livegate.gateway.listener import HttpListener
from support import HANG_S

LARGE = 32 << 20


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once, whatever of the body is still to come; /large with more than sockets hold."""
    body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    length = (b"content-length", str(len(body)).encode())
    ends = [(b"connection", b"close")] if scope["query_string"] == b"close" else []
    await send({"type": "http.response.start", "status": 200, "headers": [length, *ends]})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[HttpListener]:
    made = HttpListener("http", "127.0.0.1:0", app, head_timeout_s=0.1)
    await made.start()
    try:
        yield made
    finally:
        await made.stop(0.1)


async def ends(sent: bytes, later: bytes) -> bytes:
    """What came back until the server closed the connection; `later` is sent after the answer."""
    async with served() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.readuntil(b"ok"), HANG_S)
        writer.write(later)
        rest = await asyncio.wait_for(reader.read(), HANG_S)
        writer.close()
        await writer.wait_closed()
        return answer + rest


@pytest.mark.parametrize(
    ("sent", "later"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\r\n"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"G"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", b"x"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", b"x" * 9 + b"\r\n"),
    ],
)
def test_bytes_that_begin_no_request_keep_no_connection(sent: bytes, later: bytes) -> None:
    """Every socket takes one of the places of all clients."""
    assert b"200 OK" in asyncio.run(ends(sent, later))


def test_next_request_after_stray_bytes_is_answered() -> None:
    """Browsers of old send a line break after a body."""
    first, last = (b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % query for query in (b"", b"?close"))
    assert asyncio.run(ends(first, b"\r\n" + last)).count(b"200 OK") == 2


@pytest.mark.parametrize("query", ["", "?close"])
def test_answer_that_nobody_reads_is_let_go(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a picture in it, it would be in memory as long as its client likes."""
    monkeypatch.setattr(listener, "KEEP_ALIVE_S", 0.1)

    async def hold() -> None:
        async with served() as server:
            peer = socket.create_connection(("127.0.0.1", server.port))
            peer.sendall(f"GET /large{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            connections = server._server.server_state.connections
            for is_open in (True, False):
                while bool(connections) is not is_open:
                    await asyncio.sleep(0.01)
            peer.close()

    asyncio.run(asyncio.wait_for(hold(), HANG_S))


def test_answer_that_is_read_slowly_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as something of it is read, it is not cut off."""
    monkeypatch.setattr(listener, "KEEP_ALIVE_S", 1.0)

    async def read_slowly() -> int:
        async with served() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /large?close HTTP/1.1\r\nHost: h\r\n\r\n")
            size = 0
            while chunk := await reader.read(LARGE // 16):
                size += len(chunk)
                await asyncio.sleep(0.01)
            writer.close()
            await writer.wait_closed()
            return size

    assert asyncio.run(asyncio.wait_for(read_slowly(), HANG_S)) > LARGE
