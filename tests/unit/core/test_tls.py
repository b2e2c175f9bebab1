"""The files of a face and of a client, right and wrong."""

from __future__ import annotations

import ssl
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from livegate.core.config import GrpcConfig, HttpConfig
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.tls import authorities, grpc_files, server_context
from tls_kit import TlsFiles, tls_files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_files(tmp_path_factory.mktemp("tls"))


def test_server_context_without_files_is_none() -> None:
    """Plain HTTP stays the default."""
    assert server_context("http", HttpConfig()) is None


def test_server_context_refuses_old_protocols(files: TlsFiles) -> None:
    """TLS 1.2 at least."""
    context = server_context("http", HttpConfig(tls_cert=str(files.cert), tls_key=str(files.key)))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def complaint(cert: Path | str, key: Path | str) -> SetupError:
    with pytest.raises(SetupError) as caught:
        server_context("http", HttpConfig(tls_cert=str(cert), tls_key=str(key)))
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


def test_authorities_are_a_pem_file_of_certificates(files: TlsFiles, tmp_path: Path) -> None:
    """What the client trusts, whole; anything else is refused before somebody dials."""
    assert authorities(files.authority) == files.authority.read_bytes()
    (tmp_path / "text.pem").write_text("trust me")
    (tmp_path / "binary.pem").write_bytes(bytes(range(256)))
    for path, code in (
        (tmp_path / "text.pem", ErrorCode.INIT_FAIL),
        (tmp_path / "binary.pem", ErrorCode.INIT_FAIL),
        (files.key, ErrorCode.INIT_FAIL),
        (tmp_path / "no.pem", ErrorCode.NO_EXIST),
        (tmp_path, ErrorCode.OPEN_FAIL),
    ):
        with pytest.raises(SetupError) as caught:
            authorities(path)
        assert caught.value.code is code
        assert str(path) in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_grpc_takes_the_keys_that_its_clients_take(tmp_path: Path, kind: str) -> None:
    """A handshake that fails for the kind of key tells neither side why."""
    made: dict[str, Any] = {
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    key = made[kind]()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "box")])
    now = datetime.now(timezone.utc)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .sign(key, None if kind == "ed25519" else hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for file, content in (("cert.pem", cert), ("key.pem", pem)):
        (tmp_path / file).write_bytes(content)
    config = GrpcConfig(tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))
    assert server_context("grpc", config)
    if kind != "ed25519":
        assert grpc_files(config) == (pem, cert)
        return
    with pytest.raises(SetupError) as caught:
        grpc_files(config)
    assert caught.value.code is ErrorCode.UNREALIZED


def test_grpc_without_files_has_none() -> None:
    """Plain stays the default."""
    assert grpc_files(GrpcConfig()) is None
