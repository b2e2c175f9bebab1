"""The Linkface dialect under garbage: no crash, no leak, no secret in a log, nothing on a disk."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from e2e import linkface_kit as kit
from e2e.disk_watch import DiskWatch
from e2e.fuzz import FUZZ, mutated
from e2e.linkface_kit import (
    CHECK,
    DEVICE,
    GOOD,
    HACK,
    IDENTITY,
    QUERY,
    SELFIE,
    UPLOAD,
    answered,
    linkface_server,
    post,
    raw,
    said,
    send,
)
from e2e.pictures import jpeg
from e2e.running import Running
from livegate.client import pack_liveness_data

PICTURE = jpeg(320, 240)


@pytest.fixture(scope="module")
def linkface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with linkface_server(tmp_path_factory.mktemp("l")) as running:
        yield running


# --- nothing is lost ------------------------------------------------------------------------------


def test_no_secret_and_no_pixel_in_the_log(folder: Path) -> None:
    """Queries carry secrets: good, wrong and broken ones leave none in the log."""
    with linkface_server(folder, "--set", "log.level=debug") as running:
        for path in (HACK, IDENTITY, "/hackness/none", "/none"):
            post(running, path + QUERY, files={"file": PICTURE})
            post(running, f"{path}{QUERY}-WRONG-SECRET", files={"file": PICTURE})
        post(running, f"{HACK}{QUERY}&liveness_data_url=http://h/?token=URL-SECRET")
        raw(running, f"POST {HACK}{QUERY} NONSENSE\r\nbroken\r\n\r\n".encode())
        with contextlib.suppress(requests.RequestException):
            requests.get(running.url(f"{HACK}{QUERY}&{'x' * 70_000}"), timeout=kit.HANG_S)
        log = running.log.read_text()
    assert "request refused" in log
    secrets = (kit.API_SECRET, "WRONG-SECRET", "URL-SECRET", DEVICE.key.hex(), "api_secret=")
    assert [secret for secret in secrets if secret in log] == []


@pytest.fixture
def temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a server that is started now would put temporary files."""
    path = folder / "tmp"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    return path


def test_no_file_is_opened_for_a_large_form(folder: Path, temporary: Path) -> None:
    """While four megabytes come in small pieces, and are judged: no file, no temporary one."""
    content = jpeg(2400, 1800)
    assert len(content) > 4 << 20
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content
    body += b"\r\n--x--"
    head = (
        f"POST {HACK}{QUERY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with linkface_server(folder) as running:
        send(running, HACK, PICTURE)  # whatever is opened once is open now
        host, _, port = running.http.partition(":")
        with (
            DiskWatch(running.process.pid, temporary) as watch,
            socket.create_connection((host, int(port)), timeout=kit.HANG_S) as line,
        ):
            line.sendall(head.encode())
            for start_byte in range(0, len(body), 65536):
                line.sendall(body[start_byte : start_byte + 65536])
            answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert b'"status":"OK"' in answer
    assert watch.seen == set()
    assert watch.looks > 10


def test_watch_sees_a_file_that_is_spooled(temporary: Path) -> None:
    """The watch itself works: a spooled temporary file is found, though it has no name."""
    program = """
import sys, tempfile
sys.stdin.readline()
spooled = tempfile.SpooledTemporaryFile(max_size=1 << 20)
spooled.write(bytes(2 << 20))
print("spooled", flush=True)
sys.stdin.readline()
"""
    with (
        subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as spooler,
        DiskWatch(spooler.pid, temporary) as watch,
    ):
        assert spooler.stdin
        assert spooler.stdout
        spooler.stdin.write(b"\n")
        spooler.stdin.flush()
        spooler.stdout.readline()
        looks = watch.looks
        while watch.looks < looks + 2:
            pass
        spooler.stdin.close()
    assert [name for name in watch.seen if name.startswith(str(temporary))]


# --- garbage --------------------------------------------------------------------------------------

SEALED = pack_liveness_data(device_id=DEVICE.device_id, images=[jpeg(48, 48)], key=DEVICE)
OPEN = pack_liveness_data(device_id=DEVICE.device_id, images=[jpeg(48, 48)])
FORM = requests.Request(
    "POST", "http://x", data={**GOOD, "motions": "NOD"}, files={"file": ("a", OPEN)}
).prepare()
URLENCODED = b"api_id=ID-of-the-kiosk&api_secret=SECRET-of-the-kiosk&liveness_data_id=a%20b"
PATHS = [HACK, SELFIE, CHECK, UPLOAD, IDENTITY]


@pytest.mark.parametrize("content", [SEALED, OPEN], ids=["sealed", "open"])
def test_container_cut_at_fifty_points_is_refused(linkface: Running, content: bytes) -> None:
    """Always the same status; the box stays up."""
    for point in range(50):
        cut = content[: len(content) * point // 50]
        status, code, _ = said(send(linkface, HACK, cut))
        wanted = "WRONG_LIVENESS_DATA" if cut else "INVALID_ARGUMENT"
        assert (status, code) == (wanted, 400)


def test_sealed_container_with_one_flipped_byte_is_refused(linkface: Running) -> None:
    """Anywhere; the whole one is judged afterwards."""
    sealed = pack_liveness_data(device_id=DEVICE.device_id, images=[jpeg(48, 48)], key=DEVICE)
    for place in [*range(40), *range(40, len(sealed), len(sealed) // 40), len(sealed) - 1]:
        flipped = sealed[:place] + bytes([sealed[place] ^ 0x20]) + sealed[place + 1 :]
        assert said(send(linkface, HACK, flipped))[0] == "WRONG_LIVENESS_DATA"
    assert answered(send(linkface, HACK, sealed))


@given(st.data())
@FUZZ
def test_mutated_forms_are_answered_and_never_a_defect(linkface: Running, data: Any) -> None:
    """An answer of the contract, never a server error."""
    is_form = data.draw(st.booleans())
    kind = FORM.headers["Content-Type"] if is_form else "application/x-www-form-urlencoded"
    content = mutated(data, FORM.body if is_form else URLENCODED)  # type: ignore[arg-type]
    query = data.draw(st.sampled_from([QUERY, "", "?%", "?api_id=\xff"]))
    path = data.draw(st.sampled_from(PATHS)) + query
    answer = post(linkface, path, data=content, headers={"Content-Type": kind})
    assert answer.status_code in (200, 400, 401, 403)
    assert answered(answer) if answer.status_code == 200 else said(answer)
    assert linkface.process.poll() is None


@given(st.data())
@FUZZ
def test_mutated_containers_are_answered_and_never_a_defect(linkface: Running, data: Any) -> None:
    """Open ones may still be read; sealed ones never are."""
    original = data.draw(st.sampled_from([SEALED, OPEN]))
    content = mutated(data, original)
    if not content or content in (SEALED, OPEN):
        return
    answer = send(linkface, HACK, content)
    assert answer.status_code == 400 or original is OPEN
    assert answered(answer) if answer.status_code == 200 else said(answer)
    assert linkface.process.poll() is None


def test_memory_does_not_grow_with_refused_requests(linkface: Running) -> None:
    """Of two hundred megabytes of refused bodies nothing is kept.

    Each thread that has parsed a body holds on to some pages of its own, so these are filled first.
    """

    def refuse(times: int) -> None:
        for _ in range(times):
            for path in (HACK, SELFIE):
                said(send(linkface, path, b"\x0a" + bytes(3 << 20)))

    process = psutil.Process(linkface.process.pid)
    refuse(16)
    before = process.memory_info().rss
    refuse(32)
    assert process.memory_info().rss - before < 48 << 20
