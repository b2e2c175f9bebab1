"""What a bundle holds: every member with its size and digest, and the platform that it is for.

Its bytes are what is signed, so they have one form: JSON with sorted keys, without spaces. It is read
only after the signature (or a digest that was told beforehand) has been found right, on boxes that have
nothing but Python's own library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from livegate.core.errors import ErrorCode, SetupError

FORMAT = 1
MAX_MANIFEST_BYTES = 1 << 20
MAX_MEMBERS = 512
MAX_BYTES = 8 << 30
"""Of all members together; a size in a tar header ends there."""
MAX_PATH = 250
CONFIG = "config/livegate.toml"
PATHS = re.compile(
    r"wheels/[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl"
    r"|models/[a-z0-9_]+/[A-Za-z0-9][A-Za-z0-9._-]*"
    r"|config/livegate\.toml"
)
"""All that a bundle may hold: no part of a path can be empty, begin with a dot or lead elsewhere."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Target:
    """The boxes that a bundle is for."""

    machine: str
    python: str
    glibc: str
    """The least release that the wheels run with."""

    def __str__(self) -> str:
        """How messages name it."""
        return f"{self.machine}, Python {self.python}, glibc {self.glibc} or newer"


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """All of it."""

    version: str
    target: Target
    extras: tuple[str, ...]
    models: tuple[str, ...]
    made_s: int
    """When it was made, in seconds since 1970: a box takes no older one by mistake."""
    unpacked_bytes: int
    """What the wheels take when they are installed."""
    has_secrets: bool
    sees_system_packages: bool
    """Whether the environment has the box's own packages: TensorRT of a JetPack is one."""
    signer: str
    """Fingerprint of the public key, for messages; what counts is the signature."""
    members: tuple[Member, ...]

    def to_bytes(self) -> bytes:
        """The bytes that are signed."""
        tables = {"format": FORMAT, **asdict(self)}
        return json.dumps(tables, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    @property
    def member_bytes(self) -> int:
        """The sizes of all members."""
        return sum(member.size for member in self.members)

    def wheels(self) -> Iterator[Member]:
        """The members that are wheels."""
        return (member for member in self.members if member.path.startswith("wheels/"))


def manifest_from_bytes(content: bytes) -> BundleManifest:
    """Read a manifest whose bytes have been found right.

    Raises:
        SetupError: READ_FAIL for one that is not what `to_bytes` writes, or of a newer format;
            OUT_OF_RANGE above a limit.
    """
    try:
        tables = json.loads(content)
        if not isinstance(tables, dict) or tables.pop("format", None) != FORMAT:
            raise SetupError(
                ErrorCode.READ_FAIL,
                f"the bundle is not of format {FORMAT}",
                hint="install it with the installer that lies beside it",
            )
        manifest = _from_tables(tables)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused("it cannot be read") from error
    _require_limits(manifest)
    _require_members(manifest)
    if manifest.to_bytes() != content:
        raise _refused("it is not in its one form")
    return manifest


def _from_tables(tables: dict[str, Any]) -> BundleManifest:
    """What is unknown is left out here, and found when the bytes are compared."""
    return BundleManifest(
        version=_text(tables["version"]),
        target=Target(*(_text(tables["target"][name]) for name in ("machine", "python", "glibc"))),
        extras=tuple(_text(one) for one in tables["extras"]),
        models=tuple(_text(one) for one in tables["models"]),
        made_s=_number(tables["made_s"]),
        unpacked_bytes=_number(tables["unpacked_bytes"]),
        has_secrets=tables["has_secrets"] is True,
        sees_system_packages=tables["sees_system_packages"] is True,
        signer=_text(tables["signer"]),
        members=tuple(
            Member(_text(one["path"]), _number(one["size"]), _text(one["sha256"]))
            for one in tables["members"]
        ),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text is missing")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("a number is missing")
    return value


def _require_limits(manifest: BundleManifest) -> None:
    for what, value, limit in (
        ("members", len(manifest.members), MAX_MEMBERS),
        ("bytes in its members", manifest.member_bytes, MAX_BYTES),
        ("bytes when it is installed", manifest.unpacked_bytes, 4 * MAX_BYTES),
    ):
        if value > limit:
            raise SetupError(
                ErrorCode.OUT_OF_RANGE, f"the bundle has {value} {what}, the limit is {limit}"
            )


def _require_members(manifest: BundleManifest) -> None:
    paths = [member.path for member in manifest.members]
    if paths != sorted(set(paths)):
        raise _refused("its members are not sorted, or one is there twice")
    for member in manifest.members:
        if not PATHS.fullmatch(member.path) or len(member.path) > MAX_PATH:
            raise _refused(f"a bundle has no place for {member.path!r}")
        if not re.fullmatch("[0-9a-f]{64}", member.sha256):
            raise _refused(f"{member.path} has no digest")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+!]*", manifest.version):
        raise _refused(f"{manifest.version!r} is no version")
    if not re.fullmatch(r"3\.\d{1,3}", manifest.target.python):
        raise _refused(f"{manifest.target.python!r} is no release of Python")
    if not re.fullmatch(r"2\.\d{1,3}", manifest.target.glibc):
        raise _refused(f"{manifest.target.glibc!r} is no release of glibc")


def _refused(why: str) -> SetupError:
    return SetupError(
        ErrorCode.READ_FAIL,
        f"the bundle's manifest is refused: {why}",
        hint="make the bundle anew with `livegate bundle`",
    )
