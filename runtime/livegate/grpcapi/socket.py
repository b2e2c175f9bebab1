"""The Unix socket of the gRPC face, and the lock that guards it.

gRPC unlinks whatever lies at a `unix:` path and binds anew, so a second server would silently steal
the socket of a live one. A lock on a file beside it tells a live owner from a stale socket: the
kernel drops it when its holder dies, whatever way.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError

MAX_PATH_BYTES = 107
"""sun_path has 108 bytes, one of them the terminator."""


def default_socket() -> Path:
    """livegate/grpc.sock in the runtime folder of the user (or /run for root)."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "livegate" / "grpc.sock"
    if os.geteuid() == 0:
        return Path("/run/livegate/grpc.sock")
    return Path(tempfile.gettempdir()) / f"livegate-{os.geteuid()}" / "grpc.sock"


class SocketLock:
    """The right to bind a socket path, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Take it.

        Raises:
            SetupError: BUSY when a live server has it, INIT_FAIL when the folder is not usable.
        """
        self.path = path
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise _unusable(path, f"the path is longer than {MAX_PATH_BYTES} bytes")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.parent.stat().st_uid not in (os.geteuid(), 0):
                raise _unusable(path, "its folder belongs to somebody else")
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._handle = os.open(f"{path}.lock", flags, 0o600)
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise SetupError(
                ErrorCode.BUSY,
                f"the socket {path} belongs to a server that is running",
                hint="stop it, or give this one another grpc.socket",
            ) from error

    def restrict(self) -> None:
        """Let only this user connect."""
        self.path.chmod(0o600)

    def release(self) -> None:
        """Remove the socket and let others have the path."""
        self.path.unlink(missing_ok=True)
        os.close(self._handle)


def _unusable(path: Path, why: str) -> SetupError:
    return SetupError(
        ErrorCode.INIT_FAIL,
        f"the socket {path} cannot be used: {why}",
        hint="set grpc.socket to a path in a folder of this user, or to an empty text for none",
    )
