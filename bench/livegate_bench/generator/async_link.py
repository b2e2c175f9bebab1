"""HTTP as http_link speaks it, for a load that has many requests under way in one thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from livegate_bench.generator.http_link import IDLE_S, TIMEOUT_S

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AsyncLinks:
    """As many connections as requests are under way; they are kept. For one running event loop."""

    def __init__(self, address: str) -> None:
        """`address`: host:port. Connect when asked."""
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._idle: list[tuple[float, Pipe]] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """(status, body).

        Raises:
            OSError: the server is gone, silent for TIMEOUT_S, or does not speak HTTP.
        """
        try:
            return await asyncio.wait_for(self._post(path, body, headers), TIMEOUT_S)
        except asyncio.TimeoutError:
            raise TimeoutError(f"no answer within {TIMEOUT_S:g} s") from None
        except (EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise ConnectionError(str(error)) from error

    async def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        reader, writer = pipe = await self._pipe()
        try:
            writer.write(_head(path, len(body), {"Host": f"{self._host}:{self._port}", **headers}))
            writer.write(body)
            await writer.drain()
            status, told = _understood(await reader.readuntil(b"\r\n\r\n"))
            content = await reader.readexactly(int(told["content-length"]))
        except BaseException:
            writer.close()
            raise
        if told.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((time.monotonic(), pipe))
        return status, content

    async def _pipe(self) -> Pipe:
        """The one that was used last, or a new one."""
        while self._idle:
            used_s, pipe = self._idle.pop()
            if time.monotonic() - used_s < IDLE_S and not pipe[1].is_closing():
                return pipe
            pipe[1].close()
        return await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        """Hang up."""
        for _, (_, writer) in self._idle:
            writer.close()
        self._idle.clear()


def _head(path: str, size: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {size}", "", ""]).encode("latin-1")


def _understood(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers, their names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    told = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "content-length" not in told:
        raise ValueError(f"an answer without a length: {first}")
    return int(first.split(" ", 2)[1]), told
