"""The messages of proto/livegate_shm.h as frozen values.

The header file is the contract and says how a conversation goes; a test compiles it and compares
every size and offset with the codes below. Nothing here is trusted to be in range: a message that
decodes has the right size, version and type, and no more than that.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import msgspec

from livegate.core.config import CAMERA_PATTERN
from livegate.core.errors import ErrorCode, RequestError

MAGIC = 0x4D53474C
VERSION = 1
CAMERA_BYTES = 64
TEXT_BYTES = 200
HEADER = struct.Struct("<IHHII")
_BEGIN = struct.Struct("<IHHI")
"""The header up to the request: the same in all messages of a type."""
CAP_RESULTS = 1
CAP_RELOAN = 2
CAMERA_NAME = re.compile(CAMERA_PATTERN)


class MessageType(IntEnum):
    """livegate_shm_type."""

    HELLO = 1
    GRANT = 2
    LOAN = 3
    LOANED = 4
    PUBLISH = 5
    RESULT = 6
    RELEASE = 7
    RETURNED = 8
    BYE = 9
    ERROR = 10
    RELOANED = 11


class PixelFormat(IntEnum):
    """livegate_shm_pixel_format."""

    BGR = 1
    NV12 = 2


class DropReason(IntEnum):
    """livegate_shm_reason: why a published frame has no verdict. JUDGED: it had its turn."""

    JUDGED = 0
    REPLACED = 1
    REJECTED = 2
    EXPIRED = 3
    STOPPED = 4
    GONE = 5


class Message(msgspec.Struct, frozen=True):
    """One packet. CODES are struct codes of the fields, in order; `x` is reserved space."""

    TYPE: ClassVar[MessageType]
    CODES: ClassVar[str]


class Hello(Message, frozen=True):
    """A producer names its camera and what it wants; sizes in pixels."""

    TYPE: ClassVar[MessageType] = MessageType.HELLO
    CODES: ClassVar[str] = f"{CAMERA_BYTES}s I I I I Q"
    camera: str
    width: int
    height: int
    pixel_format: int
    slots: int
    capabilities: int = CAP_RESULTS


class Grant(Message, frozen=True):
    """The memory that rides along: where its slots are, in bytes."""

    TYPE: ClassVar[MessageType] = MessageType.GRANT
    CODES: ClassVar[str] = "Q Q Q Q Q I I I I"
    segment_id: int
    segment_bytes: int
    first_offset: int
    slot_bytes: int
    capabilities: int
    slots: int
    stride: int
    uv_offset: int
    uv_stride: int


class Loan(Message, frozen=True):
    """May I have a slot; the answer may wait this long for one. I have read so many RELOANED."""

    TYPE: ClassVar[MessageType] = MessageType.LOAN
    CODES: ClassVar[str] = "I I"
    wait_ms: int = 0
    reloaned: int = 0


class Loaned(Message, frozen=True):
    """A slot that is the producer's alone."""

    TYPE: ClassVar[MessageType] = MessageType.LOANED
    CODES: ClassVar[str] = "Q Q I 4x"
    generation: int
    offset: int
    slot: int


class Publish(Message, frozen=True):
    """The slot is written; from here on it is the server's."""

    TYPE: ClassVar[MessageType] = MessageType.PUBLISH
    CODES: ClassVar[str] = "Q Q Q I 4x"
    generation: int
    captured_ns: int
    frame_id: int
    slot: int


class Result(Message, frozen=True):
    """What became of one published frame."""

    TYPE: ClassVar[MessageType] = MessageType.RESULT
    CODES: ClassVar[str] = "Q Q Q Q I I I I I I f f f f f I"
    frame_id: int
    generation: int
    queue_ns: int
    work_ns: int
    slot: int
    code: int
    reason: int
    decision: int = 0
    algo_task: int = 0
    faces: int = 0
    score: float = 0.0
    x: float = 0.0
    y: float = 0.0
    face_width: float = 0.0
    face_height: float = 0.0
    gate: int = 0


class Reloaned(Result, frozen=True):
    """A result whose slot is the producer's again, under the next generation."""

    TYPE: ClassVar[MessageType] = MessageType.RELOANED


class Release(Message, frozen=True):
    """A loan goes back unpublished."""

    TYPE: ClassVar[MessageType] = MessageType.RELEASE
    CODES: ClassVar[str] = "Q I 4x"
    generation: int
    slot: int


class Returned(Message, frozen=True):
    """The answer to Release."""

    TYPE: ClassVar[MessageType] = MessageType.RETURNED
    CODES: ClassVar[str] = "Q I 4x"
    generation: int
    slot: int


class Bye(Message, frozen=True):
    """The last word of either side."""

    TYPE: ClassVar[MessageType] = MessageType.BYE
    CODES: ClassVar[str] = ""


class Error(Message, frozen=True):
    """A message was refused; after a fatal one the server closes."""

    TYPE: ClassVar[MessageType] = MessageType.ERROR
    CODES: ClassVar[str] = f"I I {TEXT_BYTES}s"
    code: int
    is_fatal: int
    text: str


MESSAGES: tuple[type[Message], ...] = (
    Hello, Grant, Loan, Loaned, Publish, Result, Release, Returned, Bye, Error, Reloaned,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Wire:
    """How a type of messages is packed: what each begins with, and the rest from its request on."""

    kind: type[Message]
    size: int
    begin: bytes
    rest: struct.Struct
    has_text: bool


def _wire_of(kind: type[Message]) -> _Wire:
    rest = struct.Struct(f"<I {kind.CODES}")
    size = _BEGIN.size + rest.size
    begin = _BEGIN.pack(MAGIC, VERSION, kind.TYPE, size)
    return _Wire(kind, size, begin, rest, has_text="s" in kind.CODES)


_WIRES = {int(kind.TYPE): _wire_of(kind) for kind in MESSAGES}
_BY_BEGIN = {wire.begin: wire for wire in _WIRES.values()}
MAX_MESSAGE_BYTES = max(wire.size for wire in _WIRES.values())


def granted(capabilities: int) -> int:
    """What a producer gets of what it asks for; no slot comes back with a result that is not sent."""
    return capabilities & (CAP_RESULTS | CAP_RELOAN) if capabilities & CAP_RESULTS else 0


def message_bytes(kind: type[Message]) -> int:
    """The size of a message on the wire, header included."""
    return _WIRES[kind.TYPE].size


def encode(message: Message, *, request: int = 0) -> bytes:
    """One packet; texts are cut to their field, on a character's border."""
    wire = _WIRES[message.TYPE]
    values = msgspec.structs.astuple(message)
    if wire.has_text:
        values = tuple(_to_wire(value, message) for value in values)
    return wire.begin + wire.rest.pack(request, *values)


def decode(packet: bytes) -> tuple[int, Message]:
    """A packet as (request, message).

    Raises:
        RequestError: INVALID_PARAM when it is no message of ours or has another size than its type;
            UNREALIZED for another version.
    """
    wire = _BY_BEGIN.get(packet[: _BEGIN.size])
    if wire is None or len(packet) != wire.size:
        raise _refused(packet)
    request, *values = wire.rest.unpack_from(packet, _BEGIN.size)
    if wire.has_text:
        try:
            values = [_from_wire(value) for value in values]
        except UnicodeDecodeError as error:
            raise _unreadable(f"a text in {wire.kind.__name__} is not UTF-8") from error
    return request, wire.kind(*values)


def request_of(packet: bytes) -> int:
    """The request number of a packet that may be unreadable; 0 when it is too short to say."""
    return int(HEADER.unpack_from(packet)[4]) if len(packet) >= HEADER.size else 0


def field_offsets(kind: type[Message]) -> dict[str, int]:
    """Where each field of a message begins, in bytes from the start of the packet."""
    offsets: dict[str, int] = {}
    at = HEADER.size
    names = iter(kind.__struct_fields__)
    for code in kind.CODES.split():
        if not code.endswith("x"):
            offsets[next(names)] = at
        at += struct.calcsize(f"<{code}")
    return offsets


def _refused(packet: bytes) -> RequestError:
    """Why a packet is no message of ours."""
    if len(packet) < HEADER.size:
        return _unreadable(f"a packet of {len(packet)} bytes, a header has {HEADER.size}")
    magic, version, kind_number, size, _ = HEADER.unpack_from(packet)
    if magic != MAGIC:
        return _unreadable(f"the packet begins with {magic:#010x}, not with {MAGIC:#010x}")
    if version != VERSION:
        return RequestError(
            ErrorCode.UNREALIZED,
            f"the message has version {version}, this side speaks {VERSION}",
            hint="build both sides from the same proto/livegate_shm.h",
        )
    wire = _WIRES.get(kind_number)
    if wire is None:
        return _unreadable(f"there is no message type {kind_number}")
    return _unreadable(f"{wire.kind.__name__} says {size} bytes and has {len(packet)}, not {wire.size}")


def _unreadable(fact: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_PARAM, fact, hint="proto/livegate_shm.h says what a packet is")


def _to_wire(value: Any, message: Message) -> Any:
    if not isinstance(value, str):
        return value
    room = (CAMERA_BYTES if isinstance(message, Hello) else TEXT_BYTES) - 1
    return value.encode()[:room].decode(errors="ignore").encode()


def _from_wire(value: Any) -> Any:
    return value.partition(b"\0")[0].decode() if isinstance(value, bytes) else value
