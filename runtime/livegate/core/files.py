"""Files that an operator names."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from livegate.core.errors import ErrorCode, RequestError


def home_dir() -> Path | None:
    """The user's; None for one who has none, as in many containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def read_file(name: str | Path, max_bytes: int) -> bytes:
    """A file's bytes; one more than the limit is enough to be refused for it.

    Raises:
        RequestError: NO_EXIST, OPEN_FAIL.
    """
    try:
        with Path(name).open("rb") as stream:
            return stream.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise RequestError(ErrorCode.NO_EXIST, f"there is no file {name}") from error
    except OSError as error:
        why = f"{name} cannot be opened: {error.strerror}"
        raise RequestError(ErrorCode.OPEN_FAIL, why) from error


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files below a folder, in the order of their names.

    Raises:
        RequestError: NO_EXIST when there is none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not found:
        kinds = ", ".join(sorted(suffixes))
        raise RequestError(ErrorCode.NO_EXIST, f"there is no file in {folder}", hint=f"of {kinds}")
    return found


def write_file(path: Path, content: bytes) -> None:
    """Write a file that was asked for; half of a new one does not stay.

    Raises:
        RequestError: WRITE_FAIL.
    """
    is_new = not os.path.lexists(path)
    try:
        path.write_bytes(content)
    except OSError as error:
        if is_new:
            with contextlib.suppress(OSError):
                path.unlink()
        why = f"{path} cannot be written: {error.strerror}"
        raise RequestError(ErrorCode.WRITE_FAIL, why) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a file of this user alone: whole or not at all, whenever the power fails.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name as well
    finally:
        os.close(folder)
