"""Files of weights from where their manifests say that they come from, only when somebody asks for it.

A download goes on where it stopped: what has arrived lies beside the target under a name that carries
the digest, and only whole and verified files get the name that the store looks for. Who serves the bytes
is not trusted, the digest is; so a mirror will do.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpcore

from livegate.core.errors import ErrorCode, SetupError
from livegate.manifests.schema import ModelFile

CHUNK_BYTES = 1 << 20
TIMEOUTS_S = {"connect": 10.0, "read": 30.0, "write": 10.0, "pool": 10.0}
TRIES, PAUSE_S = 4, 1.0
MAX_REDIRECTS = 3
SCHEMES = ("https://", "http://")
BUSY = (408, 425, 429)
REDIRECTS = (301, 302, 303, 307, 308)
BROKEN = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    OSError,
)
Progress = Callable[[ModelFile, int], None]
"""Told after each chunk: the file and how many of its bytes are done."""


class Wanted(Protocol):
    """A file whose bytes are known before it is here."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""

    @property
    def bytes(self) -> int:
        """How many they are."""


class Download:
    """Gets files by a template with {repository}, {commit} and {path}."""

    def __init__(self, template: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """`sleep` is the pause before another try."""
        self._template = template
        self._fetch = Fetch(sleep=sleep)

    def url(self, file: ModelFile) -> str:
        """Where a file comes from.

        Raises:
            SetupError: NO_EXIST for one that has no upstream; CONFIG_ADD_FAIL for a wrong template.
        """
        if file.upstream is None:
            raise SetupError(ErrorCode.NO_EXIST, f"{file.name} comes with LiveGate and is nowhere else")
        up = file.upstream
        parts = {"repository": up.repository, "commit": up.commit, "path": up.path}
        try:
            url = self._template.format(**{name: quote(part) for name, part in parts.items()})
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise _bad_template() from error
        if not url.startswith(SCHEMES) or "@" in urlsplit(url).netloc:
            raise _bad_template()
        return url

    def bring(self, file: ModelFile, target: Path, progress: Progress) -> None:
        """Have the file at `target`, whole and verified.

        Raises:
            SetupError: CONNECTION_FAILURE, MODELINIT_FAIL for other bytes than the manifest's,
                NO_EXIST when the server has not got it, BUSY when somebody else brings it.
            OSError: it cannot be written.
        """
        self._fetch.bring(self.url(file), file, target, partial(progress, file))


class Fetch:
    """Gets files by their URLs."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """`sleep` is the pause before another try."""
        self._sleep = sleep

    def bring(self, url: str, file: Wanted, target: Path, progress: Callable[[int], None]) -> None:
        """Have the file at `target`, whole and verified.

        Raises:
            SetupError, OSError: as Download.bring.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.parent / f".{file.name}.{file.sha256[:16]}.part"
        with _alone(part) as handle:
            for left in reversed(range(TRIES)):
                try:
                    self._go_on(url, file, handle, progress)
                    break
                except BROKEN as error:
                    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
                        raise
                    if not left:
                        raise _interrupted(url, file, os.fstat(handle).st_size, error) from error
                    self._sleep(PAUSE_S)
            _require_digest(url, file, part, handle)
            os.fsync(handle)
            part.replace(target)

    def _go_on(self, url: str, file: Wanted, handle: int, progress: Callable[[int], None]) -> None:
        """Append what is missing; what is too much begins anew."""
        done = os.fstat(handle).st_size
        if done > file.bytes:
            done = 0
            os.ftruncate(handle, 0)
        os.lseek(handle, done, os.SEEK_SET)
        progress(done)
        if done == file.bytes:
            return
        headers = [("User-Agent", "livegate"), ("Accept-Encoding", "identity")]
        if done:
            headers.append(("Range", f"bytes={done}-"))
        with _answer(url, headers) as answer:
            if answer.status in BUSY or answer.status >= 500:
                raise httpcore.RemoteProtocolError(f"it answered {answer.status}")
            if answer.status not in (200, 206):
                raise _refused(url, file, answer.status)
            before = done if answer.status == 206 else 0
            announced = _length(answer)
            if announced is not None and before + announced != file.bytes:
                raise _other_bytes(url, f"{file.bytes} bytes", str(before + announced))
            if done != before:  # all of it comes again
                done = 0
                os.ftruncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
            for chunk in answer.iter_stream():
                done += os.write(handle, chunk[: file.bytes + 1 - done])
                progress(done)
                if done > file.bytes:
                    return
        if done < file.bytes:
            raise httpcore.RemoteProtocolError("it ended early")


def length_of(url: str) -> int:
    """How many bytes a URL has, as its server says.

    Raises:
        SetupError: CONNECTION_FAILURE when it does not say.
    """
    try:
        with _answer(
            url, [("User-Agent", "livegate"), ("Accept-Encoding", "identity")], "HEAD"
        ) as answer:
            length = _length(answer)
    except BROKEN as error:
        why = f"{url} is not reached ({type(error).__name__})"
        raise SetupError(ErrorCode.CONNECTION_FAILURE, why) from error
    if length is None:
        raise SetupError(ErrorCode.CONNECTION_FAILURE, f"{url} does not tell its length")
    return length


def _length(answer: httpcore.Response) -> int | None:
    """How many bytes an answer says that it brings."""
    found = {name.lower(): value for name, value in answer.headers}.get(b"content-length", b"")
    return int(found) if found.isdigit() else None


@contextlib.contextmanager
def _answer(
    url: str, headers: list[tuple[str, str]], method: str = "GET"
) -> Iterator[httpcore.Response]:
    """A request that follows some redirects; whatever they lead to, the digest decides."""
    for _ in range(MAX_REDIRECTS + 1):
        with (
            _pool(url) as pool,
            pool.stream(method, url, headers=headers, extensions={"timeout": TIMEOUTS_S}) as answer,
        ):
            if answer.status not in REDIRECTS:
                yield answer
                return
            to = dict(answer.headers).get(b"Location") or dict(answer.headers).get(b"location", b"")
        url = urljoin(url, to.decode("latin-1"))
        if not url.startswith(SCHEMES):
            break
    raise httpcore.RemoteProtocolError("it leads on, too often or to nowhere")


def _pool(url: str) -> httpcore.ConnectionPool:
    """Through the proxy that the environment names, if it does."""
    parts, proxies = urlsplit(url), urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return httpcore.ConnectionPool()
    return httpcore.ConnectionPool(proxy=_proxy(proxy))


def _proxy(text: str) -> httpcore.Proxy:
    """A proxy as people write it: with a scheme or without, with a name and a password or without.

    Raises:
        SetupError: CONFIG_ADD_FAIL for one of another kind.
    """
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError as error:
        raise _bad_proxy("with a port that is none") from error
    if f"{parts.scheme}://" not in SCHEMES or not parts.hostname:
        raise _bad_proxy(f"of the kind {parts.scheme!r}")
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    url = httpcore.URL(scheme=parts.scheme, host=parts.hostname, port=port, target="/")
    return httpcore.Proxy(url, auth=auth)


def _bad_proxy(what: str) -> SetupError:
    """Its address is not repeated: it may hold a password."""
    return SetupError(
        ErrorCode.CONFIG_ADD_FAIL,
        f"the environment names a proxy {what}",
        hint="name an http or https one, or take it out (http_proxy, https_proxy, all_proxy)",
    )


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[int]:
    """The open partial file, which nobody else writes meanwhile."""
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            why = f"{part.name} is being downloaded by somebody else"
            raise SetupError(ErrorCode.BUSY, why, hint="wait for it") from error
        yield handle
    finally:
        os.close(handle)


def _require_digest(url: str, file: Wanted, part: Path, handle: int) -> None:
    os.lseek(handle, 0, os.SEEK_SET)
    sha = hashlib.sha256()
    while chunk := os.read(handle, CHUNK_BYTES):
        sha.update(chunk)
    if sha.hexdigest() != file.sha256:
        part.unlink()
        raise _other_bytes(url, f"sha256 {file.sha256}", sha.hexdigest())


def _other_bytes(url: str, expected: str, found: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL,
        f"{url} gives other bytes than the manifest names: expected {expected}, found {found}",
        hint="nothing of them was kept; try another mirror (models.upstream)",
    )


def _bad_template() -> SetupError:
    """Without the template itself: somebody may have written a password into it."""
    return SetupError(
        ErrorCode.CONFIG_ADD_FAIL,
        "models.upstream is no template of a URL",
        hint="an http(s) URL without a user name, with {repository}, {commit} and {path}",
    )


def _refused(url: str, file: Wanted, status: int) -> SetupError:
    return SetupError(
        ErrorCode.NO_EXIST,
        f"{file.name} is not to be had: {url} answered {status}",
        hint="`livegate models pull --from DIR` takes it from a folder",
    )


def _interrupted(url: str, file: Wanted, done: int, error: Exception) -> SetupError:
    why = f"{type(error).__name__}: {error}".removesuffix(": ")
    return SetupError(
        ErrorCode.CONNECTION_FAILURE,
        f"{file.name} came as far as {done} of {file.bytes} bytes: {url} is not reached ({why})",
        hint="run it again, it goes on from there; or `livegate models pull --from DIR`",
    )
