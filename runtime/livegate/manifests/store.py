"""Where models are: manifests of the package, files of weights by digest.

A file counts only by its sha256. It is read once, the digest is taken of the very bytes that the
engine then gets, so nothing can be exchanged between the check and the load.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.files import home_dir
from livegate.core.plugins import did_you_mean
from livegate.core.resources import resource_dir
from livegate.manifests.download import CHUNK_BYTES, Download, Progress
from livegate.manifests.schema import Manifest, ModelFile, read_manifest

MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a model as it was found: `path` is None when no file of that name or size is there."""

    file: ModelFile
    path: Path | None
    found_sha256: str
    found_bytes: int

    @property
    def is_good(self) -> bool:
        """Whether the digest is the manifest's."""
        return self.found_sha256 == self.file.sha256


NO_HOME = Path("/nonexistent")


def cache_dir() -> Path:
    """The user's cache: LIVEGATE_CACHE, else livegate/ in XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("LIVEGATE_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "livegate"
    # Without a home there is no cache: a folder that others may write to is none.
    return (home_dir() or NO_HOME) / ".cache" / "livegate"


class ModelStore:
    """The manifests of the package and every folder that may hold weights."""

    def __init__(self, dirs: Iterable[Path] = (), *, package: Path | None = None) -> None:
        """Look into `dirs` first, then the package's models/, then the user's cache."""
        self.package = package or resource_dir("models")
        self.dirs = (*dirs, self.package, cache_dir() / "models")

    def ids(self) -> tuple[str, ...]:
        """Every model that has a manifest."""
        return tuple(sorted(path.parent.name for path in self.package.glob("*/manifest.toml")))

    def manifest(self, model_id: str) -> Manifest:
        """The manifest of one model.

        Raises:
            SetupError: NO_EXIST for an unknown id.
        """
        if model_id not in self.ids():
            raise SetupError(
                ErrorCode.NO_EXIST,
                f"there is no model {model_id!r}",
                hint=did_you_mean(model_id, self.ids()),
            )
        return read_manifest(self.package / model_id / "manifest.toml")

    def is_shipped(self, model_id: str) -> bool:
        """Whether the package itself holds the model's files."""
        return all(any(self.package.glob(f"*/{file.name}")) for file in self.manifest(model_id).files)

    def inspect(self, file: ModelFile) -> FileState:
        """Find a file and take its digest; never raises for a file that is wrong."""
        wrong: FileState | None = None
        for path, found_bytes in self._candidates(file):
            digest = _digest(path) if found_bytes <= file.bytes else "not read: too large"
            state = FileState(file, path, digest, found_bytes)
            if state.is_good:
                return state
            if wrong is None and path.name == file.name:
                wrong = state
        return wrong or FileState(file, None, "", 0)

    def read(self, file: ModelFile) -> bytes:
        """The verified bytes of a file.

        Raises:
            SetupError: MODELINIT_FAIL for a missing, shortened or changed file.
        """
        state = self.inspect(file)
        if state.path is not None and state.is_good:
            try:
                content = state.path.read_bytes()
            except OSError as error:
                raise _not_read(state.path, error) from error
            digest = hashlib.sha256(content).hexdigest()
            if digest == file.sha256:
                return content
            state = FileState(file, state.path, digest, len(content))
        raise self.complaint(state)

    def found(self, file: ModelFile) -> Path:
        """Where a good file is.

        Raises:
            SetupError: MODELINIT_FAIL.
        """
        state = self.inspect(file)
        if not state.is_good or state.path is None:
            raise self.complaint(state)
        return state.path

    def pull(self, model_ids: Iterable[str], source: Path | Download, progress: Progress) -> list[Path]:
        """Bring the files of models into the cache, from a folder or from upstream.

        They are visible only when verified.

        Returns:
            The cached files, those that were there before included.

        Raises:
            SetupError: MODELINIT_FAIL for a file that `source` does not hold unchanged, WRITE_FAIL
                when the cache cannot be written; as Download.
        """
        if isinstance(source, Path) and not source.is_dir():
            raise SetupError(ErrorCode.NO_EXIST, f"{source} is not a folder")
        cache = ModelStore((), package=self.package)
        stick = source if isinstance(source, Download) else ModelStore((source,), package=self.package)
        pulled = []
        for model_id in model_ids:
            for file in self.manifest(model_id).files:
                pulled.append(_pull_one(file, model_id, cache, stick, progress))
        return pulled

    def _candidates(self, file: ModelFile) -> list[tuple[Path, int]]:
        """Files of that name first, then files of that size under another name."""
        found = [entry for folder in self.dirs for entry in _walk(folder)]
        named = [entry for entry in found if entry[0].name == file.name]
        sized = [entry for entry in found if entry[0].name != file.name and entry[1] == file.bytes]
        return [*named, *sized]

    def complaint(self, state: FileState) -> SetupError:
        """What is wrong with a file that is not good, and the command that mends it."""
        file = state.file
        if state.path is None:
            places = ", ".join(str(folder) for folder in self.dirs)
            fact = f"the model file {file.name} is missing (looked in {places})"
            found = "none"
        else:
            fact = (
                f"the model file {state.path} is not the one that the manifest names "
                f"({state.found_bytes} bytes, expected {file.bytes})"
            )
            found = state.found_sha256
        return SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"{fact}: expected sha256 {file.sha256}, found {found}",
            hint="`livegate models pull --from DIR` with a folder that holds it, or without --from to "
            f"download it{_origin(file)}",
            fields={"file": file.name, "expected_sha256": file.sha256, "found_sha256": found},
        )


def _origin(file: ModelFile) -> str:
    if file.upstream is None:
        return ""
    up = file.upstream
    return f"; upstream: {up.repository} at {up.commit[:12]}, {up.path}"


def _walk(folder: Path, depth: int = MAX_DEPTH) -> Iterator[tuple[Path, int]]:
    """Files below a folder with their sizes, sorted, without following links to folders.

    What cannot be looked at is passed over: a folder may hold more than models.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            if entry.is_file():
                yield path, entry.stat().st_size
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
        except OSError:
            continue
        if depth and is_folder:
            yield from _walk(path, depth - 1)


def _digest(path: Path) -> str:
    sha = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                sha.update(chunk)
    except OSError as error:
        return f"not readable: {error.strerror}"
    return sha.hexdigest()


def _pull_one(
    file: ModelFile, model_id: str, cache: ModelStore, stick: ModelStore | Download, progress: Progress
) -> Path:
    target = cache_dir() / "models" / model_id / file.name
    cached = cache.inspect(file)
    if cached.is_good and cached.path is not None:
        progress(file, file.bytes)
        return cached.path
    try:
        if isinstance(stick, Download):
            stick.bring(file, target, progress)
            _sync_dir(target.parent)
        else:
            _copy_verified(stick.found(file), target, file, progress)
    except OSError as error:
        raise SetupError(
            ErrorCode.WRITE_FAIL,
            f"{target} cannot be written: {error.strerror}",
            hint="free some space, or set LIVEGATE_CACHE to another folder",
        ) from error
    return target


def _copy_verified(source: Path, target: Path, file: ModelFile, progress: Progress) -> None:
    """Copy beside the target, check the digest of what was written, then rename over it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=target.parent)
    part = Path(name)
    try:
        sha = hashlib.sha256()
        with os.fdopen(handle, "wb") as out:
            for chunk in _chunks(source):
                sha.update(chunk)
                out.write(chunk)
                progress(file, out.tell())
            out.flush()
            os.fsync(out.fileno())
        if sha.hexdigest() != file.sha256:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"{source} changed while it was copied: expected sha256 {file.sha256}, "
                f"found {sha.hexdigest()}",
                hint="copy it again",
            )
        shutil.copymode(source, part)
        part.replace(target)
        _sync_dir(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _chunks(source: Path) -> Iterator[bytes]:
    """A file on a medium that somebody may pull out.

    Raises:
        SetupError: READ_FAIL.
    """
    try:
        with source.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise _not_read(source, error) from error


def _not_read(path: Path, error: OSError) -> SetupError:
    return SetupError(
        ErrorCode.READ_FAIL,
        f"{path} cannot be read: {error.strerror}",
        hint="is its medium still there? put it back, or copy the file anew",
    )


def _sync_dir(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
