"""TLS on each face."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from pathlib import Path

import pytest
import requests

from e2e.pictures import PATH, body, jpeg
from e2e.running import run_cli, start, wait_until
from livegate.client import AsyncLivenessClient, LivenessClient
from livegate.client.answers import Answer
from livegate.core.errors import ErrorCode, LiveGateError
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


def test_grpc_with_a_certificate_answers_tls_only(folder: Path) -> None:
    """Both clients and the command line, if they trust who signed it; nobody with no TLS or 1.1."""
    files = tls_files(folder)
    flags = ("--set", f"grpc.tls_cert={files.cert}", "--set", f"grpc.tls_key={files.key}")
    running = start(folder, *flags)
    try:
        with LivenessClient(running.grpc, ca_file=files.authority) as client:
            assert client.analyze(jpeg()).results
        assert asyncio.run(analyzed(running.grpc, files.authority)).results
        told = run_cli("status", "--target", running.grpc, "--ca-file", str(files.authority))
        assert told.returncode == 0, told.stderr
        other = folder / "other"
        other.mkdir()
        stranger = tls_files(other).authority
        for ca_file in (None, stranger):
            with LivenessClient(running.grpc, ca_file=ca_file, retries=0) as client:
                with pytest.raises(LiveGateError) as refused:
                    client.analyze(jpeg())
                assert refused.value.code is ErrorCode.CONNECTION_FAILURE
        assert handshake(running.grpc, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with pytest.raises(ssl.SSLError, match=r"EOF|PROTOCOL_VERSION"):
            handshake(running.grpc, ssl.TLSVersion.TLSv1_1)
        with LivenessClient(f"unix:{running.socket}") as client:
            assert client.analyze(jpeg()).results
    finally:
        assert running.stop() == 0


async def analyzed(target: str, ca_file: Path) -> Answer:
    async with AsyncLivenessClient(target, ca_file=ca_file) as client:
        return await client.analyze(jpeg())


def test_metrics_with_a_certificate_answer_https_only(folder: Path) -> None:
    """With the same keys as the other faces."""
    files = tls_files(folder)
    flags = ("--set", f"metrics.tls_cert={files.cert}", "--set", f"metrics.tls_key={files.key}")
    running = start(folder, *flags, waits=False)
    try:
        url = f"https://{running.metrics}/livez"
        wait_until(lambda: answers(url, files.authority), running)
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"http://{running.metrics}/livez", timeout=60)
    finally:
        assert running.stop() == 0


def answers(url: str, authority: Path) -> bool:
    try:
        return requests.get(url, verify=str(authority), timeout=60).ok
    except requests.exceptions.SSLError:
        raise
    except requests.exceptions.ConnectionError:  # not yet
        return False


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


@pytest.mark.parametrize("face", ["grpc", "http", "metrics"])
def test_serve_with_a_foreign_key_ends_with_its_reason(folder: Path, face: str) -> None:
    """At start, before a model is loaded, with the way out."""
    files = tls_files(folder)
    pair = (f"{face}.tls_cert={files.cert}", f"{face}.tls_key={files.foreign_key}")
    done = run_cli(
        "serve", "--backend", "null", f"--{face}", "127.0.0.1:0", "--set", pair[0], "--set", pair[1]
    )
    assert done.returncode == 2
    assert f"1013 APP_ERR_COMM_INIT_FAIL: {face}.tls_cert" in done.stderr.replace("\n", " ")


def test_serve_with_a_certificate_still_needs_credentials_outside(folder: Path) -> None:
    """TLS says who the box is, not who may ask."""
    files = tls_files(folder)
    flags = ("--tls-cert", str(files.cert), "--tls-key", str(files.key))
    done = run_cli("serve", "--backend", "null", "--http", "0.0.0.0:0", *flags)
    assert done.returncode == 2
    assert "no credentials are configured" in done.stderr.replace("\n", " ")
