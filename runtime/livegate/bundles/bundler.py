"""Makes a bundle: wheels for the target, models, configuration; then signs and reads it back."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from livegate.bundles.archive import CHUNK_BYTES, read_members, read_seal, write_bundle
from livegate.bundles.bootstrap import Ticket
from livegate.bundles.companion import write_installer
from livegate.bundles.manifest import CONFIG, BundleManifest, Member, Target, manifest_from_bytes
from livegate.bundles.signing import SigningKey
from livegate.bundles.trust import KeyTrust
from livegate.bundles.wheels import Resolver, Wheel, gather
from livegate.core.errors import ErrorCode, SetupError
from livegate.manifests.schema import Manifest
from livegate.manifests.store import ModelStore, cache_dir

COMPILED_PART = 1.25
"""Installed, a package takes this much of its unpacked size: Python compiles it."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """What goes into a bundle, and for which boxes."""

    target: Target
    requirement: str
    """LiveGate itself: `livegate==1.2` or `livegate @ file:///…`, with the extras in brackets."""
    extras: tuple[str, ...]
    more: tuple[str, ...]
    """Requirements beside it."""
    config: bytes | None
    has_secrets: bool
    sees_system_packages: bool
    models: tuple[Manifest, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """What was written."""

    bundle: Path
    installer: Path
    installer_sha256: str
    manifest: BundleManifest


class Bundler:
    """Puts bundles together in a folder of its own, which goes away."""

    def __init__(self, resolver: Resolver, store: ModelStore, key: SigningKey, tell: Tell) -> None:
        """With what finds wheels and models, and signs."""
        self._resolver = resolver
        self._store = store
        self._key = key
        self._tell = tell

    def make(self, plan: BundlePlan, out: Path) -> Made:
        """Write the bundle and its installer into the folder `out`.

        Raises:
            SetupError: a wheel or a model that is not to be had; WRITE_FAIL.
        """
        with tempfile.TemporaryDirectory(prefix="livegate-bundle-") as folder:
            content = Path(folder)
            wheels = self._gather_wheels(plan, content / "wheels")
            models = self._copy_models(plan.models, content / "models")
            if plan.config is not None:
                (content / CONFIG).parent.mkdir()
                (content / CONFIG).write_bytes(plan.config)
            version = next(wheel.release for wheel in wheels if wheel.project == "livegate")
            manifest = BundleManifest(
                version=version,
                target=plan.target,
                extras=plan.extras,
                models=models,
                made_s=int(time.time()),
                unpacked_bytes=_unpacked(content / "wheels"),
                has_secrets=plan.has_secrets,
                sees_system_packages=plan.sees_system_packages,
                signer=self._key.public.fingerprint,
                members=tuple(_members(content)),
            )
            try:
                return self._write(manifest, content, out)
            except OSError as error:
                why = f"{error.filename or out} cannot be written: {error.strerror}"
                raise SetupError(ErrorCode.WRITE_FAIL, why, hint="free some space") from error

    def _gather_wheels(self, plan: BundlePlan, folder: Path) -> list[Wheel]:
        self._tell(f"resolving for {plan.target}")
        wheels = self._resolver.resolve((plan.requirement, *plan.more, "pip"))
        gather(wheels, folder, cache_dir() / "wheels", self._tell)
        own = next(wheel for wheel in wheels if wheel.project == "livegate")
        extras = f"[{','.join(plan.extras)}]" if plan.extras else ""
        pinned = f"livegate{extras}=={own.release}"
        self._resolver.prove_closure((pinned, *plan.more, "pip"), folder, wheels)
        self._tell(f"{len(wheels)} wheels, which need nothing else")
        return wheels

    def _copy_models(self, manifests: Sequence[Manifest], folder: Path) -> tuple[str, ...]:
        """Copy the files that the package itself does not hold; returns the ids of all."""
        for manifest in manifests:
            if self._store.is_shipped(manifest.id):
                continue
            (folder / manifest.id).mkdir(parents=True)
            for file in manifest.files:
                (folder / manifest.id / file.name).write_bytes(self._store.read(file))
        return tuple(sorted(manifest.id for manifest in manifests))

    def _write(self, manifest: BundleManifest, content: Path, out: Path) -> Made:
        target = manifest.target
        stem = f"livegate-{manifest.version}-{target.machine}-cp{target.python.replace('.', '')}"
        bundle, installer = out / f"{stem}.bundle", out / f"{stem}.pyz"
        out.mkdir(parents=True, exist_ok=True)
        seal = self._key.seal(manifest.to_bytes())
        sources = ((member, content / member.path) for member in manifest.members)
        with _replaced(bundle) as part:
            with part.open("wb") as stream:
                write_bundle(stream, seal, sources)
            self._read_back(part)
        with _replaced(installer) as part:
            write_installer(part, Ticket(bundle.name, seal.digest, self._key.public))
            installer_sha256 = digest_of(part)
        return Made(bundle, installer, installer_sha256, manifest)

    def _read_back(self, path: Path) -> None:
        """Verify what was written, as a box does."""
        with path.open("rb") as stream:
            seal = read_seal(stream)
            KeyTrust((self._key.public,)).require(seal)
            read_members(stream, manifest_from_bytes(seal.manifest), _nowhere)


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when it is whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        handle = os.open(part, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _nowhere(member: Member) -> Iterator[BinaryIO]:
    with Path(os.devnull).open("wb") as sink:
        yield sink


def _members(content: Path) -> Iterator[Member]:
    files = sorted(path.relative_to(content).as_posix() for path in content.rglob("*") if path.is_file())
    for name in files:
        yield Member(name, (content / name).stat().st_size, digest_of(content / name))


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            sha.update(chunk)
    return sha.hexdigest()


def _unpacked(wheels: Path) -> int:
    total = 0
    for path in wheels.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            total += sum(entry.file_size for entry in wheel.infolist())
    return int(total * COMPILED_PART)
