"""A frame queue of the selftest's own, in a folder that nobody else reaches."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from livegate.core.config import FramesConfig
from livegate.shm.broker import Broker

CAMERA = "selftest"
WIDTH, HEIGHT = 1280, 720


@contextlib.contextmanager
def own_queue(config: FramesConfig) -> Iterator[tuple[Broker, Path]]:
    """A broker that listens, and its socket; both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="livegate-") as folder:  # mode 0700
        path = Path(folder) / "frames.sock"
        broker = Broker(path, config)
        broker.start()
        try:
            yield broker, path
        finally:
            broker.stop()
