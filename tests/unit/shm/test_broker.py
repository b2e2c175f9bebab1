"""Who may hand over frames under which name."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.core.config import FramesConfig
from livegate.core.errors import AuthError, ErrorCode
from livegate.shm.broker import Broker
from livegate.shm.connection import Peer
from livegate.shm.door import own_uid
from livegate.shm.layout import Hello, PixelFormat


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
