"""Built engines on disk, each under everything that can break it.

A plan is code that a library runs as it is. So nothing is handed out that is not whole, of this user,
and of exactly this network, library, driver and GPU. Two files make an engine: the plan, named by its
digest, and a record, named by the digest of its key, which names the plan. The record is written last
and replaced in one step: whatever fails before leaves the old engine as it was.

Digests find damage, not a forger: who can write as this user can do anything as this user. Files that
somebody else could have written are not read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.files import replace_file
from livegate.manifests.schema import Precision, Sha256, Shape
from livegate.manifests.store import cache_dir

MAX_RECORD_BYTES = 64 << 10
MAX_PLAN_BYTES = 2 << 30
RECORD, PLAN, TIMING, NOTE, LOCK = ".engine", ".plan", ".timing", ".ranges", "build.lock"
DIGEST_CHARS = 64
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class EngineKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can break a built engine; another value of any of them is another engine."""

    backend: str
    network: str
    onnx_sha256: Sha256
    library: str
    cuda: str
    driver: str
    gpu: str
    capability: str
    provider: str
    precision: Precision
    profile: tuple[Shape, Shape, Shape]
    """The least, the usual and the greatest shape of the input."""
    flags: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What its record is named by."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    @property
    def machine(self) -> tuple[str, ...]:
        """What of it is the box: library, driver and GPU."""
        return (self.backend, self.library, self.cuda, self.driver, self.gpu, self.capability)


class BuiltEngine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One record."""

    key: EngineKey
    plan_sha256: Sha256
    plan_bytes: int
    build_s: float
    """What it took, for the next one's forecast."""


@dataclass(frozen=True, slots=True)
class RecordState:
    """A record as it was found: `engine` is None when it cannot be read, `problem` empty when good."""

    path: Path
    engine: BuiltEngine | None
    problem: str


class EngineCache:
    """A folder of built engines; the user's cache by default."""

    def __init__(self, folder: Path | None = None) -> None:
        """Nothing is made until something is kept."""
        self.folder = folder or cache_dir() / "engines"

    def plan(self, key: EngineKey) -> bytes | None:
        """The verified plan of exactly this key, or None when there never was one.

        Raises:
            SetupError: MODELINIT_FAIL for one that is damaged, foreign, or open to others.
        """
        path = self.folder / f"{key.digest}{RECORD}"
        try:
            engine = _read_record(path)
            if engine.key != key:
                raise _Unusable("it was built for something else")
            return self._read_plan(engine)
        except FileNotFoundError:
            return None
        except _Unusable as why:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"the built engine {path} of the network {key.network} is refused: {why}",
                hint="`livegate engines build` makes it again, `livegate engines prune` removes it",
                fields={"network": key.network, "engine": key.digest},
            ) from why

    def keep(self, key: EngineKey, plan: bytes, build_s: float) -> None:
        """Write a plan, then the record that makes it the engine of its key.

        Raises:
            SetupError: WRITE_FAIL; what was there before still is.
        """
        digest = hashlib.sha256(plan).hexdigest()
        engine = BuiltEngine(key=key, plan_sha256=digest, plan_bytes=len(plan), build_s=build_s)
        body = msgspec.json.encode(engine)
        self._write(f"{digest}{PLAN}", plan)
        self._write(f"{key.digest}{RECORD}", hashlib.sha256(body).hexdigest().encode() + b"\n" + body)

    def timing(self, key: EngineKey) -> bytes:
        """What the library remembered of this box's kernels; empty when nothing is, or it is damaged."""
        try:
            content = _read_own(self.folder / _timing_name(key), MAX_PLAN_BYTES)
        except (FileNotFoundError, _Unusable):
            return b""
        digest, body = content[:DIGEST_CHARS], content[DIGEST_CHARS:]
        return body if hashlib.sha256(body).hexdigest().encode() == digest else b""

    def keep_timing(self, key: EngineKey, content: bytes) -> None:
        """Remember it for the next build.

        Raises:
            SetupError: WRITE_FAIL.
        """
        self._write(_timing_name(key), hashlib.sha256(content).hexdigest().encode() + content)

    def note(self, name: str) -> bytes | None:
        """What was kept beside the engines under that name; None when nothing was.

        Raises:
            SetupError: MODELINIT_FAIL for one that is damaged, or open to others.
        """
        path = self.folder / f"{name}{NOTE}"
        try:
            return _read_note(path)
        except FileNotFoundError:
            return None
        except _Unusable as why:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"the int8 ranges {path} are refused: {why}",
                hint="`livegate engines build --calibrate DIR` measures them again",
                fields={"engine": name},
            ) from why

    def keep_note(self, name: str, content: bytes) -> None:
        """Keep it, in one step.

        Raises:
            SetupError: WRITE_FAIL.
        """
        self._write(f"{name}{NOTE}", hashlib.sha256(content).hexdigest().encode() + b"\n" + content)

    def damaged_notes(self) -> Iterator[tuple[Path, str]]:
        """Those that `note` would refuse, and why."""
        for path in sorted(self.folder.glob(f"*{NOTE}")):
            try:
                _read_note(path)
            except FileNotFoundError:
                continue
            except _Unusable as why:
                yield path, str(why)

    def marks(self) -> frozenset[tuple[str, int]]:
        """The records' names and times of writing; they are others once something was kept or removed.

        Looks at no content, so it may be asked often.
        """
        with contextlib.suppress(FileNotFoundError, PermissionError), os.scandir(self.folder) as found:
            records = (one for one in found if one.name.endswith(RECORD))
            return frozenset((one.name, one.stat().st_mtime_ns) for one in records)
        return frozenset()

    def records(self) -> Iterator[RecordState]:
        """Every record with what is wrong with it or its plan."""
        for path in sorted(self.folder.glob(f"*{RECORD}")):
            engine = None
            try:
                engine = _read_record(path)
                if f"{engine.key.digest}{RECORD}" != path.name:
                    raise _Unusable("it lies under another engine's name")
                self._read_plan(engine)
                yield RecordState(path, engine, "")
            except FileNotFoundError:
                continue  # another process has just removed it
            except _Unusable as why:
                yield RecordState(path, engine, str(why))

    def forecast_s(self, key: EngineKey) -> float | None:
        """What the last build of the same network took in the same precision, on whatever box."""
        wanted = (key.onnx_sha256, key.precision, key.provider)
        found = [state.engine for state in self.records() if state.engine is not None]
        took = [
            engine.build_s
            for engine in found
            if (engine.key.onnx_sha256, engine.key.precision, engine.key.provider) == wanted
        ]
        return took[-1] if took else None

    def prune(self, is_wanted: Callable[[EngineKey], bool]) -> list[tuple[Path, str]]:
        """Remove what nobody will load: damaged records, unwanted engines, plans of no record, remains.

        Returns:
            What was removed, and why.

        Raises:
            SetupError: BUSY while something is being built; WRITE_FAIL.
        """
        if not self.folder.is_dir():
            return []
        with self.building():
            removed, needed = [], {LOCK}
            for state in self.records():
                if state.problem or state.engine is None:
                    removed.append((state.path, state.problem))
                elif not is_wanted(state.engine.key):
                    removed.append((state.path, "it is not for this box as it is now"))
                else:
                    key = state.engine.key
                    needed |= {state.path.name, f"{state.engine.plan_sha256}{PLAN}", _timing_name(key)}
            removed += self.damaged_notes()
            needed |= {path.name for path in self.folder.glob(f"*{NOTE}")}
            told = {path for path, _ in removed}
            for path in sorted(self.folder.iterdir()):
                if path.name not in needed and path not in told:
                    removed.append((path, "no engine needs it"))
            for path, _ in removed:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise _not_written(path, error) from error
            return removed

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """One build at a time: two would measure each other's kernels.

        Raises:
            SetupError: BUSY; WRITE_FAIL.
        """
        path = self.folder / LOCK
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _not_written(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise SetupError(
                ErrorCode.BUSY, "another process is building engines", hint="wait until it has ended"
            ) from error
        finally:
            os.close(handle)

    def _read_plan(self, engine: BuiltEngine) -> bytes:
        path = self.folder / f"{engine.plan_sha256}{PLAN}"
        try:
            plan = _read_own(path, engine.plan_bytes)
        except FileNotFoundError as error:
            raise _Unusable("its plan is missing") from error
        if hashlib.sha256(plan).hexdigest() != engine.plan_sha256:
            raise _Unusable("its plan is damaged")
        return plan

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, content)
        except OSError as error:
            raise _not_written(path, error) from error


class _Unusable(Exception):
    """Why a file of the cache is not to be used."""


def _read_record(path: Path) -> BuiltEngine:
    content = _read_own(path, MAX_RECORD_BYTES)
    digest, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise _Unusable("its record is damaged")
    try:
        return msgspec.json.decode(body, type=BuiltEngine)
    except msgspec.MsgspecError as error:
        raise _Unusable(f"its record is of another version ({error})") from error


def _read_note(path: Path) -> bytes:
    digest, _, body = _read_own(path, MAX_RECORD_BYTES).partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise _Unusable("it is damaged")
    return body


def _read_own(path: Path, max_bytes: int) -> bytes:
    """A file that nobody else can have written; checked on the open file, so that it stays that one."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unusable(f"{path.name} cannot be opened: {error.strerror}") from error
    with os.fdopen(handle, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _Unusable(f"{path.name} is no file")
        if found.st_uid not in (os.geteuid(), 0) or found.st_mode & WRITABLE_BY_OTHERS:
            raise _Unusable(f"others can write {path.name}")
        if found.st_size > max_bytes:
            raise _Unusable(
                f"{path.name} has {found.st_size} bytes, not more than {max_bytes} are right"
            )
        try:
            return stream.read(max_bytes + 1)
        except OSError as error:
            raise _Unusable(f"{path.name} cannot be read: {error.strerror}") from error


def _timing_name(key: EngineKey) -> str:
    return f"{hashlib.sha256(msgspec.json.encode(key.machine)).hexdigest()}{TIMING}"


def _not_written(path: Path, error: OSError) -> SetupError:
    return SetupError(
        ErrorCode.WRITE_FAIL,
        f"{path} cannot be written: {error.strerror}",
        hint="free some space, or set LIVEGATE_CACHE to another folder",
    )
