"""The box comes back by itself: whatever a power cut left half done."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from e2e.running import start, wait_until
from e2e.wire import wire
from livegate.client import LivenessClient
from livegate.core.results import Decision
from livegate.v1 import liveness_pb2 as pb
from support import reference_flags, shared


def test_box_comes_back_after_a_power_cut(tmp_path: Path) -> None:
    """Sockets of the dead, a cache of which every file is torn, a camera that is not there yet."""
    cache = tmp_path / "cache"
    env = {"LIVEGATE_CACHE": str(cache)}
    face = shared("media", "stills", "image_T1.jpg").read_bytes()
    flags = (*reference_flags(), "--camera", "hall=v4l2:/dev/video99")
    before = start(tmp_path, *flags, backend=None, env=env)
    os.kill(before.process.pid, signal.SIGKILL)
    before.process.wait()
    assert Path(before.socket).exists()
    torn = [path for path in sorted(cache.rglob("*")) if path.is_file()]
    assert torn
    sizes = {path: path.stat().st_size for path in torn}
    for number, path in enumerate(torn):
        path.write_bytes((b"", path.read_bytes()[: path.stat().st_size // 2])[number % 2])

    after = start(tmp_path, *flags, backend=None, env=env)
    try:
        with LivenessClient(f"unix:{after.socket}") as client:
            assert client.analyze(face).results[0].decision is Decision.GENUINE
        with wire(f"unix:{after.socket}") as spoken:

            def state() -> str:
                return next(iter(spoken.get_status(pb.GetStatusRequest()).cameras)).state

            wait_until(lambda: state() == "RETRYING")
    finally:
        assert after.stop() == 0
    again = {path: path.stat().st_size for path in torn if path.exists()}
    assert again == sizes
