"""The right to a Unix socket's path: one live server, and no leftovers of a dead one.

A socket file that a killed server leaves looks exactly like a live one's, and whoever binds over a
live one (gRPC does so by itself) steals its path without a word to either. A lock on a file beside it
tells them apart: the kernel drops it with its holder, whatever killed it. Who has the lock may remove
the socket.

The lock belongs to the open file, so a forked child that keeps the descriptor keeps the lock: children
that outlive the server must be started by exec, or close it.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError

MAX_PATH_BYTES = 107
"""sun_path has 108 bytes, one of them the terminator."""


def runtime_path(name: str) -> Path:
    """livegate/NAME in the runtime folder of the user (or in /run for root)."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "livegate" / name
    if os.geteuid() == 0:
        return Path("/run/livegate") / name
    return Path(tempfile.gettempdir()) / f"livegate-{os.geteuid()}" / name


def configured_path(value: str, name: str) -> Path | None:
    """What a `socket` key means: `auto` is the runtime folder, an empty text is none."""
    if value == "auto":
        return runtime_path(name)
    return Path(value) if value else None


class SocketLock:
    """Held until `release` or the end of the process. Its file stays.

    Removing it would let two servers lock two files of one name.
    """

    def __init__(self, path: Path, setting: str) -> None:
        """Take it; `setting` is the key that names the path, for messages.

        Raises:
            SetupError: BUSY when a live server has it, INIT_FAIL when the folder is not usable.
        """
        self.path = path
        self._setting = setting
        require_short(path, setting)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            if path.parent.stat().st_uid not in (os.geteuid(), 0):
                raise self.unusable("its folder belongs to somebody else")
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._handle = os.open(f"{path}.lock", flags, 0o600)
        except OSError as error:
            raise self.unusable(error.strerror or str(error)) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise SetupError(
                ErrorCode.BUSY,
                f"the socket {path} belongs to a server that is running",
                hint=f"stop it, or give this one another {setting}",
            ) from error

    def remove_stale(self) -> None:
        """Remove what a dead server left.

        Raises:
            SetupError: EXIST when something that is no socket lies at the path.
        """
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise SetupError(
                ErrorCode.EXIST,
                f"{self.path} is there already and is no socket",
                hint=f"remove it, or set {self._setting} to another path",
            )
        self.path.unlink()

    def remove_socket(self) -> None:
        """Remove the socket, if it is there."""
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let others have the path."""
        os.close(self._handle)

    def unusable(self, why: str) -> SetupError:
        """The error for a path that cannot be bound."""
        return unusable(self.path, self._setting, why)


def require_short(path: Path, setting: str) -> None:
    """Raises SetupError: INIT_FAIL for a path that no socket can have."""
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise unusable(path, setting, f"the path is longer than {MAX_PATH_BYTES} bytes")


def unusable(path: Path, setting: str, why: str) -> SetupError:
    """The error for a path that cannot be bound; `setting` is the key that names it."""
    return SetupError(
        ErrorCode.INIT_FAIL,
        f"the socket {path} cannot be used: {why}",
        hint=f"set {setting} to a path in a folder of this user, or to an empty text for none",
    )
