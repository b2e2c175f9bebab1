"""`livegate serve --tls-cert --tls-key`: HTTPS on the HTTP face."""

from __future__ import annotations

import socket
import ssl
import warnings
from pathlib import Path

import pytest
import requests

from e2e.pictures import PATH, body, jpeg
from e2e.running import run_cli, start
from tls_kit import tls_files


def test_serve_with_a_certificate_answers_https_only(folder: Path) -> None:
    """Verified against its own authority; plain HTTP and TLS 1.1 get no answer."""
    files = tls_files(folder)
    running = start(folder, "--tls-cert", str(files.cert), "--tls-key", str(files.key))
    try:
        url = f"https://{running.http}{PATH}"
        answer = requests.post(url, body(jpeg()), verify=str(files.authority), timeout=60)
        assert answer.json()["data"]["results"]
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(url, body(jpeg()), timeout=60)
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.post(running.url(PATH), body(jpeg()), timeout=60)
        assert handshake(running.http, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert handshake(running.http, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        with pytest.raises(ssl.SSLError, match=r"EOF|PROTOCOL_VERSION"):
            handshake(running.http, ssl.TLSVersion.TLSv1_1)
    finally:
        assert running.stop() == 0


def handshake(address: str, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that the server refuses TLS 1.1, not this client
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    host, _, port = address.partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        return wrapped.version()


def test_serve_with_a_foreign_key_ends_with_its_reason(folder: Path) -> None:
    """At start, before a model is loaded, with the way out."""
    files = tls_files(folder)
    flags = ("--tls-cert", str(files.cert), "--tls-key", str(files.foreign_key))
    done = run_cli("serve", "--backend", "null", "--http", "127.0.0.1:0", *flags)
    assert done.returncode == 2
    assert "1013 APP_ERR_COMM_INIT_FAIL: http.tls_cert" in done.stderr.replace("\n", " ")


def test_serve_with_a_certificate_still_needs_credentials_outside(folder: Path) -> None:
    """TLS says who the box is, not who may ask."""
    files = tls_files(folder)
    flags = ("--tls-cert", str(files.cert), "--tls-key", str(files.key))
    done = run_cli("serve", "--backend", "null", "--http", "0.0.0.0:0", *flags)
    assert done.returncode == 2
    assert "no credentials are configured" in done.stderr.replace("\n", " ")
