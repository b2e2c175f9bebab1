"""The word to the service manager: ready, alive, stopping. See sd_notify(3) and sd_watchdog_enabled(3).

systemd restarts a server that stays silent. It is silent when its event loop stands still, and also
when a worker will not come back from an engine: a gate that answers nothing is as bad as one that is
down, and nobody is in the branch to see it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, MutableMapping

from livegate.core.telemetry import get_logger
from livegate.service.liveness import State, Status

SIGNS_IN_A_PERIOD = 3
"""So that one that is late is not taken for none."""
WARMING_S = 1.0
BUILD_GRACE_S = 120
"""While models warm or engines are built, systemd waits this much longer after each sign."""
STANDSTILL_S = 1800.0
"""Without progress for so long, warming and building ask for no more: a driver may hang there, too."""
log = get_logger("livegate.systemd")


class ServiceManager:
    """Who started the server, if it wants to be told."""

    def __init__(
        self,
        environ: MutableMapping[str, str] = os.environ,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the variables out of the environment: they are not for the processes of cameras."""
        address = environ.pop("NOTIFY_SOCKET", "")
        period_us = environ.pop("WATCHDOG_USEC", "")
        meant_for = environ.pop("WATCHDOG_PID", "")
        self._clock = clock
        self._address = "\0" + address[1:] if address.startswith("@") else address
        is_ours = address != "" and meant_for in ("", str(os.getpid()))
        self.period_s = int(period_us) / 1e6 if is_ours and period_us.isdecimal() else 0.0
        """Seconds of silence after which systemd restarts; 0 when it does not watch."""

    def tell(self, **fields: str) -> None:
        """Send fields of sd_notify(3), upper case; a manager that does not listen is no error."""
        if not self._address:
            return
        told = "\n".join(f"{key}={value}" for key, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto(told.encode(), self._address)
        except OSError as error:
            log.warning("the service manager does not listen", error=error.strerror)

    async def keep_told(self, status: Callable[[], Status]) -> None:
        """Say how the server is until cancelled; nothing is said for one that is stuck."""
        if not self._address:
            return
        was_ready, was_stuck = False, False
        stage, since_s = "", self._clock()
        while True:
            now = status()
            if _told(now) != stage:
                stage, since_s = _told(now), self._clock()
            moves = self._clock() - since_s < STANDSTILL_S
            is_ready = now.state is State.READY
            if is_ready and not was_ready:
                self.tell(READY="1", STATUS="ready")
            elif now.state in (State.WARMING, State.BUILDING) and moves:
                self.tell(EXTEND_TIMEOUT_USEC=str(BUILD_GRACE_S * 1_000_000), STATUS=stage)
            if now.is_stuck and not was_stuck:
                log.error("a worker is stuck: no more signs of life", seconds=now.longest_run_s)
            if not now.is_stuck:
                self.tell(WATCHDOG="1")
            was_ready, was_stuck = is_ready, now.is_stuck
            await asyncio.sleep(self._pause_s(is_ready))

    def _pause_s(self, is_ready: bool) -> float:
        sign_s = self.period_s / SIGNS_IN_A_PERIOD or WARMING_S
        return sign_s if is_ready else min(sign_s, WARMING_S)


def _told(status: Status) -> str:
    if status.build is None:
        return status.state.value.lower()
    return f"building {status.build.model} {status.build.network}: {status.build.part:.0%}"
