"""Pictures and videos that a message names by URL: fetched where the operator allows it, else refused.

The host is resolved here, its addresses are judged, and the connection goes to the address that was
judged: a name that resolves otherwise a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import httpcore

from livegate.core.config import UrlsConfig
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.gateway.buckets import Buckets
from livegate.gateway.dialect import Fetch
from livegate.gateway.urls import Location, UrlList, location_from_url

MAX_REDIRECTS = 3
BUCKET_THREADS = 4
REDIRECTS = (301, 302, 303, 307, 308)
HEADERS = (("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "livegate"))


class Failure(Enum):
    """Why nothing was fetched."""

    REFUSED = ErrorCode.NO_PERMISSION
    ABSENT = ErrorCode.NO_EXIST
    FAILED = ErrorCode.CONNECTION_FAILURE
    TIMEOUT = ErrorCode.TIMEOUT
    TOO_LARGE = ErrorCode.OUT_OF_RANGE


class FetchError(RequestError):
    """A URL that was not fetched."""

    def __init__(self, reason: Failure, message: str, *, hint: str = "") -> None:
        """The code follows from the reason. `message` must not hold the URL: it may hold a key."""
        super().__init__(reason.value, message, hint=hint)
        self.reason = reason


class Fetcher:
    """Gets what a URL names. One for all dialects; a call of `fetch` is one request."""

    def __init__(self, config: UrlsConfig) -> None:
        """Read the lists.

        Raises:
            SetupError: CONFIG_ADD_FAIL.
        """
        self._list = UrlList(config.allow, config.networks)
        self._buckets = Buckets(config.buckets)
        # Of their own: a folder on a share that hangs must not hold whoever parses other requests.
        self._reading = ThreadPoolExecutor(BUCKET_THREADS, "livegate-bucket")
        # Reading the system's authorities takes time and memory that most boxes need not spend.
        self._tls = _trusting(config.ca_file) if config.allow or config.ca_file else None

    async def fetch(self, wanted: Fetch) -> bytes:
        """The bytes.

        Raises:
            FetchError: they may not be fetched, or did not come in time, in size or at all.
        """
        try:
            found = await asyncio.wait_for(self._fetched(wanted), wanted.timeout_s)
        except asyncio.TimeoutError as error:
            raise FetchError(
                Failure.TIMEOUT, f"it did not come within {wanted.timeout_s:g} s"
            ) from error
        if len(found) > wanted.max_bytes:
            raise _too_large(wanted.max_bytes)
        return found

    async def _fetched(self, wanted: Fetch) -> bytes:
        if wanted.url.startswith("/"):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._reading, self._from_bucket, wanted)
        location = self._admitted(wanted.url)
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=_JudgedAddresses(self._list), max_connections=1
        ) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                found = await _get(pool, location, wanted.max_bytes)
                if isinstance(found, bytes):
                    return found
                location = self._admitted(found, location)
        raise FetchError(Failure.FAILED, f"it leads on more than {MAX_REDIRECTS} times")

    def _from_bucket(self, wanted: Fetch) -> bytes:
        try:
            found = self._buckets.read(wanted.url, wanted.max_bytes)
        except LookupError as error:
            hint = "send the file, or name the bucket's folder in urls.buckets"
            raise FetchError(Failure.ABSENT, str(error), hint=hint) from error
        if found is None:
            raise FetchError(Failure.ABSENT, "there is no such object in the bucket")
        return found

    def _admitted(self, url: str, base: Location | None = None) -> Location:
        """The URL in parts.

        Raises:
            FetchError: REFUSED.
        """
        try:
            location = location_from_url(url, base)
        except ValueError as error:
            raise FetchError(Failure.REFUSED, str(error)) from error
        if not self._list.admits(location):
            what = "this box fetches nothing from there" if base is None else "it leads off the list"
            hint = "send the file, or list its prefix in urls.allow"
            raise FetchError(Failure.REFUSED, what, hint=hint)
        return location


class _JudgedAddresses(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, never to a name."""

    def __init__(self, own: UrlList) -> None:
        self._list = own
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not all(self._list.admits_address(ipaddress.ip_address(one)) for one in addresses):
            raise FetchError(
                Failure.REFUSED,
                "its host has an address in a private network",
                hint="list the network in urls.networks",
            )
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError):
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one, too
        raise SetupError(
            ErrorCode.OPEN_FAIL,
            f"urls.ca_file {ca_file!r} cannot be read: {error}",
            hint="name a PEM file of certificates",
        ) from error


async def _get(pool: httpcore.AsyncConnectionPool, location: Location, max_bytes: int) -> bytes | str:
    """One GET: the body, at most a chunk longer than `max_bytes`; or, as text, where it leads to.

    Raises:
        FetchError: FAILED, TOO_LARGE.
    """
    url = httpcore.URL(
        scheme=location.scheme, host=location.host, port=location.port, target=location.target
    )
    try:
        async with pool.stream("GET", url, headers=HEADERS) as answer:
            headers = {name.lower(): value.decode("latin-1") for name, value in answer.headers}
            if answer.status in REDIRECTS:
                return headers.get(b"location", "")
            if answer.status != 200:
                raise FetchError(Failure.FAILED, f"its server answered {answer.status}")
            if headers.get(b"content-encoding", "identity") != "identity":
                raise FetchError(Failure.FAILED, "its server packed it, which nobody asked for")
            return await _body(answer, headers.get(b"content-length", ""), max_bytes)
    # UnicodeError: a name that no resolver can be asked for, as one with 64 letters between dots.
    except (OSError, UnicodeError, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise FetchError(
            Failure.FAILED, f"its server was not reached: {type(error).__name__}"
        ) from error


async def _body(answer: httpcore.Response, declared: str, max_bytes: int) -> bytes:
    if declared.isdigit() and int(declared[:18]) > max_bytes:
        raise _too_large(max_bytes)
    chunks, size = [], 0
    async for chunk in answer.aiter_stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> FetchError:
    return FetchError(
        Failure.TOO_LARGE, f"it has more than {max_bytes} bytes", hint="send a smaller file"
    )
