"""TLS of a face and of a client: PEM files that are right, and nothing older than TLS 1.2."""

from __future__ import annotations

import ssl
from pathlib import Path

from livegate.core.config import Config, Face, GrpcConfig
from livegate.core.errors import ErrorCode, SetupError


def server_context(name: str, config: Face) -> ssl.SSLContext | None:
    """What the face of this name speaks TLS with; None when neither file is configured.

    Raises:
        SetupError: CONFIG_ADD_FAIL for one file without the other, NO_EXIST and OPEN_FAIL for a file
            that is not to be had, INIT_FAIL for files that do not belong together.
    """
    cert, key = config.tls_cert, config.tls_key
    if not cert and not key:
        return None
    if not (cert and key):
        given, missing = ("tls_cert", "tls_key") if cert else ("tls_key", "tls_cert")
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"{name}.{given} is set but {name}.{missing} is not",
            hint="set both, or neither",
        )
    for setting, path in (("tls_cert", cert), ("tls_key", key)):
        _content(f"{name}.{setting}", Path(path).expanduser())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(Path(cert).expanduser(), Path(key).expanduser(), _no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"{name}.tls_cert {cert} and {name}.tls_key {key} do not work together: {_reason(error)}",
            hint="give the PEM chain, server certificate first, and its own key without a passphrase",
        ) from error
    return context


def grpc_files(config: GrpcConfig) -> tuple[bytes, bytes] | None:
    """(key, certificate chain) as PEM: gRPC takes no context. None when neither file is configured.

    Raises:
        SetupError: as server_context; UNREALIZED for a certificate that gRPC's clients do not take.
    """
    if server_context("grpc", config) is None:
        return None
    key = _content("grpc.tls_key", Path(config.tls_key).expanduser())
    cert = _content("grpc.tls_cert", Path(config.tls_cert).expanduser())
    if _is_edwards(cert):
        raise SetupError(
            ErrorCode.UNREALIZED,
            f"grpc.tls_cert {config.tls_cert} has an Edwards key, which gRPC's clients do not take",
            hint="use a certificate with an RSA or EC key",
        )
    return key, cert


def _is_edwards(cert: bytes) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.x509 import load_pem_x509_certificate

    try:
        key = load_pem_x509_certificate(cert).public_key()
    except (ValueError, UnsupportedAlgorithm):  # it is stricter than OpenSSL, which took it
        return False
    return isinstance(key, Ed25519PublicKey | Ed448PublicKey)


def require_tls(config: Config) -> None:
    """Raise what the files of a face would keep a start from.

    Raises:
        SetupError: as server_context and grpc_files.
    """
    server_context("http", config.http)
    server_context("metrics", config.metrics)
    grpc_files(config.grpc)


def authorities(path: Path) -> bytes:
    """The certificates in a PEM file, which a client trusts.

    Raises:
        SetupError: NO_EXIST and OPEN_FAIL for a file that is not to be had, INIT_FAIL for one without
            a certificate.
    """
    content = _content("ca_file", path.expanduser())
    try:
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"ca_file: {path} holds no certificate that can be read: {_reason(error)}",
            hint="give the PEM file of whoever signed the server's certificate",
        ) from error
    return content


def _content(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SetupError(
            ErrorCode.NO_EXIST, f"{name}: there is no file {path}", hint=f"set {name} to a PEM file"
        ) from error
    except OSError as error:
        raise SetupError(
            ErrorCode.OPEN_FAIL,
            f"{name}: {path} cannot be read: {error.strerror}",
            hint="let the server's user read it",
        ) from error


def _no_passphrase() -> str:
    """OpenSSL would ask the terminal otherwise, and wait."""
    raise ValueError("the key has a passphrase")


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error).lower().replace("_", " ")
