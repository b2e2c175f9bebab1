"""The header of a liveness-data file, and its seal: AES-256-GCM under a device's key.

The layout stands in proto/livegate/v1/liveness_data.proto. The magic begins with a byte that no text
has and holds both kinds of line end, so that a file which a transfer "converted" is found out.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livegate.core.errors import ErrorCode, RequestError, SetupError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\x89LGD\r\n\x1a\n"
VERSION = 1
CLEAR, AES_256_GCM = 0, 1
HEAD = struct.Struct(">8sBBHI")
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
DEVICE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A device and the 32 bytes that it seals with."""

    device_id: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a header says, and the body behind it. `device_id` is empty where nothing was sealed."""

    device_id: str
    body: bytes = field(repr=False)

    @property
    def is_sealed(self) -> bool:
        """Whether whoever made it has the device's key."""
        return bool(self.device_id)


def key_from_text(device_id: str, text: str) -> DeviceKey:
    """A key as configuration and key files write it: 64 hexadecimal digits.

    Raises:
        SetupError: CONFIG_ADD_FAIL; the message does not repeat the text.
    """
    if not DEVICE_ID.fullmatch(device_id):
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"{device_id[:80]!r} is no device id",
            hint="use 1 to 64 of A-Z a-z 0-9 . _ -",
        )
    if not HEX_KEY.fullmatch(text.strip()):
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"the key of {device_id} is not 64 hexadecimal digits",
            hint="make one with `openssl rand -hex 32`",
        )
    return DeviceKey(device_id, bytes.fromhex(text.strip()))


def wrap(body: bytes, seal: DeviceKey | None = None) -> bytes:
    """The file around a body, sealed where there is a key."""
    if seal is None:
        return HEAD.pack(MAGIC, VERSION, CLEAR, 0, len(body)) + body
    name, nonce = seal.device_id.encode(), os.urandom(NONCE_BYTES)
    head = HEAD.pack(MAGIC, VERSION, AES_256_GCM, len(name), len(body) + TAG_BYTES)
    head += name + nonce
    return head + _cipher(seal.key).encrypt(nonce, body, head)


def unwrap(content: bytes, keys: Mapping[str, bytes], *, max_bytes: int) -> Envelope:
    """The body of a file that begins with the magic.

    Raises:
        RequestError: DECODE_FAIL when it is cut short, of another version, or does not open;
            OUT_OF_RANGE above `max_bytes`, before anything is copied.
    """
    if len(content) < HEAD.size or not content.startswith(MAGIC):
        raise broken("it ends within its header")
    _, version, sealing, name_bytes, body_bytes = HEAD.unpack_from(content)
    if version != VERSION:
        raise broken(f"its version is {version}, only {VERSION} is read")
    if sealing not in (CLEAR, AES_256_GCM):
        raise broken(f"its seal is of the kind {sealing}, which nobody here knows")
    if body_bytes > max_bytes:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"the container holds {body_bytes} bytes, the limit is {max_bytes}",
            hint="send fewer or smaller pictures, or a shorter video",
        )
    start = HEAD.size + name_bytes + (NONCE_BYTES if sealing else 0)
    if start + body_bytes != len(content):
        raise broken(f"it has {len(content)} bytes, its header says {start + body_bytes}")
    if not sealing:
        return _clear(content, start, name_bytes)
    return _open(content, start, name_bytes, keys)


def _clear(content: bytes, start: int, name_bytes: int) -> Envelope:
    if name_bytes:
        raise broken("its header names a device, but nothing is sealed")
    return Envelope("", content[start:])


def _open(content: bytes, start: int, name_bytes: int, keys: Mapping[str, bytes]) -> Envelope:
    from cryptography.exceptions import InvalidTag

    name = content[HEAD.size : HEAD.size + name_bytes].decode("latin-1")
    if not DEVICE_ID.fullmatch(name):
        raise broken("its header names no device")
    if name not in keys:
        raise broken(f"there is no key for the device {name}")
    nonce = content[start - NONCE_BYTES : start]
    try:
        body = _cipher(keys[name]).decrypt(nonce, content[start:], content[:start])
    except InvalidTag:
        raise broken(
            f"the key of the device {name} does not open it: it was changed, or sealed with another key"
        ) from None
    return Envelope(name, body)


def broken(fact: str) -> RequestError:
    """A container that cannot be read."""
    return RequestError(
        ErrorCode.DECODE_FAIL,
        f"the container cannot be read: {fact}",
        hint="make it with `livegate pack` or livegate.client.pack_liveness_data",
    )


def _cipher(key: bytes) -> AESGCM:
    # Loaded at the first sealed file: a box without device keys does without OpenSSL's 6 MiB.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
