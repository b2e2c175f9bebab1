"""Connections that nobody means to use: each ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from livegate.core.config import HttpConfig
from livegate.core.tls import server_context
from livegate.gateway import listener
from livegate.gateway.listener import HttpListener
from support import HANG_S
from tls_kit import tls_files

LARGE = 32 << 20
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once, whatever of the body is still to come; /large with more than sockets hold."""
    body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    length = (b"content-length", str(len(body)).encode())
    ends = [(b"connection", b"close")] if scope["query_string"] == b"close" else []
    await send({"type": "http.response.start", "status": 200, "headers": [length, *ends]})
    await send({"type": "http.response.body", "body": body})


async def reader(scope: Any, receive: Any, send: Any) -> None:
    """Answers when the whole body has come, or its client has gone."""
    while (await receive()).get("more_body"):
        pass
    await app(scope, receive, send)


@contextlib.asynccontextmanager
async def served(app: Any = app, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpListener]:
    made = HttpListener("http", "127.0.0.1:0", app, head_timeout_s=0.1, tls=tls)
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


def test_more_headers_than_anybody_sends_are_400() -> None:
    """Each is looked at, for nobody who is known yet."""

    async def told(count: int) -> bytes:
        async with served() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            names = b"".join(b"x%d: y\r\n" % number for number in range(count))
            writer.write(b"GET /?close HTTP/1.1\r\n" + names + b"\r\n")
            answer = await asyncio.wait_for(reader.read(), HANG_S)
            writer.close()
            return answer

    assert asyncio.run(told(128)).startswith(b"HTTP/1.1 200")
    assert asyncio.run(told(129)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("trailer", [b"a: b\r\n", b"a" * 1024])
def test_what_follows_a_chunked_body_has_a_limit(trailer: bytes) -> None:
    """Lines without end, or one line without end: nobody asked for any."""

    async def sent() -> int:
        async with served(reader) as server:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(CHUNKED)
            size = 0
            with contextlib.suppress(ConnectionError):
                while size < LARGE:
                    writer.write(trailer * 64)
                    await writer.drain()
                    size += 64 * len(trailer)
            writer.close()
            return size

    assert asyncio.run(asyncio.wait_for(sent(), HANG_S)) < LARGE


def test_trailers_that_are_few_disturb_nobody() -> None:
    """The answer comes, and the next request's."""

    async def told() -> bytes:
        async with served(reader) as server:
            stream, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(CHUNKED + b"x: y\r\n\r\n")
            first = await asyncio.wait_for(stream.readuntil(b"ok"), HANG_S)
            writer.write(b"GET /?close HTTP/1.1\r\nHost: h\r\n\r\n")
            rest = await asyncio.wait_for(stream.read(), HANG_S)
            writer.close()
            return first + rest

    assert asyncio.run(told()).count(b"200 OK") == 2


def test_handshake_that_does_not_come_ends_the_connection(tmp_path: Path) -> None:
    """A limit for heads is none where nobody gets as far as a head."""
    files = tls_files(tmp_path)
    tls = server_context("http", HttpConfig(tls_cert=str(files.cert), tls_key=str(files.key)))

    async def told() -> bytes:
        async with served(tls=tls) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            answer = await asyncio.wait_for(reader.read(), HANG_S)
            writer.close()
            return answer

    assert asyncio.run(told()) == b""
