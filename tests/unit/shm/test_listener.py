"""One live server for a path."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from frame_queue_kit import open_fds, refused
from livegate.core.errors import ErrorCode
from livegate.shm.listener import SocketListener


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        return peer.connect_ex(os.fspath(path)) == 0


def test_second_listener_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    """1017, and no stolen path."""
    path = tmp_path / "frames.sock"
    first = SocketListener(path)
    before = open_fds()
    with refused(ErrorCode.BUSY):
        SocketListener(path)
    assert open_fds() == before
    assert connects(path)
    first.close()


def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    """What a killed server leaves has no lock."""
    path = tmp_path / "frames.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(os.fspath(path))
    assert not connects(path)
    listener = SocketListener(path)
    assert connects(path)
    listener.close()


def test_file_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    """A typing error in the configuration must not cost a file."""
    path = tmp_path / "precious"
    path.write_text("mine")
    before = open_fds()
    with refused(ErrorCode.EXIST):
        SocketListener(path)
    assert path.read_text() == "mine"
    assert open_fds() == before


def test_closed_listener_leaves_no_socket_and_the_path_free(tmp_path: Path) -> None:
    """The next start finds its place."""
    path = tmp_path / "frames.sock"
    before = open_fds()
    SocketListener(path).close()
    assert not path.exists()
    SocketListener(path).close()
    assert open_fds() == before


@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_socket_has_the_mode_that_was_asked_for(tmp_path: Path, mode: int) -> None:
    """The outer door, whatever the umask."""
    listener = SocketListener(tmp_path / "frames.sock", mode=mode)
    assert stat.S_IMODE((tmp_path / "frames.sock").stat().st_mode) == mode
    listener.close()


@pytest.mark.parametrize("name", ["no/such/folder/frames.sock", "x" * 200])
def test_path_that_cannot_be_bound_is_refused(tmp_path: Path, name: str) -> None:
    """1013 with the way out."""
    before = open_fds()
    with refused(ErrorCode.INIT_FAIL):
        SocketListener(tmp_path / name)
    assert open_fds() == before


def test_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Nobody makes us open another file by a link at the lock's name."""
    (tmp_path / "frames.sock.lock").symlink_to(tmp_path / "elsewhere")
    with refused(ErrorCode.INIT_FAIL):
        SocketListener(tmp_path / "frames.sock")
    assert not (tmp_path / "elsewhere").exists()
