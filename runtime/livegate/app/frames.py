"""Frames that producers hand over in shared memory, on their way to the cameras' sessions.

Consumer threads take the next camera's newest frame and have it judged in place. They pull: a frame
that waits can still be replaced by a newer one, which it could not in a queue of work. Whatever goes
wrong with a frame, its producer hears an error and no verdict, so a gate stays shut.
"""

from __future__ import annotations

import threading
import time

from livegate.core.errors import ErrorCode, LiveGateError, QueueError
from livegate.core.telemetry import get_logger
from livegate.engines.denormals import flush_denormals
from livegate.service.cameras import Cameras
from livegate.shm.broker import Broker
from livegate.shm.connection import Peer

POP_TIMEOUT_S = 1.0
log = get_logger("livegate.frames")


class FrameFace:
    """The threads behind the frame queue's socket."""

    def __init__(self, broker: Broker, cameras: Cameras, threads: int) -> None:
        """Listen; producers may connect, nothing is judged before `consume`.

        Raises:
            SetupError: the socket belongs to a live server, or cannot be bound.
        """
        self._broker = broker
        self._cameras = cameras
        self._begun_ns = [0] * threads
        """When each thread took its frame, 0 between two: written by that thread alone."""
        self._threads: list[threading.Thread] = []
        broker.start()

    def consume(self) -> None:
        """Begin to judge: the service is warm."""
        for number in range(len(self._begun_ns)):
            name = f"livegate-frames-{number}"
            thread = threading.Thread(target=self._consume, args=(number,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Tell producers goodbye, finish the frames that are looked at."""
        self._broker.stop()
        for thread in self._threads:
            thread.join(timeout_s)

    @property
    def longest_run_s(self) -> float:
        """Seconds since the slowest thread took its frame; 0 without any."""
        begun_ns = [begun_ns for begun_ns in self._begun_ns if begun_ns]
        return (time.monotonic_ns() - min(begun_ns)) / 1e9 if begun_ns else 0.0

    def _consume(self, number: int) -> None:
        flush_denormals()
        while True:
            self._begun_ns[number] = 0
            try:
                lease = self._broker.pop(timeout_s=POP_TIMEOUT_S)
                self._begun_ns[number] = lease.leased_ns
                self._cameras.look(lease)
                del lease
            except QueueError as error:
                if error.code is ErrorCode.QUEUE_STOPED:
                    return
            except Exception:
                log.exception("a frame was lost")  # one consumer less would starve every camera


def log_refusal(error: LiveGateError, peer: Peer, is_fatal: bool) -> None:
    log.info(
        "producer refused",
        code=int(error.code),
        why=error.message,
        uid=peer.uid,
        pid=peer.pid,
        ends=is_fatal,
    )
