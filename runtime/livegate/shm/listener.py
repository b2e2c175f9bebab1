"""The server's socket path: one live server, and no leftovers of a dead one.

A file that is left by a killed server looks exactly like a live server's, and binding over a live one
steals its path without a word to either. So the lock beside the socket says who lives: the kernel
drops a flock with its holder, whatever killed it. Who has the lock may remove the socket.

The lock belongs to the open file, so a forked child that keeps the descriptor keeps the lock: children
that outlive the server must be started by exec, or close it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError

BACKLOG = 64
MAX_PATH_BYTES = 107


class SocketListener:
    """A listening SOCK_SEQPACKET socket and the lock beside it."""

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        """Take the lock, replace what a dead server left, listen.

        Raises:
            SetupError: BUSY when a live server has the path; EXIST when something that is no socket
                lies there; INIT_FAIL when it cannot be bound.
        """
        self.path = path
        self._lock_fd = _locked(path)
        try:
            _remove_stale(path)
            self.socket = _bound(path, mode)
        except BaseException:
            os.close(self._lock_fd)
            raise

    def close(self) -> None:
        """Stop listening, remove the socket, then let the lock go; the lock's file stays.

        Removing the lock's file would let two servers lock two files of one name.
        """
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in accept
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.socket.close()
        os.close(self._lock_fd)


def _locked(path: Path) -> int:
    lock = path.with_name(f"{path.name}.lock")
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise _not_bound(path, f"longer than {MAX_PATH_BYTES} bytes")
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _not_bound(lock, str(error.strerror)) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise SetupError(
            ErrorCode.BUSY,
            f"a running server has the frame queue at {path}",
            hint="stop it, or set frames.socket to another path",
        ) from error
    return fd


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SetupError(
            ErrorCode.EXIST,
            f"{path} is there already and is no socket",
            hint="remove it, or set frames.socket to another path",
        )
    path.unlink()


def _bound(path: Path, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(os.fspath(path))
        path.chmod(mode)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _not_bound(path, str(error.strerror)) from error
    return listener


def _not_bound(path: Path, why: str) -> SetupError:
    return SetupError(
        ErrorCode.INIT_FAIL,
        f"the frame queue cannot listen at {path}: {why}",
        hint="set frames.socket to a path in a folder that this user may write",
    )
