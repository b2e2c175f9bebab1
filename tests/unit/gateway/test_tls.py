"""The certificate and the key of the HTTP face, right and wrong."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from livegate.core.config import HttpConfig
from livegate.core.errors import ErrorCode, SetupError
from livegate.gateway.tls import server_context
from tls_kit import TlsFiles, tls_files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_files(tmp_path_factory.mktemp("tls"))


def test_server_context_without_files_is_none() -> None:
    """Plain HTTP stays the default."""
    assert server_context(HttpConfig()) is None


def test_server_context_refuses_old_protocols(files: TlsFiles) -> None:
    """TLS 1.2 at least."""
    context = server_context(HttpConfig(tls_cert=str(files.cert), tls_key=str(files.key)))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def complaint(cert: Path | str, key: Path | str) -> SetupError:
    with pytest.raises(SetupError) as caught:
        server_context(HttpConfig(tls_cert=str(cert), tls_key=str(key)))
    assert caught.value.hint
    return caught.value


def test_server_context_one_file_alone_is_refused(files: TlsFiles) -> None:
    """Half a configuration would silently serve without TLS."""
    for cert, key in ((files.cert, ""), ("", files.key)):
        assert complaint(cert, key).code is ErrorCode.CONFIG_ADD_FAIL


def test_server_context_missing_or_unreadable_file_is_named(files: TlsFiles, tmp_path: Path) -> None:
    """Which key of the configuration, which path, and why."""
    missing = complaint(files.cert, tmp_path / "no.pem")
    assert missing.code is ErrorCode.NO_EXIST
    assert f"http.tls_key: there is no file {tmp_path / 'no.pem'}" in missing.message
    unreadable = complaint(tmp_path, files.key)
    assert unreadable.code is ErrorCode.OPEN_FAIL
    assert "http.tls_cert" in unreadable.message
    assert "directory" in unreadable.message


def test_server_context_files_that_do_not_belong_together_are_refused(
    files: TlsFiles, tmp_path: Path
) -> None:
    """Another certificate's key, files swapped, and text that is no PEM."""
    (tmp_path / "text.pem").write_text("not a key")
    pairs = [
        (files.cert, files.foreign_key),
        (files.key, files.cert),
        (files.cert, tmp_path / "text.pem"),
    ]
    for cert, key in pairs:
        error = complaint(cert, key)
        assert error.code is ErrorCode.INIT_FAIL
        assert str(key) in error.message


def test_server_context_key_with_passphrase_is_refused_without_asking(
    files: TlsFiles, tmp_path: Path
) -> None:
    """A server has nobody who could type it."""
    locked = tmp_path / "locked.pem"
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", files.key, "-out", locked]
    made = files.key.read_text()
    if "RSA" not in made:
        command[1] = "ec"
    try:
        subprocess.run([str(c) for c in command], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl command that can lock the key")
    assert "passphrase" in complaint(files.cert, locked).message
