"""A server under a service manager, from READY to STOPPING."""

from __future__ import annotations

import socket
from pathlib import Path

from e2e.running import start
from support import HANG_S


def test_server_tells_ready_life_and_stop(tmp_path: Path) -> None:
    """READY after the models are warm, signs of life while it serves, STOPPING before the drain."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(HANG_S)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        running = start(tmp_path, env=environ)
        try:
            told = [listener.recv(4096).decode()]
            while told[-1] != "READY=1\nSTATUS=ready":
                told.append(listener.recv(4096).decode())
            assert "STATUS=warming" in told[0]
            assert listener.recv(4096) == b"WATCHDOG=1"
            assert listener.recv(4096) == b"WATCHDOG=1"
        finally:
            code = running.stop()
        listener.settimeout(0)
        left = []
        while not left or left[-1] != b"STOPPING=1":
            left.append(listener.recv(4096))
        assert code == 0
