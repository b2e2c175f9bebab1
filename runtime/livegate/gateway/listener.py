"""An HTTP server on one address: a socket that is bound at once, and uvicorn on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from livegate.core.errors import ErrorCode, SetupError

BACKLOG = 512
KEEP_ALIVE_S = 30
MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 128


class _Protocol(HttpToolsProtocol):
    """uvicorn's, which waits for ever for a head that does not come, takes one of any size, and waits
    for ever, too, for one who does not read his answer.
    """

    head_timeout_s = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head has its time from now."""
        self._head_bytes = 0
        """Since the last bytes of a body: of a head, or of what may follow a chunked body."""
        self._headers = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_lost = False
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._is_lost = True
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What is still no body with this has its limit."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._give_up()
        # Bytes that begin no request have ended uvicorn's own wait for the next one.
        elif self.timeout_keep_alive_task is None and (not self.cycle or self.cycle.response_complete):
            self._expect_head()

    def on_message_begin(self) -> None:
        """A later request on the same connection."""
        super().on_message_begin()
        self._headers = 0
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more; those after a chunked body are nobody's.

        Raises:
            ValueError: they are too many; uvicorn answers 400 and closes.
        """
        self._headers += 1
        if self._headers > MAX_HEADERS:
            raise ValueError(f"more than {MAX_HEADERS} headers")
        if self._head_timer is not None:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of it, whose limits are the gateway's."""
        self._head_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """An answer that ends the connection has to be read, too."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._give_up()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a while."""
        self._give_up()

    def on_headers_complete(self) -> None:
        """From now on the body's limits hold."""
        self._head_is_here()
        self._head_bytes = 0
        super().on_headers_complete()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        """Close, once what was sent is read; who reads nothing of it for a while is cut off."""
        self._head_is_here()
        if not self._is_lost:
            self.transport.close()
            self._let_read(self.transport.get_write_buffer_size())

    def _let_read(self, left: int) -> None:
        self._head_timer = self.loop.call_later(KEEP_ALIVE_S, self._look_at_reader, left)

    def _look_at_reader(self, left_before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < left_before:
            self._let_read(left)
        else:
            self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn with a limit for the TLS handshake, and without signal handlers: the app has them."""

    def __init__(self, config: uvicorn.Config, handshake_timeout_s: float) -> None:
        """`handshake_timeout_s`: of TLS; uvicorn leaves the event loop's, a minute."""
        super().__init__(config)
        self._handshake_timeout_s = handshake_timeout_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup([])
        made = partial(
            cast(Any, self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        tls = self.config.ssl
        timeout_s = self._handshake_timeout_s if tls else None
        loop = asyncio.get_running_loop()
        for one in sockets or ():
            self.servers.append(
                await loop.create_server(
                    made, sock=one, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=timeout_s
                )
            )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class HttpListener:
    """Serves an ASGI app on HOST:PORT."""

    def __init__(
        self,
        name: str,
        address: str,
        app: Any,
        *,
        max_connections: int = 1024,
        head_timeout_s: float = _Protocol.head_timeout_s,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Bind, so that an address in use is found before anything is loaded.

        Raises:
            SetupError: INIT_FAIL.
        """
        self._socket = _bind(name, address)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            limit_concurrency=max_connections,
            http=type("Protocol", (_Protocol,), {"head_timeout_s": head_timeout_s}),
            ws="none",
        )
        config.load()
        config.ssl = tls  # uvicorn would build one itself, from files, when it starts
        self._server = _Server(config, head_timeout_s)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Answer from now on."""
        self._task = asyncio.create_task(self._server.serve([self._socket]))

    async def stop(self, grace_s: float) -> None:
        """Finish the answers under way, then close."""
        self._server.should_exit = True
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=max(grace_s, 0.1))
            if late:
                self._server.force_exit = True
                await asyncio.wait(late, timeout=1.0)
        self._socket.close()


def split_address(address: str) -> tuple[str, int]:
    """HOST:PORT, [HOST]:PORT or :PORT taken apart.

    Raises:
        SetupError: CONFIG_ADD_FAIL.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL, f"{address!r} is not an address", hint="write HOST:PORT"
        )
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - the caller checks the exposure


def _bind(name: str, address: str) -> socket.socket:
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"{name} cannot listen on {address}: {error.strerror}",
            hint=f"stop the other program, or set {name}.bind",
        ) from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
