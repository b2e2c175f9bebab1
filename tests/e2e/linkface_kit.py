"""Clients of the Linkface cloud as its samples write them, pointed at a server of the test's."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from e2e.running import Running, start
from livegate.client import DeviceKey, key_from_text

API_ID, API_SECRET = "ID-of-the-kiosk", "SECRET-of-the-kiosk"
LATE_ID, SLOW_ID, POOR_ID = "ID-of-yesterday", "ID-of-one-call", "ID-of-one-call-a-day"
DEVICE: DeviceKey = key_from_text("kiosk-7", "0123456789abcdef" * 4)
HACK, SELFIE = "/hackness/liveness_hack_detect", "/hackness/selfie_hack_detect"
CHECK, UPLOAD = "/liveness/check_liveness", "/resources/upload_liveness_data"
IDENTITY = "/identity/liveness_idnumber_verification"
QUERY = f"?api_id={API_ID}&api_secret={API_SECRET}"
GOOD = {"api_id": API_ID, "api_secret": API_SECRET}
HANG_S = 60
Said = tuple[str, int, str]
"""Status, HTTP status and reason."""


@contextmanager
def linkface_server(
    folder: Path, *flags: str, backend: str = "null", extra: str = ""
) -> Iterator[Running]:
    """A server that wants an id and a secret; other accounts are expired, slow and poor."""
    config = folder / "linkface.toml"
    config.write_text(
        f"""
        [linkface]
        apps = [
          {{ api_id = "{API_ID}", api_secret = "{API_SECRET}" }},
          {{ api_id = "{LATE_ID}", api_secret = "{API_SECRET}", expires = 2020-01-31 }},
          {{ api_id = "{SLOW_ID}", api_secret = "{API_SECRET}", rate_limit_rps = 0.001 }},
          {{ api_id = "{POOR_ID}", api_secret = "{API_SECRET}", quota = 1 }},
        ]
        devices = [{{ id = "{DEVICE.device_id}", key = "{DEVICE.key.hex()}" }}]
        {extra}
        """
    )
    running = start(folder, "--config", str(config), *flags, backend=backend)
    try:
        yield running
    finally:
        assert running.stop() == 0, running.log.read_text()


def post(server: Running, path: str, **options: Any) -> requests.Response:
    """As the cloud's Python sample does, without a proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.post(server.url(path), timeout=HANG_S, **options)


def send(server: Running, path: str, content: bytes | None = None, **data: str) -> requests.Response:
    """The sample itself: a file of the name `file`, id and secret beside it."""
    files = {"file": ("chunk", content, "image/jpeg")} if content is not None else None
    return post(server, path, files=files, data={**GOOD, **data})


def answered(answer: requests.Response) -> dict[str, Any]:
    """A good answer: 200, OK, a request id of the cloud's form."""
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["status"]) == (200, "OK"), told
    assert re.fullmatch("TID[0-9a-f]{32}", told["request_id"])
    return told


def said(answer: requests.Response) -> Said:
    """A failure of the cloud's shape, and nothing else in it."""
    told = answer.json()
    assert set(told) == {"status", "reason", "request_id"}
    assert re.fullmatch("TID[0-9a-f]{32}", told["request_id"])
    return told["status"], answer.status_code, told["reason"]


def raw(server: Running, message: bytes) -> bytes:
    """Bytes on a socket, and everything that comes back until the server hangs up."""
    host, _, port = server.http.partition(":")
    with socket.create_connection((host, int(port)), timeout=HANG_S) as line:
        line.sendall(message)
        return b"".join(iter(lambda: line.recv(65536), b""))


def curl(server: Running, path: str, folder: Path, *arguments: str) -> requests.Response | Any:
    """curl as the cloud's page calls it; its body, parsed."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", "--noproxy", "*", "-X", "POST", server.url(path), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=HANG_S, check=True)
    return requests.models.complexjson.loads(done.stdout)
