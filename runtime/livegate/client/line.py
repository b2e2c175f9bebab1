"""The socket half of a producer: packets out, answers in, results kept on the way.

For one thread. Results may come at any time, so whoever waits for an answer reads them first; a slot
that comes back with one is kept for the next frame.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.results import GateDecision
from livegate.shm.layout import (
    MAX_MESSAGE_BYTES,
    Bye,
    Error,
    Grant,
    Hello,
    Loan,
    Loaned,
    Message,
    Publish,
    Reloaned,
    Result,
    decode,
    encode,
)
from livegate.shm.outcome import CODES, FrameResult, frame_result_from
from livegate.shm.ring import HEARD, Ticket

M = TypeVar("M", bound=Message)
KEPT_RESULTS = 256
MAX_POLL_MS = 2**31 - 1
MAX_OPEN_AGE_NS = 1_000_000_000


class FrameLine:
    """One connection to a server's frame queue."""

    def __init__(
        self, path: Path, timeout_s: float, on_result: Callable[[FrameResult], None] | None
    ) -> None:
        """Dial.

        Raises:
            LiveGateError: CONNECTION_FAILURE when no server answers at the path.
        """
        self._results: deque[tuple[FrameResult, int | None]] = deque(maxlen=KEPT_RESULTS)
        """OPEN with the time when the server told, as far as this side knows."""
        self._heard = 0
        """How many results were read."""
        self._owed: LiveGateError | None = None
        """What was refused while results were read: they come first."""
        self._timeout_s = timeout_s
        self._on_result = on_result
        self._request = 0
        self._reloans = 0
        """How many RELOANED were read, modulo 2**32."""
        self._back: Ticket | None = None
        """The loan that came without being waited for."""
        self._used: dict[int, int] = {}
        """By slot, the generation that was given out last: what comes late is not given out again."""
        self._gone_ns: dict[int, int] = {}
        """By slot, when it was given out or, if it was since, published."""
        self._asked = 0
        """The number of the last LOAN."""
        self._socket = _dialled(path, timeout_s)
        self._comes = select.poll()
        self._comes.register(self._socket, select.POLLIN)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Say goodbye and hang up."""
        with contextlib.suppress(OSError):
            self._socket.send(encode(Bye()), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        self._socket.close()

    def greet(self, hello: Hello) -> tuple[Grant, int]:
        """Say hello; the grant and the memory's descriptor, which is the caller's to close.

        Raises:
            LiveGateError: the server's refusal.
        """
        request = self.send(hello)
        if not self._comes.poll(min(self._timeout_s * 1e3, MAX_POLL_MS)):
            raise self._late("HELLO")
        try:
            packet, fds, _, _ = socket.recv_fds(
                self._socket, MAX_MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            raise gone() from error
        try:
            if not packet:
                raise gone()
            answer = self._checked(*decode(packet), request, Grant)
            if answer is None or len(fds) != 1:
                raise RequestError(ErrorCode.INVALID_PARAM, "the server's grant came without memory")
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return answer, fds[0]

    def ask(self, message: Message, kind: type[M], *, extra_s: float = 0.0) -> M:
        """Send, then read until the answer comes.

        Raises:
            LiveGateError: the server's refusal; TIMEOUT; CONNECTION_CLOSE.
        """
        request = self.send(message)
        deadline = time.monotonic() + self._timeout_s + extra_s
        while received := self._receive(deadline - time.monotonic()):
            answer = self._checked(*received, request, kind)
            if answer is not None:
                return answer
        raise self._late(type(message).__name__)

    def loan(self, timeout_s: float) -> Ticket:
        """A slot to write: the one that came back with a result, or one that is asked for.

        All that has come is taken in first: a slot must not hide that the server is gone.

        Raises:
            LiveGateError: QUEUE_FULL when none is free until the timeout; else as `ask` and `read`.
        """
        while self.read(0.0):
            pass
        ticket = self._back or self._lent(timeout_s)
        self._back = None  # also what came back meanwhile
        self._used[ticket.slot] = ticket.generation
        self._gone_ns[ticket.slot] = time.monotonic_ns()
        return ticket

    def publish(self, message: Publish) -> None:
        """Hand a written slot over. Raises as `send`."""
        self._gone_ns[message.slot] = time.monotonic_ns()
        self.send(message)

    def take(self, timeout_s: float) -> tuple[FrameResult, ...]:
        """The results that came, oldest first; waits for the first one up to the timeout.

        Raises:
            LiveGateError: as `read`, at the call after the results that came before.
        """
        deadline, before = time.monotonic() + timeout_s, self._heard - len(self._results)
        try:
            while self._owed is None:
                wait_s = deadline - time.monotonic() if self._heard == before else 0.0
                if not self.read(wait_s):
                    break
        except LiveGateError as error:
            self._owed = error
        found = tuple(
            result if told_ns is None else _fresh(result, told_ns) for result, told_ns in self._results
        )
        self._results.clear()
        owed = self._owed
        if owed is not None and not found:
            self._owed = None
            raise owed
        return found

    def _lent(self, timeout_s: float) -> Ticket:
        """A slot that is asked for. Raises as `loan`."""
        try:
            asked = self.ask(Loan(int(timeout_s * 1e3), self._reloans), Loaned, extra_s=timeout_s)
        except LiveGateError as error:
            # One may have come back while it was refused.
            if self._back is None or error.code not in (ErrorCode.QUEUE_FULL, ErrorCode.FULL):
                raise
            return self._back
        return Ticket(asked.slot, asked.generation)

    def _came_back(self, ticket: Ticket) -> None:
        if ticket.generation > self._used.get(ticket.slot, 0):
            self._back = ticket

    def _told_ns(self, message: Result) -> int:
        """When the server told: it says how long it had the frame. 0 where the frame is not known."""
        if self._used.get(message.slot) != message.generation:
            return 0
        return self._gone_ns[message.slot] + message.queue_ns + message.work_ns

    def send(self, message: Message) -> int:
        """Send a message; its request number.

        Raises:
            LiveGateError: CONNECTION_CLOSE, or the reason that the server gave before it hung up.
        """
        self._request = self._request % 0xFFFFFFFF + 1
        if isinstance(message, Loan):
            self._asked = self._request
        try:
            self._socket.send(encode(message, request=self._request), socket.MSG_NOSIGNAL)
        except OSError as error:
            raise self._why_gone(error) from error
        return self._request

    def read(self, timeout_s: float) -> bool:
        """Take in one message that nobody asked for; False when none came.

        Raises:
            LiveGateError: CONNECTION_CLOSE, or what the server refused a publish with.
        """
        received = self._receive(timeout_s)
        if received is not None:
            self._keep(*received)
        return received is not None

    def _checked(self, request: int, message: Message, asked: int, kind: type[M]) -> M | None:
        """The answer to what was asked; None for anything else, which is kept."""
        if request == asked and isinstance(message, kind):
            return message
        if request == asked and isinstance(message, Error):
            raise _refusal(message)
        self._keep(request, message)
        return None

    def _keep(self, request: int, message: Message) -> None:
        if isinstance(message, Result):
            if isinstance(message, Reloaned):
                self._came_back(Ticket(message.slot, message.generation + 1))
                self._reloans = (self._reloans + 1) % HEARD
            self._heard += 1
            result = frame_result_from(message)
            told_ns = self._told_ns(message) if result.outcome.gate is GateDecision.OPEN else None
            if self._on_result is None:
                self._results.append((result, told_ns))
            else:
                self._on_result(result if told_ns is None else _fresh(result, told_ns))
        elif isinstance(message, Loaned):  # whoever asked has given up waiting
            self._came_back(Ticket(message.slot, message.generation))
        elif isinstance(message, Error):
            if request == 0 or request != self._asked:  # else whoever asked does not wait any more
                raise _refusal(message)
        elif isinstance(message, Bye):
            raise gone()

    def _receive(self, timeout_s: float) -> tuple[int, Message] | None:
        """The next message; None at the timeout."""
        if not self._comes.poll(0 if timeout_s <= 0 else min(timeout_s * 1e3, MAX_POLL_MS)):
            return None
        try:
            packet = self._socket.recv(MAX_MESSAGE_BYTES)
        except OSError as error:
            raise gone() from error
        if not packet:
            raise gone()
        return decode(packet)

    def _why_gone(self, error: OSError) -> LiveGateError:
        """A send failed: the server may have left its reason in what we have not read yet."""
        try:
            while self.read(0.0):
                pass
        except LiveGateError as reason:
            return reason
        return self._late("a message") if isinstance(error, BlockingIOError) else gone()

    def _late(self, what: str) -> LiveGateError:
        return LiveGateError(
            ErrorCode.TIMEOUT,
            f"the server did not answer {what} in {self._timeout_s:g} s",
            hint="reconnect",
        )


def _fresh(result: FrameResult, told_ns: int) -> FrameResult:
    """An OPEN that nobody took in time is turned into HOLD: the person has gone on."""
    if time.monotonic_ns() - told_ns <= MAX_OPEN_AGE_NS:
        return result
    return replace(result, outcome=replace(result.outcome, gate=GateDecision.HOLD))


def _refusal(message: Error) -> LiveGateError:
    return LiveGateError(CODES.get(message.code, ErrorCode.INNER), message.text)


def gone() -> LiveGateError:
    """1024."""
    return LiveGateError(
        ErrorCode.CONNECTION_CLOSE, "the server closed the frame queue", hint="call reconnect"
    )


def _dialled(path: Path, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # A limit for connect and send. Not settimeout, or somebody's setdefaulttimeout: with it a backlog
    # that is full for a moment is an error at once (EAGAIN), and each call costs another.
    connection.setblocking(True)
    seconds, fraction = divmod(max(timeout_s, 1e-6), 1)  # 0 would be for ever
    limit = struct.pack("ll", int(seconds), int(fraction * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    try:
        connection.connect(os.fspath(path))
    except OSError as error:
        connection.close()
        raise LiveGateError(
            ErrorCode.CONNECTION_FAILURE,
            f"no frame queue answers at {path}: {error.strerror or error}",
            hint="is the server running, and is frames.socket this path?",
        ) from error
    return connection
