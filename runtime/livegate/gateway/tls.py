"""TLS for the HTTP face: a certificate chain, its key, and nothing older than TLS 1.2."""

from __future__ import annotations

import ssl
from pathlib import Path

from livegate.core.config import HttpConfig
from livegate.core.errors import ErrorCode, SetupError


def server_context(config: HttpConfig) -> ssl.SSLContext | None:
    """What the HTTP face speaks TLS with; None when neither file is configured.

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
            f"http.{given} is set but http.{missing} is not",
            hint="set both (--tls-cert FILE --tls-key FILE), or neither",
        )
    for name, path in (("tls_cert", cert), ("tls_key", key)):
        _require_readable(f"http.{name}", Path(path).expanduser())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(Path(cert).expanduser(), Path(key).expanduser(), _no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"http.tls_cert {cert} and http.tls_key {key} do not work together: {_reason(error)}",
            hint="give the PEM chain, server certificate first, and its own key without a passphrase",
        ) from error
    return context


def _require_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
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
