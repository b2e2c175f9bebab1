"""Files of weights from upstream: whole and verified, or not at all; and on from where they stopped."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.manifests.download import TRIES, Download
from livegate.manifests.schema import ModelFile, Upstream

WEIGHTS = bytes(range(256)) * 2000
FILE = ModelFile(
    name="tiny.onnx",
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    bytes=len(WEIGHTS),
    licence="Apache-2.0",
    upstream=Upstream(repository="someone/something", commit="c" * 40, path="a b/tiny.onnx"),
)


class Mirror(BaseHTTPRequestHandler):
    """Serves the weights as the test says: `cuts` answers end early, `manner` says how."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str]]
    credentials: list[str]
    cuts: int
    manner: str

    def do_GET(self) -> None:
        start = int((re.findall(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["0"])[0])
        self.asked.append((self.path, self.headers.get("Range", "")))
        self.credentials.append(self.headers.get("Proxy-Authorization", ""))
        kind = type(self)
        if self.manner == "lead on" and not self.path.startswith("/there/"):
            return self.say(302, b"", Location=f"/there{self.path}")
        if self.manner == "lead away":
            return self.say(302, b"", Location="file:///etc/passwd")
        if self.manner == "missing":
            return self.say(404, b"no")
        if self.manner == "busy":
            return self.say(503, b"later")
        if self.manner == "portal":
            return self.say(200, b"<html>Please accept our terms</html>")
        content = WEIGHTS[::-1] if self.manner == "wrong" else WEIGHTS
        if self.manner == "more":
            content += b"more"
        if self.manner == "no ranges":
            start = 0
        body = content[start:]
        if kind.cuts:
            kind.cuts -= 1
            self.close_connection = True
            return self.say(206 if start else 200, body[: len(body) // 3], Content_Length=str(len(body)))
        return self.say(206 if start else 200, body)

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Be quiet."""


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server and the class of its answers."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    own: Any = type("Own", (Mirror,), {"asked": [], "credentials": [], "cuts": 0, "manner": ""})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    own.address = f"127.0.0.1:{server.server_port}"
    own.template = f"http://127.0.0.1:{server.server_port}/{{repository}}/{{commit}}/{{path}}"
    yield own
    server.shutdown()
    server.server_close()
    thread.join()


def bring(mirror: Any, target: Path, pauses: list[float] | None = None) -> list[int]:
    told: list[int] = []
    sleep = (pauses if pauses is not None else []).append
    Download(mirror.template, sleep=sleep).bring(FILE, target, lambda _, done: told.append(done))
    return told


def refusal(mirror: Any, target: Path) -> SetupError:
    with pytest.raises(SetupError) as caught:
        bring(mirror, target)
    return caught.value


def test_bring_makes_the_file_whole(mirror: Any, tmp_path: Path) -> None:
    """Its path is the manifest's, quoted; progress rises to its size; nothing lies beside it."""
    target = tmp_path / "tiny" / "tiny.onnx"
    told = bring(mirror, target)
    assert target.read_bytes() == WEIGHTS
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, len(WEIGHTS))
    assert mirror.asked == [(f"/someone/something/{'c' * 40}/a%20b/tiny.onnx", "")]
    assert [path.name for path in target.parent.iterdir()] == ["tiny.onnx"]


def test_bring_goes_on_where_it_stopped(mirror: Any, tmp_path: Path) -> None:
    """Within one call, after a pause, and in a later call; no byte comes twice."""
    target, pauses = tmp_path / "tiny.onnx", list[float]()
    mirror.cuts = 2
    bring(mirror, target, pauses)
    assert target.read_bytes() == WEIGHTS
    assert len(pauses) == 2
    ranges = [asked for _, asked in mirror.asked]
    assert ranges[0] == ""
    assert all(re.fullmatch(r"bytes=\d+-", one) for one in ranges[1:])
    target.unlink()
    mirror.cuts = TRIES
    assert refusal(mirror, target).code is ErrorCode.CONNECTION_FAILURE
    assert not target.exists()
    (part,) = tmp_path.iterdir()
    left = part.stat().st_size
    mirror.asked.clear()
    told = bring(mirror, target)
    assert (told[0], mirror.asked[0][1]) == (left, f"bytes={left}-")
    assert target.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("manner", "code", "pauses"),
    [
        ("busy", ErrorCode.CONNECTION_FAILURE, TRIES - 1),
        ("portal", ErrorCode.MODELINIT_FAIL, 0),
        ("missing", ErrorCode.NO_EXIST, 0),
    ],
)
def test_bring_keeps_its_part_when_the_server_has_no_bytes_for_it(
    mirror: Any, tmp_path: Path, manner: str, code: ErrorCode, pauses: int
) -> None:
    """Hundreds of megabytes over a slow line are not lost to one busy moment or a hotel's page."""
    target, slept = tmp_path / "tiny.onnx", list[float]()
    mirror.cuts = TRIES
    refusal(mirror, target)
    (part,) = tmp_path.iterdir()
    before = part.read_bytes()
    mirror.manner = manner
    with pytest.raises(SetupError) as caught:
        bring(mirror, target, slept)
    assert (caught.value.code, len(slept)) == (code, pauses)
    assert part.read_bytes() == before
    mirror.manner = ""
    assert bring(mirror, target)[0] == len(before)
    assert target.read_bytes() == WEIGHTS


def test_bring_begins_anew_where_ranges_are_not_known(mirror: Any, tmp_path: Path) -> None:
    """A server that sends all of it again."""
    mirror.cuts, mirror.manner = 1, "no ranges"
    bring(mirror, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.onnx").read_bytes() == WEIGHTS


def test_bring_follows_a_redirect(mirror: Any, tmp_path: Path) -> None:
    """As large files of a repository have them."""
    mirror.manner = "lead on"
    bring(mirror, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.onnx").read_bytes() == WEIGHTS
    mirror.manner = "lead away"
    assert refusal(mirror, tmp_path / "other.onnx").code is ErrorCode.CONNECTION_FAILURE


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        ("wrong", ErrorCode.MODELINIT_FAIL),
        ("more", ErrorCode.MODELINIT_FAIL),
        ("missing", ErrorCode.NO_EXIST),
    ],
)
def test_bring_of_other_bytes_keeps_nothing(
    mirror: Any, tmp_path: Path, manner: str, code: ErrorCode
) -> None:
    """A target that was there before stays as it was."""
    target = tmp_path / "tiny.onnx"
    target.write_bytes(b"the old one")
    mirror.manner = manner
    assert refusal(mirror, target).code is code
    assert target.read_bytes() == b"the old one"
    mirror.manner = ""
    bring(mirror, target)
    assert target.read_bytes() == WEIGHTS


@pytest.mark.parametrize("junk", [b"junk", bytes(len(WEIGHTS)), bytes(len(WEIGHTS) + 9)])
def test_bring_over_a_spoilt_part_ends_well(mirror: Any, tmp_path: Path, junk: bytes) -> None:
    """What lies there may be anything: it is refused once at most, and then made anew."""
    target = tmp_path / "tiny.onnx"
    (tmp_path / f".tiny.onnx.{FILE.sha256[:16]}.part").write_bytes(junk)
    try:
        bring(mirror, target)
    except SetupError as error:
        assert error.code is ErrorCode.MODELINIT_FAIL  # noqa: PT017 - both ends are fine
        bring(mirror, target)
    assert target.read_bytes() == WEIGHTS


def test_bring_by_two_at_once_is_refused(mirror: Any, tmp_path: Path) -> None:
    """They would write into each other's part."""
    part = tmp_path / f".tiny.onnx.{FILE.sha256[:16]}.part"
    with part.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert refusal(mirror, tmp_path / "tiny.onnx").code is ErrorCode.BUSY


def test_bring_without_a_server_tells_what_to_do(tmp_path: Path) -> None:
    """Nobody listens there."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        template = f"http://127.0.0.1:{bound.getsockname()[1]}/{{repository}}"
        with pytest.raises(SetupError, match="0 of 512000 bytes") as caught:
            Download(template, sleep=lambda _: None).bring(FILE, tmp_path / "x", lambda *_: None)
    assert caught.value.code is ErrorCode.CONNECTION_FAILURE
    assert "--from DIR" in caught.value.hint


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
@pytest.mark.parametrize(
    ("spelling", "credentials"),
    [
        ("http://{}", ""),
        ("{}", ""),
        ("http://me:p%40ss@{}/", "Basic " + base64.b64encode(b"me:p@ss").decode()),
    ],
)
def test_bring_goes_through_the_proxy_of_the_environment(
    mirror: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    spelling: str,
    credentials: str,
) -> None:
    """However it is written there, with a name and a password or without."""
    monkeypatch.setenv(variable, spelling.format(mirror.address))
    mirror.template = "http://models.invalid/{path}"
    bring(mirror, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.onnx").read_bytes() == WEIGHTS
    assert mirror.asked == [("http://models.invalid/a%20b/tiny.onnx", "")]
    assert mirror.credentials == [credentials]


def test_bring_through_a_proxy_that_refuses_is_told(
    mirror: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another server that is not reached, with the proxy's word."""
    monkeypatch.setenv("https_proxy", f"http://me:secret@{mirror.address}")
    mirror.template = "https://models.invalid/{path}"
    refused = refusal(mirror, tmp_path / "tiny.onnx")
    assert refused.code is ErrorCode.CONNECTION_FAILURE
    assert "501" in refused.message
    assert "secret" not in str(refused)


@pytest.mark.parametrize("proxy", ["socks5://me:secret@127.0.0.1:9", "http://me:secret@h:none", "//"])
def test_bring_through_a_proxy_of_another_kind_is_refused(
    mirror: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """Not passed by in silence; its address may hold a password."""
    monkeypatch.setenv("http_proxy", proxy)
    refused = refusal(mirror, tmp_path / "tiny.onnx")
    assert refused.code is ErrorCode.CONFIG_ADD_FAIL
    assert "secret" not in str(refused)
    assert not mirror.asked


@pytest.mark.parametrize(
    "template",
    [
        "",
        "ftp://h/{path}",
        "https://h/{nothing}",
        "https://h/{0}",
        "https://{",
        "https://h/{path.x}",
        "https://me:secret@h/{path}",
    ],
)
def test_template_that_is_none_is_refused(template: str) -> None:
    """The key is named."""
    with pytest.raises(SetupError, match=r"models\.upstream") as caught:
        Download(template).url(FILE)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert "secret" not in f"{caught.value} {caught.value.fields}"
