"""What a camera process imports to hand over frames without copying them.

    with FrameProducer("/run/livegate/frames.sock", camera="door", width=1280, height=720) as producer:
        while True:
            with producer.loan() as pixels:     # a slot in the server's memory, yours alone
                camera.read_into(pixels)        # published at the end of the block
            for result in producer.results():
                ...

A block that is left by an exception publishes nothing. `pixels` is not to be touched after its block:
the server reads there. One thread at a time; one producer for each camera.

A producer whose server went away says so (1024) at every call. It does not reconnect by itself, because
a camera that quietly skips frames looks like a camera that sees nobody: call `reconnect`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.frame import Pixels
from livegate.shm.geometry import SlotGeometry
from livegate.shm.layout import (
    MAX_MESSAGE_BYTES,
    Bye,
    Error,
    Grant,
    Hello,
    Loan,
    Loaned,
    Message,
    PixelFormat,
    Publish,
    Release,
    Result,
    Returned,
    decode,
    encode,
)
from livegate.shm.outcome import CODES, FrameResult, frame_result_from
from livegate.shm.segment import bytes_in_place, close_mapping

M = TypeVar("M", bound=Message)
KEPT_RESULTS = 256


class FrameProducer:
    """One camera's end of the frame queue."""

    def __init__(
        self,
        socket_path: str | os.PathLike[str],
        *,
        camera: str,
        width: int,
        height: int,
        pixel_format: Literal["BGR", "NV12"] = "BGR",
        slots: int = 4,
        timeout_s: float = 5.0,
        on_result: Callable[[FrameResult], None] | None = None,
    ) -> None:
        """Nothing is opened before `connect` or the with-block.

        Args:
            socket_path: the server's frames.socket.
            camera: 1 to 63 of A-Z a-z 0-9 . _ -; nobody else's.
            width: pixels.
            height: pixels.
            pixel_format: BGR: (H, W, 3); NV12: (H * 3 / 2, W), both sides even.
            slots: how many are asked for; the server may grant another number.
            timeout_s: how long an answer of the server may take.
            on_result: called by whichever method reads a result; without it `results` has them.
        """
        self._path = Path(socket_path)
        self._hello = Hello(camera, width, height, PixelFormat[pixel_format], slots)
        self._timeout_s = timeout_s
        self._on_result = on_result
        self._results: deque[FrameResult] = deque(maxlen=KEPT_RESULTS)
        self._socket: socket.socket | None = None
        self._map: mmap.mmap | None = None
        self._geometry: SlotGeometry | None = None
        self._grant: Grant | None = None
        self._request = 0
        self._frame_id = 0

    @property
    def slots(self) -> int:
        """How many slots the server granted; 0 before `connect`."""
        return self._grant.slots if self._grant else 0

    def fileno(self) -> int:
        """The socket's descriptor, for a selector: readable means that results came, or the end."""
        return self._connected().fileno()

    def connect(self) -> None:
        """Say hello and map the memory that the server makes for us.

        Raises:
            LiveGateError: CONNECTION_FAILURE when no server answers at the path; EXIST when connected;
                else the server's refusal.
        """
        if self._socket is not None:
            raise RequestError(ErrorCode.EXIST, "the producer is connected already")
        self._socket = self._dialled()
        try:
            self._send(self._hello)
            grant, fd = self._receive_grant()
            try:
                self._map = mmap.mmap(fd, grant.segment_bytes)
            finally:
                os.close(fd)
        except BaseException:
            self.close()
            raise
        self._grant = grant
        self._geometry = SlotGeometry(
            self._hello.width,
            self._hello.height,
            PixelFormat(self._hello.pixel_format),
            grant.stride,
        )

    def reconnect(self) -> None:
        """`close`, then `connect`; what was published before gets no result any more."""
        self.close()
        self.connect()

    def close(self) -> None:
        """Say goodbye and let go; arrays of a loan keep the memory alive, but nobody reads it."""
        connection, self._socket = self._socket, None
        mapping, self._map = self._map, None
        self._grant = None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.send(encode(Bye()), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            connection.close()
        if mapping is not None:
            close_mapping(mapping)

    @contextlib.contextmanager
    def loan(
        self,
        *,
        frame_id: int | None = None,
        captured_ns: int | None = None,
        timeout_s: float = 0.0,
    ) -> Iterator[Pixels]:
        """A slot to write, published at the end of the block.

        Args:
            frame_id: comes back in the result; without it, one more than the last.
            captured_ns: CLOCK_MONOTONIC; without it, now.
            timeout_s: how long to wait for a slot, up to the server's frames.block_timeout_ms.

        Raises:
            LiveGateError: QUEUE_FULL when no slot is free: skip the frame; CONNECTION_CLOSE when the
                server is gone.
        """
        taken_ns = time.monotonic_ns() if captured_ns is None else captured_ns
        loaned = self._ask(Loan(int(timeout_s * 1e3)), Loaned, extra_s=timeout_s)
        try:
            yield self._pixels(loaned)
        except BaseException:
            # The caller's own error matters more than a server that left meanwhile.
            with contextlib.suppress(LiveGateError):
                self._ask(Release(loaned.generation, loaned.slot), Returned)
            raise
        self._frame_id = self._frame_id + 1 if frame_id is None else frame_id
        self._send(Publish(loaned.generation, taken_ns, self._frame_id, loaned.slot))

    @property
    def frame_id(self) -> int:
        """Of the frame that was published last."""
        return self._frame_id

    def results(self, *, timeout_s: float = 0.0) -> tuple[FrameResult, ...]:
        """What came since the last call, oldest first; waits for the first one up to the timeout.

        Raises:
            LiveGateError: CONNECTION_CLOSE when the server is gone and every result was read; or what
                the server refused a publish with.
        """
        deadline = time.monotonic() + timeout_s
        wait_s = 0.0 if self._results else timeout_s
        try:
            while (answer := self._receive(wait_s)) is not None:
                self._keep(answer[1])
                wait_s = 0.0 if self._results else max(0.0, deadline - time.monotonic())
        except LiveGateError:
            if not self._results:
                raise
        found = tuple(self._results)
        self._results.clear()
        return found

    def __enter__(self) -> FrameProducer:
        """Connected."""
        if self._socket is None:
            self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closed."""
        self.close()

    def _dialled(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Not settimeout: with it a backlog that is full for a moment is an error at once (EAGAIN).
        seconds, fraction = divmod(self._timeout_s, 1)
        limit = struct.pack("ll", int(seconds), int(fraction * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        try:
            connection.connect(os.fspath(self._path))
        except OSError as error:
            connection.close()
            raise LiveGateError(
                ErrorCode.CONNECTION_FAILURE,
                f"no frame queue answers at {self._path}: {error.strerror or error}",
                hint="is the server running, and is frames.socket this path?",
            ) from error
        connection.settimeout(self._timeout_s)
        return connection

    def _receive_grant(self) -> tuple[Grant, int]:
        connection = self._connected()
        try:
            packet, fds, _, _ = socket.recv_fds(
                connection, MAX_MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            raise _late_or_gone(error, self._timeout_s) from error
        try:
            answer = self._answer(packet, self._request, Grant)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        if answer is None or not fds:
            raise RequestError(ErrorCode.INVALID_PARAM, "the server's grant came without memory")
        return answer, fds[0]

    def _pixels(self, loaned: Loaned) -> Pixels:
        if self._map is None or self._geometry is None:
            raise _gone()
        return self._geometry.shape(bytes_in_place(self._map, loaned.offset, self._geometry))

    def _ask(self, message: Message, kind: type[M], *, extra_s: float = 0.0) -> M:
        """Send, then read until the answer comes; results that come before it are kept."""
        request = self._send(message)
        deadline = time.monotonic() + self._timeout_s + extra_s
        while (left_s := deadline - time.monotonic()) > 0:
            received = self._receive(left_s)
            if received is None:
                break
            answer = self._checked(*received, request, kind)
            if answer is not None:
                return answer
        raise LiveGateError(
            ErrorCode.TIMEOUT,
            f"the server did not answer {type(message).__name__} in {self._timeout_s:g} s",
            hint="reconnect",
        )

    def _answer(self, packet: bytes, request: int, kind: type[M]) -> M | None:
        if not packet:
            raise _gone()
        return self._checked(*decode(packet), request, kind)

    def _checked(self, request: int, message: Message, asked: int, kind: type[M]) -> M | None:
        """The answer to what was asked; None for a result, which is kept."""
        if request == asked and isinstance(message, kind):
            return message
        self._keep(message)
        return None

    def _keep(self, message: Message) -> None:
        """Take in what nobody asked for."""
        if isinstance(message, Result):
            result = frame_result_from(message)
            if self._on_result is None:
                self._results.append(result)
            else:
                self._on_result(result)
        elif isinstance(message, Error):
            raise LiveGateError(CODES.get(message.code, ErrorCode.INNER), message.text)
        elif isinstance(message, Bye):
            raise _gone()

    def _send(self, message: Message) -> int:
        self._request = self._request % 0xFFFFFFFF + 1
        connection = self._connected()
        try:
            connection.settimeout(self._timeout_s)
            connection.send(encode(message, request=self._request), socket.MSG_NOSIGNAL)
        except OSError as error:
            raise self._why_gone(error) from error
        return self._request

    def _receive(self, timeout_s: float) -> tuple[int, Message] | None:
        """The next message; None at the timeout."""
        connection = self._connected()
        connection.settimeout(max(0.0, timeout_s))
        try:
            packet = connection.recv(MAX_MESSAGE_BYTES)
        except (BlockingIOError, TimeoutError):
            return None
        except OSError as error:
            raise _gone() from error
        if not packet:
            raise _gone()
        return decode(packet)

    def _why_gone(self, error: OSError) -> LiveGateError:
        """A send failed: the server may have left its reason in what we have not read yet."""
        try:
            while (received := self._receive(0.0)) is not None:
                self._keep(received[1])
        except LiveGateError as reason:
            return reason
        return _late_or_gone(error, self._timeout_s)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise LiveGateError(
                ErrorCode.CONNECTION_CLOSE, "the producer is not connected", hint="call connect"
            )
        return self._socket


def _gone() -> LiveGateError:
    return LiveGateError(
        ErrorCode.CONNECTION_CLOSE, "the server closed the frame queue", hint="call reconnect"
    )


def _late_or_gone(error: OSError, timeout_s: float) -> LiveGateError:
    if isinstance(error, TimeoutError):
        return LiveGateError(
            ErrorCode.TIMEOUT, f"the server did not answer in {timeout_s:g} s", hint="reconnect"
        )
    return _gone()
