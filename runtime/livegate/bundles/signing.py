"""The private key of whoever makes bundles. It never goes into one."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from livegate.bundles.archive import Seal
from livegate.bundles.trust import CONTEXT, PublicKey
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.files import read_file

MAX_KEY_BYTES = 1 << 14
OTHERS = 0o077


class SigningKey:
    """Signs manifests."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Of an Ed25519 key."""
        self._private = private

    @property
    def public(self) -> PublicKey:
        """Its other half, for boxes."""
        return PublicKey(self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def seal(self, manifest: bytes) -> Seal:
        """A manifest with its signature."""
        return Seal(manifest, self._private.sign(CONTEXT + manifest))


def new_key(path: Path) -> tuple[SigningKey, Path]:
    """Make a key: the private half at `path`, mode 0600, the public one at `path`.pub.

    Raises:
        SetupError: EXIST when one is there, WRITE_FAIL.
    """
    private = Ed25519PrivateKey.generate()
    key, public_path = SigningKey(private), path.with_name(f"{path.name}.pub")
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for place in (path, public_path):
        if place.exists():
            raise _there(place)
    for place, content, mode in ((path, pem, 0o600), (public_path, key.public.line.encode(), 0o644)):
        try:
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
        except FileExistsError as error:
            raise _there(place) from error
        except OSError as error:
            why = f"{place} cannot be written: {error.strerror}"
            raise SetupError(ErrorCode.WRITE_FAIL, why) from error
    return key, public_path


def read_signing_key(path: Path) -> SigningKey:
    """The private key of a file that nobody else may read.

    Raises:
        RequestError: NO_EXIST, OPEN_FAIL.
        SetupError: NO_PERMISSION when others may read it, READ_FAIL when it is no such key.
    """
    content = read_file(path, MAX_KEY_BYTES)
    if path.stat().st_mode & OTHERS:
        raise SetupError(
            ErrorCode.NO_PERMISSION,
            f"others may read the private key {path}",
            hint=f"chmod 600 {path}; and make a new one if somebody else was on this machine",
        )
    try:
        private = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _no_key(path)
    return SigningKey(private)


def _there(place: Path) -> SetupError:
    why = f"{place} is there already, and a key is never written over"
    return SetupError(ErrorCode.EXIST, why, hint="choose another name")


def _no_key(path: Path) -> SetupError:
    return SetupError(
        ErrorCode.READ_FAIL,
        f"{path} is no Ed25519 key in PEM without a passphrase",
        hint="`livegate bundle --new-key FILE` makes one",
    )
