"""Fetching what a message names by URL, from servers of the test's own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from livegate.core.config import UrlsConfig
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.request import AnalyzeRequest
from livegate.gateway.buckets import Buckets
from livegate.gateway.dialect import Fetch
from livegate.gateway.fetch import Failure, Fetcher, FetchError
from support import HANG_S
from tls_kit import TlsFiles, tls_files

LIMIT = 1000
HERE = ("127.0.0.0/8",)
SLOW_S = 0.3


class Pages(BaseHTTPRequestHandler):
    """Answers by path; counts what was asked for."""

    protocol_version = "HTTP/1.1"
    asked: list[str]
    release: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        name = self.path.rpartition("/")[2].partition("?")[0]
        getattr(self, f"page_{name}", self.page_none)()

    def log_message(self, *arguments: Any) -> None:
        """Be quiet."""

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def page_none(self) -> None:
        self.say(404, b"no such page")

    def page_good(self) -> None:
        self.say(200, b"bytes")

    def page_exact(self) -> None:
        self.say(200, bytes(LIMIT))

    def page_long(self) -> None:
        self.say(200, bytes(LIMIT + 1))

    def page_boasting(self) -> None:
        self.say(200, b"x", Content_Length=str(1 << 40))

    def page_endless(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while not self.release.is_set():
                self.wfile.write(bytes(512))
        except OSError:
            pass
        self.close_connection = True

    def page_packed(self) -> None:
        self.say(200, b"x", Content_Encoding="gzip")

    def page_short(self) -> None:
        self.say(200, b"x", Content_Length="9")
        self.close_connection = True

    def page_slow(self) -> None:
        self.release.wait(60)
        self.close_connection = True

    def page_relative(self) -> None:
        self.say(302, Location="good")

    def page_off(self) -> None:
        self.say(302, Location="/elsewhere/good")

    def page_away(self) -> None:
        self.say(307, Location="http://other.example/faces/good")

    def page_file(self) -> None:
        self.say(302, Location="file:///etc/passwd")

    def page_nowhere(self) -> None:
        self.say(302)

    def page_loop(self) -> None:
        self.say(302, Location="loop")


class Site:
    """A server; `url` names one of its pages."""

    def __init__(self, tls: TlsFiles | None = None) -> None:
        handler = type("Own", (Pages,), {"asked": [], "release": threading.Event()})
        self.handler: Any = handler
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def url(self, page: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server.server_port}/faces/{page}"

    def close(self) -> None:
        self.handler.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    own = Site()
    yield own
    own.close()


def get(site: Site, page: str, *, url: str = "", timeout_s: float = 30, **config: Any) -> bytes:
    own = {"allow": (site.url(""),), "networks": HERE, **config}
    return fetch(url or site.url(page), timeout_s, **own)


def fetch(url: str, timeout_s: float = 30, **config: Any) -> bytes:
    wanted = Fetch(url, LIMIT, timeout_s, lambda _: AnalyzeRequest(0, "", (), (), ""))
    return asyncio.run(Fetcher(UrlsConfig(**config)).fetch(wanted))


def test_bucket_that_hangs_holds_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share that went away: each request ends in time, and what others need threads for goes on."""
    returns = threading.Event()
    monkeypatch.setattr(Buckets, "read", lambda *_: returns.wait(HANG_S))
    fetcher = Fetcher(UrlsConfig())
    wanted = Fetch("/b/o", LIMIT, 0.05, lambda _: AnalyzeRequest(0, "", (), (), ""))

    async def others() -> int:
        try:
            told = await asyncio.gather(
                *(fetcher.fetch(wanted) for _ in range(40)), return_exceptions=True
            )
            assert {error.reason for error in told if isinstance(error, FetchError)} == {Failure.TIMEOUT}
            return await asyncio.wait_for(asyncio.to_thread(int, 7), HANG_S / 2)
        finally:
            returns.set()

    assert asyncio.run(others()) == 7


def failure(call: Any, *arguments: Any, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        call(*arguments, **options)
    return caught.value


@pytest.mark.parametrize(
    ("page", "size"), [("good", 5), ("good?key=1", 5), ("relative", 5), ("exact", LIMIT)]
)
def test_fetch_of_a_listed_url_gives_its_bytes(site: Site, page: str, size: int) -> None:
    """Also where it leads on below the prefix, and when it is just as large as it may be."""
    assert len(get(site, page)) == size


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("missing", Failure.FAILED),
        ("packed", Failure.FAILED),
        ("short", Failure.FAILED),
        ("loop", Failure.FAILED),
        ("long", Failure.TOO_LARGE),
        ("boasting", Failure.TOO_LARGE),
        ("endless", Failure.TOO_LARGE),
        ("off", Failure.REFUSED),
        ("away", Failure.REFUSED),
        ("file", Failure.REFUSED),
        ("nowhere", Failure.REFUSED),
    ],
)
def test_fetch_of_a_bad_page_tells_why(site: Site, page: str, reason: Failure) -> None:
    """What a server may do wrong, or somebody with a foothold in it."""
    error = failure(get, site, page)
    assert error.reason is reason
    assert error.code is reason.value
    assert site.url(page) not in f"{error} {error.fields}"
    assert not any("elsewhere" in path for path in site.handler.asked)
    assert len(site.handler.asked) <= 4


def test_fetch_that_takes_too_long_is_a_timeout(site: Site) -> None:
    """The dialect's limit counts, from the name's lookup to the last byte."""
    assert failure(get, site, "slow", timeout_s=SLOW_S).reason is Failure.TIMEOUT


def test_fetch_of_an_unlisted_url_asks_nobody(site: Site) -> None:
    """The default, and a list with something else."""
    assert failure(fetch, site.url("good")).reason is Failure.REFUSED
    assert failure(get, site, "good", allow=("http://other.example/",)).reason is Failure.REFUSED
    assert failure(get, site, "", url="ftp://127.0.0.1/x").reason is Failure.REFUSED
    assert not site.handler.asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_fetch_from_a_private_address_needs_its_network(site: Site, host: str) -> None:
    """A listed name that resolves to the box itself, or its neighbours, is not connected to."""
    allow = (site.url("", host),)
    error = failure(fetch, site.url("good", host), allow=allow)
    assert (error.reason, error.code) == (Failure.REFUSED, ErrorCode.NO_PERMISSION)
    assert not site.handler.asked
    assert fetch(site.url("good", host), allow=allow, networks=(*HERE, "::1/128")) == b"bytes"


def test_fetch_connects_to_the_address_that_was_judged(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers otherwise the second time (DNS rebinding) is never asked a second time."""
    answers = [[("93.184.216.34", 80)], [("127.0.0.1", site.server.server_port)]]
    asked = []

    async def lookup(self: Any, host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in answers[len(asked) - 1]]

    async def connect(self: Any, host: str, *arguments: Any, **options: Any) -> Any:
        connected.append(host)
        raise OSError("the test has no route there")

    connected: list[str] = []
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", lookup)
    monkeypatch.setattr("httpcore.AnyIOBackend.connect_tcp", connect)
    url = "http://faces.example/a"
    assert failure(fetch, url, allow=("http://faces.example/",)).reason is Failure.FAILED
    assert (asked, connected) == (["faces.example"], ["93.184.216.34"])


def test_fetch_of_a_dead_or_unknown_host_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens; nobody knows the name."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        assert failure(fetch, url, allow=(url,), networks=HERE).reason is Failure.FAILED

    async def lookup(self: Any, *arguments: Any, **options: Any) -> list[Any]:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", lookup)
    assert failure(fetch, "http://no.example/", allow=("http://no.example/",)).reason is Failure.FAILED


def test_fetch_from_a_name_that_cannot_be_asked_for_has_failed() -> None:
    """Longer between its dots than names may be; a slip in the operator's list, not a defect of ours."""
    url = f"http://{'h' * 64}.example/x"
    assert failure(fetch, url, allow=(url,)).reason is Failure.FAILED


def test_fetch_of_a_packed_page_says_so(site: Site) -> None:
    """Nothing is unpacked: a few bytes could become many."""
    assert "packed" in failure(get, site, "packed").message


def test_fetch_over_https_trusts_the_named_authority_only(tmp_path: Path) -> None:
    """`urls.ca_file` is for servers of the operator's own."""
    files = tls_files(tmp_path)
    site = Site(files)
    try:
        assert get(site, "good", ca_file=str(files.authority)) == b"bytes"
        assert failure(get, site, "good").reason is Failure.FAILED
    finally:
        site.close()


def test_fetch_from_a_bucket_reads_its_folder(tmp_path: Path) -> None:
    """Size and presence are told apart."""
    (tmp_path / "good").write_bytes(b"bytes")
    (tmp_path / "exact").write_bytes(bytes(LIMIT))
    (tmp_path / "long").write_bytes(bytes(LIMIT + 1))
    buckets = {"b": str(tmp_path)}
    assert fetch("/b/good", buckets=buckets) == b"bytes"
    assert len(fetch("/b/exact", buckets=buckets)) == LIMIT
    assert failure(fetch, "/b/long", buckets=buckets).reason is Failure.TOO_LARGE
    assert failure(fetch, "/b/none", buckets=buckets).reason is Failure.ABSENT
    assert failure(fetch, "/c/good", buckets=buckets).reason is Failure.ABSENT
    assert failure(fetch, "/b/good").reason is Failure.ABSENT


def test_fetcher_without_its_authority_is_refused_at_the_start(tmp_path: Path) -> None:
    """Not at the first request."""
    for content in (None, b"no certificate"):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SetupError, match=r"urls\.ca_file"):
            Fetcher(UrlsConfig(ca_file=str(path)))
