"""Protobuf messages as lists of fields: enough to change an ONNX file, and nothing is lost of the rest.

A message is read one level deep; what lies below stays bytes until somebody asks.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from livegate.core.errors import ErrorCode, SetupError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, how it is encoded, and its value: a number, or bytes."""

    number: int
    kind: int
    value: int | bytes

    @classmethod
    def of(cls, number: int, value: int | bytes | str) -> Field:
        """A field of a number, of bytes or of text."""
        if isinstance(value, int):
            return cls(number, VARINT, value)
        return cls(number, BYTES, value.encode() if isinstance(value, str) else value)

    @property
    def content(self) -> bytes:
        """The bytes of a text, a message or an array.

        Raises:
            SetupError: MODELINIT_FAIL: it is a number.
        """
        if isinstance(self.value, int):
            raise _damaged(f"field {self.number} is a number")
        return self.value

    @property
    def integer(self) -> int:
        """The number.

        Raises:
            SetupError: MODELINIT_FAIL: it is none.
        """
        if not isinstance(self.value, int):
            raise _damaged(f"field {self.number} is no number")
        return self.value

    @property
    def text(self) -> str:
        """The bytes as text."""
        return self.content.decode(errors="replace")


Message = list[Field]


def read_message(content: bytes) -> Message:
    """The fields of a message, in their order.

    Raises:
        SetupError: MODELINIT_FAIL for bytes that are no message.
    """
    fields, place = [], 0
    while place < len(content):
        key, place = _varint(content, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(content, place)
            fields.append(Field(number, kind, value))
            continue
        size = FIXED_BYTES.get(kind)
        if kind == BYTES:
            size, place = _varint(content, place)
        if size is None or number == 0 or place + size > len(content):
            raise _damaged(f"there is no field of kind {kind} and number {number} at byte {place}")
        fields.append(Field(number, kind, content[place : place + size]))
        place += size
    return fields


def write_message(fields: Iterable[Field]) -> bytes:
    """The bytes of a message."""
    parts = []
    for field in fields:
        parts.append(_encoded(field.number << 3 | field.kind))
        if isinstance(field.value, int):
            parts.append(_encoded(field.value))
            continue
        if field.kind == BYTES:
            parts.append(_encoded(len(field.value)))
        parts.append(field.value)
    return b"".join(parts)


def of_number(fields: Message, number: int) -> Iterator[Field]:
    """The fields of one number."""
    return (field for field in fields if field.number == number)


def integers(fields: Message, number: int) -> list[int]:
    """The numbers of a repeated field, packed or not."""
    found = []
    for field in of_number(fields, number):
        if isinstance(field.value, int):
            found.append(field.value)
            continue
        place = 0
        while place < len(field.value):
            value, place = _varint(field.value, place)
            found.append(value)
    return found


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(content[place : place + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + shift + 1
    raise _damaged(f"a number at byte {place} does not end")


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _damaged(why: str) -> SetupError:
    return SetupError(ErrorCode.MODELINIT_FAIL, f"this is no ONNX file: {why}")
