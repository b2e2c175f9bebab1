"""The lock beside the Unix socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.socketlock import MAX_PATH_BYTES, SocketLock, configured_path, runtime_path


def test_lock_held_by_another_is_refused_until_released(tmp_path: Path) -> None:
    """One owner at a time; the path is free after the release."""
    path = tmp_path / "run" / "s"
    first = SocketLock(path, "grpc.socket")
    with pytest.raises(SetupError) as caught:
        SocketLock(path, "grpc.socket")
    assert caught.value.code is ErrorCode.BUSY
    first.release()
    SocketLock(path, "grpc.socket").release()


def test_lock_folder_is_made_for_the_user_alone(tmp_path: Path) -> None:
    """Nobody else may look into it."""
    lock = SocketLock(tmp_path / "run" / "s", "grpc.socket")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    lock.release()


def test_lock_path_too_long_or_not_a_folder_is_refused(tmp_path: Path) -> None:
    """The message says what is wrong with the path."""
    with pytest.raises(SetupError, match="longer"):
        SocketLock(tmp_path / ("x" * MAX_PATH_BYTES), "grpc.socket")
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be used"):
        SocketLock(tmp_path / "file" / "s", "grpc.socket")


def test_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link planted by somebody else is not opened."""
    (tmp_path / "s.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(SetupError) as caught:
        SocketLock(tmp_path / "s", "grpc.socket")
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert not (tmp_path / "victim").exists()


def test_runtime_path_follows_the_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_RUNTIME_DIR where there is one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert runtime_path("grpc.sock") == Path("/run/user/7/livegate/grpc.sock")
    assert configured_path("auto", "a") == Path("/run/user/7/livegate/a")
    assert configured_path("", "a") is None
    assert configured_path("/x/y", "a") == Path("/x/y")


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A file that somebody put there by mistake, a folder; nothing is nothing to remove."""
    path = tmp_path / "s"
    lock = SocketLock(path, "grpc.socket")
    lock.remove_stale()
    path.write_text("notes")
    with pytest.raises(SetupError, match="is no socket") as caught:
        lock.remove_stale()
    assert caught.value.code is ErrorCode.EXIST
    assert path.read_text() == "notes"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    lock.remove_stale()
    assert not path.exists()
    lock.release()
