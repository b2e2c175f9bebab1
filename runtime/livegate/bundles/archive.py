"""The file of a bundle: a tar archive of which every byte follows from the manifest.

manifest.json, its signature, the members in the manifest's order, two empty blocks, nothing else. A
reader does not believe a tar header: it writes the header that must stand there and compares. So no
byte can differ, in a header, between the files or behind them, and links, devices, absolute names or
further members cannot even be said. `tar -tvf` still shows what is inside.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from livegate.bundles.manifest import MAX_MANIFEST_BYTES, BundleManifest, Member
from livegate.core.errors import ErrorCode, SetupError

BLOCK_BYTES = 512
CHUNK_BYTES = 1 << 20
SIGNATURE_BYTES = 64
NAME_BYTES = 100
MANIFEST_NAME, SIGNATURE_NAME, LONG_NAME = "manifest.json", "manifest.sig", "././@LongLink"
END = bytes(2 * BLOCK_BYTES)
Sink = Callable[[Member], AbstractContextManager[BinaryIO]]
"""Opens the place of a member."""


@dataclass(frozen=True, slots=True)
class Seal:
    """The bytes of a manifest and their signature, both not yet believed."""

    manifest: bytes
    signature: bytes

    @property
    def digest(self) -> str:
        """The sha256 of both: all other bytes of the bundle follow from them."""
        return hashlib.sha256(self.manifest + self.signature).hexdigest()


def header(path: str, size: int, kind: bytes = b"0") -> bytes:
    """The tar header (GNU) of a file that nobody owns; a long path has a block of its own before it.

    Source: POSIX.1-1988 ustar, and the `L` entries of GNU tar.
    """
    name = path.encode()
    before = b""
    if len(name) > NAME_BYTES:
        before = header(LONG_NAME, len(name) + 1, b"L") + padded(name + b"\0")
    fields = (
        *(name[:NAME_BYTES].ljust(NAME_BYTES, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0"),
        *(b"%011o\0" % size, b"00000000000\0", b"        ", kind, bytes(100), b"ustar  \0", bytes(247)),
    )
    block = b"".join(fields)
    checksum = b"%06o\0 " % sum(block)
    return before + block[:148] + checksum + block[156:]


def padded(content: bytes) -> bytes:
    """The bytes, filled up to whole blocks."""
    return content + bytes(-len(content) % BLOCK_BYTES)


def write_bundle(out: BinaryIO, seal: Seal, sources: Iterable[tuple[Member, Path]]) -> None:
    """Write the archive; `sources` are the manifest's members, in its order, and where they lie.

    Raises:
        SetupError: READ_FAIL for a source that is not what the manifest says.
        OSError: it cannot be written.
    """
    for name, content in ((MANIFEST_NAME, seal.manifest), (SIGNATURE_NAME, seal.signature)):
        out.write(header(name, len(content)) + padded(content))
    for member, path in sources:
        out.write(header(member.path, member.size))
        with path.open("rb") as stream:
            _copy(stream, out, member)
        out.write(bytes(-member.size % BLOCK_BYTES))
    out.write(END)


def read_seal(stream: BinaryIO) -> Seal:
    """The manifest and its signature from the beginning of a bundle.

    Raises:
        SetupError: READ_FAIL for what is no bundle, or is damaged here; OUT_OF_RANGE.
    """
    first = _exactly(stream, BLOCK_BYTES, "it is shorter than one block")
    try:
        size = int(first[124:135], 8)
    except ValueError:
        size = -1
    if size < 0 or first != header(MANIFEST_NAME, size):
        raise damaged("it does not begin with a manifest")
    if size > MAX_MANIFEST_BYTES:
        raise SetupError(
            ErrorCode.OUT_OF_RANGE,
            f"the bundle's manifest has {size} bytes, the limit is {MAX_MANIFEST_BYTES}",
        )
    manifest = _content(stream, size, MANIFEST_NAME)
    _expect(stream, header(SIGNATURE_NAME, SIGNATURE_BYTES), f"before {SIGNATURE_NAME}")
    return Seal(manifest, _content(stream, SIGNATURE_BYTES, SIGNATURE_NAME))


def read_members(stream: BinaryIO, manifest: BundleManifest, sink: Sink) -> None:
    """Hand every member to its place; what is there counts only when this returns.

    Raises:
        SetupError: READ_FAIL at the first byte that is not what the manifest asks for.
        OSError: from a place that cannot be written.
    """
    for member in manifest.members:
        _expect(stream, header(member.path, member.size), f"before {member.path}")
        with sink(member) as place:
            _copy(stream, place, member)
        _expect(stream, bytes(-member.size % BLOCK_BYTES), f"behind {member.path}")
    _expect(stream, END, "at its end")
    if stream.read(1):
        raise damaged("something follows behind its end")


def require_length(stream: BinaryIO, seal: Seal, manifest: BundleManifest) -> None:
    """Hold, before anything is copied, that the file has the length that its manifest asks for.

    Raises:
        SetupError: READ_FAIL.
    """
    sizes = [(member.path, member.size) for member in manifest.members]
    sizes += [(MANIFEST_NAME, len(seal.manifest)), (SIGNATURE_NAME, len(seal.signature))]
    expected = len(END) + sum(
        len(header(path, size)) + size + (-size % BLOCK_BYTES) for path, size in sizes
    )
    found = os.fstat(stream.fileno()).st_size
    if found != expected:
        raise damaged(f"it has {found} bytes, its manifest asks for {expected}")


def damaged(what: str) -> SetupError:
    """The error for bytes that are not what they must be."""
    return SetupError(
        ErrorCode.READ_FAIL,
        f"the bundle is damaged or was changed: {what}",
        hint="nothing of it is used; copy it onto the medium again",
    )


def _copy(stream: BinaryIO, place: BinaryIO, member: Member) -> None:
    sha, left = hashlib.sha256(), member.size
    while left:
        chunk = _read(stream, min(left, CHUNK_BYTES))
        if not chunk:
            raise damaged(f"it ends inside {member.path}")
        sha.update(chunk)
        place.write(chunk)
        left -= len(chunk)
    if sha.hexdigest() != member.sha256:
        raise damaged(f"{member.path} has another sha256 than its manifest says")


def _content(stream: BinaryIO, size: int, name: str) -> bytes:
    content = _exactly(stream, size, f"it ends inside {name}")
    _expect(stream, bytes(-size % BLOCK_BYTES), f"behind {name}")
    return content


def _expect(stream: BinaryIO, expected: bytes, where: str) -> None:
    if _exactly(stream, len(expected), f"it ends {where}") != expected:
        raise damaged(f"other bytes {where} than there must be")


def _exactly(stream: BinaryIO, size: int, complaint: str) -> bytes:
    content = _read(stream, size)
    if len(content) != size:
        raise damaged(complaint)
    return content


def _read(stream: BinaryIO, size: int) -> bytes:
    """From a medium that may fail.

    Raises:
        SetupError: READ_FAIL.
    """
    try:
        return stream.read(size)
    except OSError as error:
        raise damaged(f"it cannot be read ({error.strerror})") from error
