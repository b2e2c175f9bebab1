"""A listening socket of the frame queue, and the lock that guards its path."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from livegate.core.socketlock import SocketLock

BACKLOG = 64
SETTING = "frames.socket"


class SocketListener:
    """A listening SOCK_SEQPACKET socket and the lock beside it."""

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        """Take the lock, replace what a dead server left, listen.

        Raises:
            SetupError: BUSY when a live server has the path; EXIST when something that is no socket
                lies there; INIT_FAIL when it cannot be bound.
        """
        self.path = path
        self._lock = SocketLock(path, SETTING)
        try:
            self._lock.remove_stale()
            self.socket = _bound(self._lock, mode)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Stop listening, remove the socket, then let the lock go."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in accept
        self._lock.remove_socket()
        self.socket.close()
        self._lock.release()


def _bound(lock: SocketLock, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(os.fspath(lock.path))
        lock.path.chmod(mode)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise lock.unusable(str(error.strerror)) from error
    return listener
