"""Who may hand over frames under which name."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from livegate.core.config import FramesConfig
from livegate.core.errors import AuthError, ErrorCode
from livegate.shm.broker import Broker
from livegate.shm.connection import Peer
from livegate.shm.door import own_uid
from livegate.shm.layout import Hello, PixelFormat
from livegate.shm.segment import Segment


@pytest.mark.parametrize(
    ("camera", "is_own_user", "is_admitted"),
    [("door", True, True), ("door", False, False), ("yard", False, True)],
)
def test_name_of_a_camera_of_ours_is_for_this_user(
    tmp_path: Path, camera: str, is_own_user: bool, is_admitted: bool
) -> None:
    """Else another user's frames would open the gate that listens to our camera, while it is away."""
    broker = Broker(tmp_path / "f.sock", FramesConfig(), is_ours=lambda name: name == "door")
    peer = Peer(pid=1, uid=own_uid() + (not is_own_user), gid=1)
    hello = Hello(camera, 64, 48, PixelFormat.BGR, 3)
    if is_admitted:
        broker.dismiss(broker.admit(hello, peer, lambda result: True))
        return
    with pytest.raises(AuthError) as caught:
        broker.admit(hello, peer, lambda result: True)
    assert caught.value.code is ErrorCode.NO_PERMISSION


def test_memory_that_is_let_go_holds_no_camera_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device may take its time to let a producer's memory go: hellos and requests go on meanwhile."""
    broker, is_free = Broker(tmp_path / "f.sock", FramesConfig()), list[bool]()
    hello = Hello("door", 64, 48, PixelFormat.BGR, 3)
    source = broker.admit(hello, Peer(pid=1, uid=own_uid(), gid=1), lambda result: True)

    def ask() -> None:
        is_free.append(broker._changed.acquire(blocking=False))
        if is_free[-1]:
            broker._changed.release()

    def close(segment: Segment) -> None:
        other = threading.Thread(target=ask)
        other.start()
        other.join()

    with monkeypatch.context() as patched:
        patched.setattr(Segment, "close", close)
        broker.dismiss(source)
    assert is_free
    assert all(is_free)
    source.segment.close()
