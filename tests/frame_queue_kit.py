"""What the tests of the frame queue share: a clock that stands still, and a peer without manners."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from livegate.core.errors import ErrorCode, LiveGateError
from livegate.shm.change import Change
from livegate.shm.layout import (
    MAX_MESSAGE_BYTES,
    Error,
    Grant,
    Hello,
    Loan,
    Loaned,
    Message,
    PixelFormat,
    Publish,
    decode,
    encode,
)

HANG_S = 60.0
"""How long anything may take before the test says that it hangs."""


@contextmanager
def refused(code: ErrorCode) -> Iterator[pytest.ExceptionInfo[LiveGateError]]:
    """The block must end in one of our errors with this code."""
    with pytest.raises(LiveGateError) as caught:
        yield caught
    assert caught.value.code is code, caught.value


class StillClock:
    """Monotonic nanoseconds that pass only when a test says so."""

    def __init__(self, now_ns: int = 1_000_000_000_000) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


class ScriptedCondition(Change):
    """A condition whose waits run the next act of a script, or let the whole timeout pass at once."""

    def __init__(self, clock: StillClock, *acts: Callable[[], object]) -> None:
        super().__init__()
        self._clock = clock
        self._acts = list(acts)
        self.waits: list[float | None] = []

    def then(self, *acts: Callable[[], object]) -> None:
        self._acts += acts

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if self._acts:
            self._acts.pop(0)()
            return True
        assert timeout is not None, "this call would wait for ever"
        self._clock.pass_s(timeout)
        return False


class RawPeer:
    """A producer that may send anything."""

    def __init__(self, path: Path, *, timeout_s: float = HANG_S) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(os.fspath(path))  # blocking: it waits for a place in the backlog
        self.socket.settimeout(timeout_s)
        self.fd = -1
        self.grant: Grant | None = None

    def hello(self, camera: str = "door", width: int = 64, height: int = 48, **other: int) -> Grant:
        """Say hello properly and keep the memory's descriptor."""
        pixel_format = other.pop("pixel_format", int(PixelFormat.BGR))
        self.send(Hello(camera, width, height, pixel_format, other.pop("slots", 4), **other))
        packet, fds, _, _ = socket.recv_fds(self.socket, MAX_MESSAGE_BYTES, 1)
        message = decode(packet)[1]
        assert isinstance(message, Grant), message
        (self.fd,) = fds
        self.grant = message
        return message

    def send(self, message: Message | bytes, *, request: int = 7) -> None:
        packet = message if isinstance(message, bytes) else encode(message, request=request)
        self.socket.send(packet, socket.MSG_NOSIGNAL)

    def receive(self) -> Message | None:
        """The next message; None at end-of-file."""
        try:
            packet = self.socket.recv(MAX_MESSAGE_BYTES + 1)
        except ConnectionError:
            return None
        return decode(packet)[1] if packet else None

    def expect_error(self, code: int) -> Error:
        message = self.receive()
        assert isinstance(message, Error), message
        assert message.code == code, message
        return message

    def loan(self) -> Loaned:
        self.send(Loan())
        message = self.receive()
        assert isinstance(message, Loaned), message
        return message

    def publish(self, loaned: Loaned, *, frame_id: int = 1, captured_ns: int = 0) -> None:
        self.send(Publish(loaned.generation, captured_ns, frame_id, loaned.slot))

    def close(self) -> None:
        self.socket.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def open_fds() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
