"""Frames that producers hand over in shared memory, on their way to the cameras' sessions.

Consumer threads take the next camera's newest frame and have it judged in place. They pull: a frame
that waits can still be replaced by a newer one, which it could not in a queue of work. Whatever goes
wrong with a frame, its producer hears an error and no verdict, so a gate stays shut.
"""

from __future__ import annotations

import threading

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
        self._count = threads
        self._threads: list[threading.Thread] = []
        broker.start()

    def consume(self) -> None:
        """Begin to judge: the service is warm."""
        for number in range(self._count):
            name = f"livegate-frames-{number}"
            thread = threading.Thread(target=self._consume, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Tell producers goodbye, finish the frames that are looked at."""
        self._broker.stop()
        for thread in self._threads:
            thread.join(timeout_s)

    def _consume(self) -> None:
        flush_denormals()
        while True:
            try:
                lease = self._broker.pop(timeout_s=POP_TIMEOUT_S)
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
