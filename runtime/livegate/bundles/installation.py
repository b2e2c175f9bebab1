"""The folder on a box where versions lie side by side, and which of them serves.

    ROOT/current -> versions/ID      the one that serves; changed by one rename and nothing else
    ROOT/versions/ID/bundle.json     the manifest; written last, so a folder without it is unfinished
                    /replaced        the version that served when this one took its place
                    /bin/livegate  venv/  models/  config/
    ROOT/trusted_keys                who may sign bundles for this box
    ROOT/livegate.toml               the box's own configuration, if it has one; no version touches it
    ROOT/lock                        held by an installer and by everything that it starts

Whatever ends an installer, and whenever, `current` names a finished version; the next one removes what
is unfinished. The lock is inherited by children: while a `pip` outlives its killed installer, nobody
else begins.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from livegate.bundles.manifest import MAX_MANIFEST_BYTES, BundleManifest, manifest_from_bytes
from livegate.bundles.trust import PublicKey, read_keys
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.files import read_file, replace_file

CURRENT, RECORD, REPLACED, KEYS = "current", "bundle.json", "replaced", "trusted_keys"
OTHERS_MAY_WRITE = 0o022
MAX_LINKS = 40


class Installation:
    """One such folder."""

    def __init__(self, root: Path) -> None:
        """`root` need not be there yet."""
        self.root = root.absolute()
        self.versions = self.root / "versions"
        self._lock = -1

    @property
    def lock(self) -> int:
        """The descriptor that holds the lock, for children."""
        return self._lock

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock; makes the folders.

        Raises:
            SetupError: BUSY, WRITE_FAIL, NO_PERMISSION when somebody else could change the folder.
        """
        umask = os.umask(OTHERS_MAY_WRITE)  # whoever serves is often another user
        try:
            with self._locked():
                yield
        finally:
            os.umask(umask)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with writing(self.root):
            self.versions.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._require_own()
            self._require_link()
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._lock = os.open(self.root / "lock", flags, 0o600)
        try:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SetupError(
                    ErrorCode.BUSY,
                    f"another installation is at work in {self.root}",
                    hint="wait for it, a minute is usual; what a killed one started ends by itself",
                ) from error
            yield
        finally:
            os.close(self._lock)
            self._lock = -1

    def folder(self, version: str) -> Path:
        """Where a version lies."""
        return self.versions / version

    def current(self) -> str | None:
        """The version that serves; none before the first, or when its folder is no finished one."""
        name = self._named()
        return name if name and self.is_finished(name) else None

    def finished(self) -> tuple[str, ...]:
        """Every version that could serve."""
        try:
            names = sorted(path.name for path in self.versions.iterdir())
        except FileNotFoundError:
            return ()
        return tuple(name for name in names if self.is_finished(name))

    def is_finished(self, version: str) -> bool:
        """Whether an installation came to its end."""
        return (self.folder(version) / RECORD).is_file()

    def manifest(self, version: str) -> BundleManifest:
        """What a finished version was made from.

        Raises:
            SetupError: READ_FAIL.
        """
        return manifest_from_bytes(read_file(self.folder(version) / RECORD, MAX_MANIFEST_BYTES))

    def replaced(self, version: str) -> str | None:
        """The version that a version took the place of, if that is still there."""
        try:
            name = (self.folder(version) / REPLACED).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return name if name and name in self.finished() else None

    def keys(self) -> tuple[PublicKey, ...]:
        """Who may sign for this box.

        Raises:
            SetupError: READ_FAIL.
        """
        path = self.root / KEYS
        return read_keys(path) if path.exists() else ()

    def add_keys(self, keys: tuple[PublicKey, ...]) -> None:
        """Believe these from now on, too."""
        known = self.keys()
        lines = "".join(key.line for key in (*known, *(key for key in keys if key not in known)))
        with writing(self.root):
            replace_file(self.root / KEYS, lines.encode())

    def finish(self, version: str, manifest: bytes) -> None:
        """Declare a version finished; all that it consists of must be on the disk by now."""
        with writing(self.root):
            os.sync()
            replace_file(self.folder(version) / RECORD, manifest)

    def switch(self, version: str, *, is_update: bool = True) -> None:
        """Make a finished version the one that serves; an update notes what it replaces."""
        before = self.current()
        with writing(self.root):
            if is_update and before is not None and before != version:
                replace_file(self.folder(version) / REPLACED, before.encode())
            fresh = self.root / f".{CURRENT}.new"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(Path("versions") / version)
            fresh.replace(self.root / CURRENT)
            sync_folder(self.root)

    def rollback(self, to: str = "") -> str:
        """Let the version serve that the current one replaced, or another one that is here.

        Raises:
            SetupError: NO_EXIST when there is none.
        """
        current = self.current()
        target = to or (self.replaced(current) if current else None)
        if target is None or target not in self.finished() or target == current:
            here = ", ".join(name for name in self.finished() if name != current) or "none"
            raise SetupError(
                ErrorCode.NO_EXIST,
                f"there is no version {to} to go back to in {self.root}"
                if to
                else f"the version that serves from {self.root} ({current or 'none'}) has replaced none "
                "that is still here",
                hint=f"other versions here: {here}",
            )
        self.switch(target, is_update=False)  # so that the next rollback leads further back
        return target

    def remove_unfinished(self) -> None:
        """Clear what killed installers left."""
        with writing(self.root):
            for path in list(self.versions.iterdir()):
                if not self.is_finished(path.name) and path.name != self._named():
                    remove_tree(path)

    def prune(self) -> list[str]:
        """Remove all versions but the one that serves and the one that it replaced.

        One from which a process still runs stays until the next time; so does one that the interpreter
        of a version that stays comes from (earlier installers made such links).
        """
        current = self.current()
        kept = {current, self.replaced(current) if current else None}
        kept |= {name for version in kept if version for name in self._leaned_on(version)}
        gone = [name for name in self.finished() if name not in kept and not self.is_in_use(name)]
        with writing(self.root):
            for name in gone:
                (self.folder(name) / RECORD).unlink()  # from here on it is unfinished
                sync_folder(self.folder(name))
                remove_tree(self.folder(name))
        return gone

    def _named(self) -> str:
        """What the link says, whatever is there."""
        try:
            return (self.root / CURRENT).readlink().name
        except OSError:
            return ""

    def _leaned_on(self, version: str) -> Iterator[str]:
        """The versions through which the interpreter of one is found."""
        versions, path = self.versions.resolve(), self.folder(version) / "venv/bin/python"
        for _ in range(MAX_LINKS):
            path = path.parent.resolve() / path.name
            if path.is_relative_to(versions):
                yield path.relative_to(versions).parts[0]
            if not path.is_symlink():
                return
            path = path.parent / path.readlink()

    def is_in_use(self, version: str) -> bool:
        """Whether a process runs from it."""
        mark = os.fsencode(self.folder(version).resolve()) + b"/"
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes():
                    return True
        return False

    def _require_own(self) -> None:
        for folder in (self.root, self.versions):
            found = folder.stat()
            if found.st_uid != os.geteuid() or found.st_mode & OTHERS_MAY_WRITE:
                raise SetupError(
                    ErrorCode.NO_PERMISSION,
                    f"{folder} belongs to somebody else, or others may write into it",
                    hint=f"run this as its owner (sudo), or chmod go-w {folder}",
                )

    def _require_link(self) -> None:
        """Tell now, and not after minutes, that the switch would fail."""
        path = self.root / CURRENT
        if path.exists() and not path.is_symlink():
            raise SetupError(
                ErrorCode.EXIST,
                f"{path} is no link to a version: it was made by hand",
                hint=f"stop the service and move it away first: mv {path} {path}.old",
            )


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into our error.

    Raises:
        SetupError: WRITE_FAIL.
    """
    try:
        yield
    except OSError as error:
        raise SetupError(
            ErrorCode.WRITE_FAIL,
            f"{error.filename or place} cannot be written: {error.strerror or error}",
            hint="free some space, or run this as the owner of the folder; what served still does",
        ) from error


def remove_tree(path: Path) -> None:
    """Remove a folder or a file; a link itself, never what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Make names survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def default_root() -> Path:
    """The installation that this command runs from, else /opt/livegate."""
    folder = Path(sys.prefix).parent  # ROOT/versions/ID of ROOT/versions/ID/venv
    if folder.parent.name == "versions" and (folder / RECORD).is_file():
        return folder.parent.parent
    return Path("/opt/livegate")
