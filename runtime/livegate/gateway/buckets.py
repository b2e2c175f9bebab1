"""Local folders that stand for a cloud's buckets: /bucket/object is a file below the folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError


class Buckets:
    """Folders by name; nothing outside them is read, whatever an object is called."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        """Know them.

        Raises:
            SetupError: CONFIG_ADD_FAIL for a folder that is not there.
        """
        self._folders = {name: Path(folder).expanduser() for name, folder in folders.items()}
        for name, folder in self._folders.items():
            if not folder.is_dir():
                raise SetupError(
                    ErrorCode.CONFIG_ADD_FAIL,
                    f"urls.buckets.{name} is {str(folder)!r}, which is not a folder",
                    hint="make it, or take the bucket out",
                )

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """The bytes of /bucket/object, one more than `max_bytes` at most; None without such a file.

        Links are not followed, so that who may write into the folder cannot lead out of it.

        Raises:
            LookupError: there is no bucket of that name.
        """
        bucket, _, name = path[1:].partition("/")
        folder = self._folders.get(bucket)
        if folder is None:
            raise LookupError(f"there is no bucket {bucket[:64]!r} here")
        parts = name.split("/")
        if not all(part not in ("", ".", "..") and "\0" not in part for part in parts):
            return None
        try:
            return _read(folder, parts, max_bytes)
        except OSError:
            return None


def _read(folder: Path, parts: list[str], max_bytes: int) -> bytes | None:
    """Walk from folder to folder by descriptor."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number, part in enumerate(parts, 1):
            kind = os.O_DIRECTORY if number < len(parts) else os.O_NONBLOCK  # a pipe must not hold us
            step = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=here)
            os.close(here)
            here = step
        if not stat.S_ISREG(os.fstat(here).st_mode):
            return None
        with os.fdopen(os.dup(here), "rb") as file:
            return file.read(max_bytes + 1)
    finally:
        os.close(here)
