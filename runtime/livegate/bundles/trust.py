"""Whom a box believes: Ed25519 keys in a file of the installation, or one digest told beforehand.

A public key is one line, `ed25519 ` and 64 hexadecimal digits. The library that verifies signatures is
imported on use: a box without anything has it not, and believes the digest that its installer carries
(docs/decisions/0018-bundles.md).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from livegate.bundles.archive import Seal
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.files import read_file

CONTEXT = b"livegate bundle 1\n"
"""Before the bytes that are signed, so that a signature of anything else is none of a bundle."""
LINE = re.compile(r"ed25519 ([0-9a-f]{64})")
MAX_KEYS_BYTES = 1 << 16


class Trust(Protocol):
    """Decides whether a seal is believed."""

    def require(self, seal: Seal) -> None:
        """Return for a seal that is believed.

        Raises:
            SetupError: NO_PERMISSION for every other.
        """
        ...

    def worth(self, keys: Sequence[PublicKey], seal: Seal) -> tuple[PublicKey, ...]:
        """Those of some new keys that the box may believe from now on, because of this seal."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who may sign."""

    raw: bytes

    @property
    def fingerprint(self) -> str:
        """How people compare keys."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def line(self) -> str:
        """As it stands in a file."""
        return f"ed25519 {self.raw.hex()}\n"


@dataclass(frozen=True, slots=True)
class KeyTrust:
    """Believes what one of the keys has signed."""

    keys: Sequence[PublicKey]

    def require(self, seal: Seal) -> None:
        """See Trust."""
        if not self.keys:
            raise SetupError(
                ErrorCode.NO_PERMISSION,
                "this box believes no key yet",
                hint="name the public key of whoever makes the bundles: --key FILE",
            )
        if not any(_is_signed_by(key, seal) for key in self.keys):
            known = ", ".join(key.fingerprint[:16] for key in self.keys)
            raise SetupError(
                ErrorCode.NO_PERMISSION,
                f"the bundle is not signed by a key that this box believes ({known})",
                hint="it was changed, or made by somebody else; --key FILE adds a key",
            )

    def worth(self, keys: Sequence[PublicKey], seal: Seal) -> tuple[PublicKey, ...]:
        """Whoever signed it; a file may name others, too."""
        return tuple(key for key in keys if _is_signed_by(key, seal))


@dataclass(frozen=True, slots=True)
class DigestTrust:
    """Believes the one bundle whose seal has this digest."""

    digest: str

    def require(self, seal: Seal) -> None:
        """See Trust."""
        if not hmac.compare_digest(seal.digest, self.digest):
            raise SetupError(
                ErrorCode.NO_PERMISSION,
                "the bundle is not the one that this installer was made for, or it was changed",
                hint="copy both files onto the medium again",
            )

    def worth(self, keys: Sequence[PublicKey], seal: Seal) -> tuple[PublicKey, ...]:
        """All: they came with the digest that was believed."""
        return tuple(keys)


def _is_signed_by(key: PublicKey, seal: Seal) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(seal.signature, CONTEXT + seal.manifest)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_keys(path: Path) -> tuple[PublicKey, ...]:
    """The public keys of a file, one a line; lines that begin with # are remarks.

    Raises:
        RequestError: NO_EXIST, OPEN_FAIL.
        SetupError: READ_FAIL for anything else in it.
    """
    lines = read_file(path, MAX_KEYS_BYTES).decode("utf-8-sig", "replace").splitlines()
    found = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise SetupError(
                ErrorCode.READ_FAIL,
                f"{path} holds a line that is no public key",
                hint="a line is `ed25519 ` and 64 hexadecimal digits, as `livegate bundle --new-key` "
                "writes it into FILE.pub",
            )
        found.append(PublicKey(bytes.fromhex(match[1])))
    return tuple(found)
