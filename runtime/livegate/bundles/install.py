"""From a bundle to the version that serves: believed, fitting, copied, tried, then switched to.

Each file is hashed while it is copied, from the one stream that is read once: what lies on the medium
afterwards does not matter. Until the switch, nothing that serves is touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from livegate.bundles.archive import Seal, read_members, read_seal, require_length
from livegate.bundles.box import box_of, real_python
from livegate.bundles.environment import make_environment, prove, write_launcher
from livegate.bundles.installation import RECORD, Installation, remove_tree, sync_folder, writing
from livegate.bundles.manifest import BundleManifest, Member, manifest_from_bytes
from livegate.bundles.trust import PublicKey, Trust
from livegate.core.errors import ErrorCode, RequestError, SetupError

SPARE_BYTES = 64 << 20
"""What must stay free on the disk."""
SERVICE_GROUP = "livegate"
"""Of docs/deploy.md: it may read a configuration with credentials, where there is such a group."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be installed, and how."""

    bundle: Path
    trust: Trust
    python: str
    new_keys: tuple[PublicKey, ...] = ()
    """Believed from now on, once they have been found right."""
    allows_older: bool = False


def install(order: Order, place: Installation, tell: Tell) -> str:
    """Install a bundle and let it serve.

    Returns:
        The version's id.

    Raises:
        SetupError: what is wrong with the bundle, the box or the disk; what served still does.
    """
    with place.alone():
        place.remove_unfinished()
        with _opened(order.bundle) as stream:
            seal = read_seal(stream)
            order.trust.require(seal)
            manifest = manifest_from_bytes(seal.manifest)
            version = version_id(seal, manifest)
            tell(f"LiveGate {manifest.version} for {manifest.target}, {manifest.member_bytes >> 20} MB")
            python = real_python(order.python)
            box_of(python).require(manifest.target)
            require_length(stream, seal, manifest)
            if not order.allows_older:
                _require_not_older(manifest, place)

            def build() -> None:
                _require_space(manifest, place)
                _build(stream, seal, manifest, place, version, python, tell)

            if place.is_finished(version):
                _prove_or_build(build, place, version, tell)
            else:
                build()
        if new_keys := order.trust.worth(order.new_keys, seal):
            place.add_keys(new_keys)
        if len(new_keys) < len(order.new_keys):
            tell("a key that has not signed this bundle was not added")
        place.switch(version)
        with contextlib.suppress(SetupError):  # the new one serves; the next installer tries again
            place.prune()
    return version


def version_id(seal: Seal, manifest: BundleManifest) -> str:
    """The name of a version's folder: the same bundle has the same."""
    return f"{manifest.version}-{hashlib.sha256(seal.manifest).hexdigest()[:12]}"


@contextlib.contextmanager
def _opened(bundle: Path) -> Iterator[BinaryIO]:
    try:
        stream = bundle.open("rb")
    except FileNotFoundError as error:
        raise RequestError(ErrorCode.NO_EXIST, f"there is no file {bundle}") from error
    except OSError as error:
        why = f"{bundle} cannot be opened: {error.strerror}"
        raise RequestError(ErrorCode.OPEN_FAIL, why) from error
    with stream:
        yield stream


def _prove_or_build(build: Callable[[], None], place: Installation, version: str, tell: Tell) -> None:
    """Try a version that is here already; one that fails is put aside and made anew.

    Raises:
        SetupError: INIT_FAIL when it fails and serves: what serves is not touched.
    """
    try:
        _prove(place, version, tell)
        return
    except SetupError as error:
        if version == place.current() or place.is_in_use(version):
            raise SetupError(
                error.code,
                f"{version} serves already, and fails when it is tried again: {error.message}",
                hint="if its files are damaged: stop the service, move "
                f"{place.folder(version)} away and install again",
            ) from error
    tell("it is here already, but does not start: it is made anew")
    folder, aside = place.folder(version), place.folder(f"{version}.before")
    with writing(folder):
        folder.rename(aside)
    try:
        build()
    except BaseException:
        with contextlib.suppress(OSError):
            aside.rename(folder)  # the configuration may be at fault, and not the files
        raise
    with contextlib.suppress(OSError):
        remove_tree(aside)


def _build(
    stream: BinaryIO,
    seal: Seal,
    manifest: BundleManifest,
    place: Installation,
    version: str,
    python: str,
    tell: Tell,
) -> None:
    """Make a finished version; one that fails leaves nothing."""
    folder = place.folder(version)
    _make_folder(folder)
    try:
        with writing(folder):
            tell("the bundle is copied and verified")
            read_members(stream, manifest, Copies(folder, has_secrets=manifest.has_secrets))
        tell("the wheels are installed")
        wheels = [folder / member.path for member in manifest.wheels()]
        make_environment(
            *(folder, python, wheels, place.lock), sees_system_packages=manifest.sees_system_packages
        )
        with writing(folder):
            shutil.rmtree(folder / "wheels")
            write_launcher(folder)
            sync_folder(place.versions)
        _prove(place, version, tell)
        place.finish(version, seal.manifest)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(folder)
        raise


def _make_folder(folder: Path) -> None:
    """A folder of its own; one that is there is what `current` names, and is not touched."""
    try:
        with writing(folder):
            folder.mkdir(mode=0o755)
    except SetupError as error:
        if not isinstance(error.__cause__, FileExistsError):
            raise
        raise SetupError(
            ErrorCode.EXIST,
            f"{folder} serves and has lost its record ({RECORD})",
            hint=f"stop the service, remove {folder} and install again, or install another version",
        ) from error


def _prove(place: Installation, version: str, tell: Tell) -> None:
    tell("the new version is tried")
    prove(place.folder(version) / "bin" / "livegate", place.lock)


@dataclass(frozen=True, slots=True)
class Copies:
    """The places of members below a folder."""

    folder: Path
    has_secrets: bool

    @contextlib.contextmanager
    def __call__(self, member: Member) -> Iterator[BinaryIO]:
        """A new file that is on the disk when it is closed."""
        path = self.folder / member.path
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        is_secret = self.has_secrets and member.path.startswith("config/")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o640 if is_secret else 0o644), "wb") as out:
            if is_secret:
                with contextlib.suppress(LookupError, PermissionError):  # else its owner's alone
                    shutil.chown(path, group=SERVICE_GROUP)
            yield out
            out.flush()
            os.fsync(out.fileno())


def _require_not_older(manifest: BundleManifest, place: Installation) -> None:
    current = place.current()
    if current is None:
        return
    try:
        made_s = place.manifest(current).made_s
    except SetupError as error:
        raise SetupError(
            error.code,
            f"the record of the version that serves, {place.folder(current) / RECORD}, cannot be read",
            hint="--older installs this bundle all the same",
        ) from error
    if manifest.made_s < made_s:
        raise SetupError(
            ErrorCode.EXIST,
            f"the bundle is older than the version that serves ({current}), by "
            f"{(made_s - manifest.made_s) // 3600} hours",
            hint="`livegate rollback` goes back to what was here; --older takes this one all the same",
        )


def _require_space(manifest: BundleManifest, place: Installation) -> None:
    needed = manifest.member_bytes + manifest.unpacked_bytes + SPARE_BYTES
    with writing(place.root):
        free = shutil.disk_usage(place.root).free
    if free < needed:
        raise SetupError(
            ErrorCode.WRITE_FAIL,
            f"{place.root} has {free >> 20} MiB free, the bundle needs {needed >> 20}",
            hint="free some space; what served still does",
        )
