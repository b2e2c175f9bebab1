"""The conversation with one producer.

One thread for each: it blocks in recv, which is the cheapest way to wait for one peer, may wait for a
slot or a place in the queue without anyone else noticing, and sees the peer's end-of-file as soon as
the kernel knows of its death. Results are sent by whoever has judged the frame; a send never waits.

A refused ticket is answered and the conversation goes on. What no honest producer sends (an unreadable
packet, another version, a message out of turn, a flood) is answered once and ends it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from livegate.core.errors import ErrorCode, LiveGateError, RequestError, as_livegate_error
from livegate.shm.flood import MessageAllowance
from livegate.shm.layout import (
    CAP_RESULTS,
    MAX_MESSAGE_BYTES,
    Bye,
    Error,
    Grant,
    Hello,
    Loan,
    Loaned,
    Message,
    Publish,
    Release,
    Result,
    Returned,
    decode,
    encode,
    granted,
    request_of,
)
from livegate.shm.ring import Ticket
from livegate.shm.source import Answer, FrameSource

HELLO_TIMEOUT_S = 2.0
"""A peer that says nothing must not keep its place among the connections."""

NEVER_WAIT = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


@dataclass(frozen=True, slots=True)
class Peer:
    """Who connected, as the kernel says."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """The credentials that the peer had when it connected (SO_PEERCRED)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return Peer(*struct.unpack("3i", raw))


class Host(Protocol):
    """What a conversation needs of the broker."""

    def admit(self, hello: Hello, peer: Peer, answer: Answer) -> FrameSource:
        """Make a producer's memory and let it take part."""

    def dismiss(self, source: FrameSource) -> None:
        """A producer is gone."""

    def refused(self, error: LiveGateError, peer: Peer, *, is_fatal: bool) -> None:
        """A message or a connection was refused."""


class ProducerConnection:
    """One accepted connection; `serve` runs in a thread of its own."""

    def __init__(
        self,
        connection: socket.socket,
        peer: Peer,
        host: Host,
        allowance: MessageAllowance,
        *,
        max_wait_s: float,
    ) -> None:
        """`max_wait_s` bounds every wait for a slot or a place, and so the time to see a death."""
        self.peer = peer
        self._socket = connection
        self._host = host
        self._allowance = allowance
        self._max_wait_s = max_wait_s
        self._source: FrameSource | None = None
        self._request = 0
        self._capabilities = 0
        self._send_lock = threading.Lock()
        self._handlers: dict[type[Message], Callable[[FrameSource, Message], None]] = {
            Loan: self._loan,
            Publish: self._publish,
            Release: self._release,
        }

    def serve(self) -> None:
        """Talk until the peer or we have enough; then everything of it is reclaimed."""
        try:
            self._greet()
            while (packet := self._receive()) is not None and self._handle(packet):
                pass
        except LiveGateError as error:
            self._refuse(error, is_fatal=True)
        except OSError:
            pass  # the peer is gone; there is nobody to tell
        except Exception as error:  # noqa: BLE001 - one producer must not end the thread unseen
            self._refuse(as_livegate_error(error), is_fatal=True)
        finally:
            self._end()

    def hang_up(self) -> None:
        """Say goodbye and wake `serve`; any thread may call this."""
        self._send(encode(Bye()))
        with self._send_lock, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def answer(self, result: Result) -> bool:
        """Send a result if the producer wants any; False when it is gone or does not read."""
        return not self._capabilities & CAP_RESULTS or self._send(encode(result))

    def _greet(self) -> None:
        self._socket.settimeout(HELLO_TIMEOUT_S)
        try:
            packet = self._receive()
        except TimeoutError as error:
            raise RequestError(
                ErrorCode.TIMEOUT, f"no HELLO came within {HELLO_TIMEOUT_S:g} s"
            ) from error
        self._socket.settimeout(None)
        if packet is None:
            return
        hello = self._decoded(packet)
        if not isinstance(hello, Hello):
            raise RequestError(
                ErrorCode.NOT_INIT,
                f"the first message is {type(hello).__name__}",
                hint="say HELLO first",
            )
        self._capabilities = granted(hello.capabilities)
        self._source = self._host.admit(hello, self.peer, self.answer)
        self._grant(self._source)

    def _grant(self, source: FrameSource) -> None:
        segment, geometry = source.segment, source.segment.geometry
        grant = Grant(
            segment_id=segment.id,
            segment_bytes=segment.total_bytes,
            first_offset=segment.offset(0),
            slot_bytes=geometry.slot_bytes,
            capabilities=self._capabilities,
            slots=segment.slots,
            stride=geometry.stride,
            uv_offset=geometry.uv_offset,
            uv_stride=geometry.uv_stride,
        )
        self._send(encode(grant, request=self._request), fd=segment.fd)

    def _receive(self) -> bytes | None:
        """The next packet; None at end-of-file. Descriptors that ride along are closed by the kernel."""
        packet = self._socket.recv(MAX_MESSAGE_BYTES + 1)
        if not packet:
            return None
        self._allowance.spend()
        return packet

    def _decoded(self, packet: bytes) -> Message:
        try:
            self._request, message = decode(packet)
        except RequestError:
            self._request = request_of(packet)
            raise
        return message

    def _handle(self, packet: bytes) -> bool:
        """Do what a message asks; False when it was the last one."""
        message = self._decoded(packet)
        if isinstance(message, Bye) or self._source is None:
            return False
        handler = self._handlers.get(type(message))
        if handler is None:
            raise _out_of_turn(message)
        try:
            handler(self._source, message)
        except LiveGateError as error:
            self._refuse(error, is_fatal=False)
        return True

    def _loan(self, source: FrameSource, message: Message) -> None:
        assert isinstance(message, Loan)
        wait_s = min(message.wait_ms / 1e3, self._max_wait_s)
        ticket = source.loan(timeout_s=wait_s, heard=message.reloaned)
        offset = source.segment.offset(ticket.slot)
        self._reply(Loaned(ticket.generation, offset, ticket.slot))

    def _publish(self, source: FrameSource, message: Message) -> None:
        assert isinstance(message, Publish)
        source.publish(
            Ticket(message.slot, message.generation),
            captured_ns=message.captured_ns,
            frame_id=message.frame_id,
            timeout_s=self._max_wait_s,
        )

    def _release(self, source: FrameSource, message: Message) -> None:
        assert isinstance(message, Release)
        source.discard(Ticket(message.slot, message.generation))
        self._reply(Returned(message.generation, message.slot))

    def _reply(self, message: Message) -> None:
        """Answer a message. A peer that asks and does not read the answers is hung up on.

        Raises:
            ConnectionAbortedError: the answer could not be sent.
        """
        if not self._send(encode(message, request=self._request)):
            raise ConnectionAbortedError("the peer does not read its answers, or is gone")

    def _refuse(self, error: LiveGateError, *, is_fatal: bool) -> None:
        self._host.refused(error, self.peer, is_fatal=is_fatal)
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        message = Error(error.code, int(is_fatal), text)
        if is_fatal:
            self._send(encode(message, request=self._request))
        else:
            self._reply(message)

    def _send(self, packet: bytes, *, fd: int | None = None) -> bool:
        """Send without waiting; False when the peer does not read or is gone."""
        # The lock keeps another thread from sending into a descriptor that was closed and given to
        # somebody else meanwhile.
        with self._send_lock:
            try:
                if fd is None:
                    self._socket.send(packet, NEVER_WAIT)
                else:
                    socket.send_fds(self._socket, [packet], [fd], NEVER_WAIT)
            except OSError:
                return False
        return True

    def _end(self) -> None:
        source, self._source = self._source, None
        try:
            if source is not None:
                self._host.dismiss(source)
        finally:
            with self._send_lock:
                close_after_last_word(self._socket)


def refuse_at_the_door(connection: socket.socket, error: LiveGateError) -> None:
    """Tell a peer why it is not let in, and close; never waits."""
    packet = encode(Error(error.code, 1, f"{error.message} ({error.hint})"))
    with contextlib.suppress(OSError):
        connection.send(packet, NEVER_WAIT)
    close_after_last_word(connection)


def close_after_last_word(connection: socket.socket) -> None:
    """Close so that the peer can read what we said last.

    A Unix socket that is closed with packets unread resets its peer, whose next recv then fails
    before it gives what was sent. So nothing more is let in, and what came is thrown away.
    """
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
        while connection.recv(1, socket.MSG_DONTWAIT):
            pass
    connection.close()


def _out_of_turn(message: Message) -> RequestError:
    if isinstance(message, Hello):
        return RequestError(
            ErrorCode.EXIST, "a second HELLO came", hint="open one connection for each camera"
        )
    return RequestError(
        ErrorCode.INVALID_PARAM,
        f"{type(message).__name__} is not a producer's message",
        hint="proto/livegate_shm.h says who sends what",
    )
