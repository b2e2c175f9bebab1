"""Certificates of an authority of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class TlsFiles:
    """Where they lie."""

    authority: Path
    cert: Path
    key: Path
    foreign_key: Path


def tls_files(folder: Path) -> TlsFiles:
    """An authority, a certificate for this machine with its key, and a key of another certificate."""
    authority = trustme.CA()
    own, other = authority.issue_cert("127.0.0.1", "localhost"), authority.issue_cert("other.example")
    files = TlsFiles(*(folder / name for name in ("ca.pem", "cert.pem", "key.pem", "foreign.pem")))
    authority.cert_pem.write_to_path(files.authority)
    files.cert.write_bytes(b"".join(blob.bytes() for blob in own.cert_chain_pems))
    own.private_key_pem.write_to_path(files.key)
    other.private_key_pem.write_to_path(files.foreign_key)
    return files
