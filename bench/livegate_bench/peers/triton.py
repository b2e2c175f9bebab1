"""The few messages of Triton's inference protocol that one picture needs, without a package of theirs.

A request is a head that never changes and the picture as the raw content of a UINT8 tensor; an answer's
only output is a UINT8 tensor whose raw content is JSON.

Source: the Open Inference Protocol's grpc_predict_v2.proto; protobuf's encoding.
"""

from __future__ import annotations

from livegate_bench.system import Refused

INFER = "/inference.GRPCInferenceService/ModelInfer"
BYTES, VARINT = 2, 0
MODEL, INPUTS, RAW_INPUTS, RAW_OUTPUTS = 1, 5, 7, 6
NAME, DATATYPE, SHAPE = 1, 2, 3


def request(model: str, picture: bytes) -> bytes:
    """ModelInferRequest: the input `picture`, (N,) uint8."""
    shape = _field(SHAPE, _varint(len(picture)))
    tensor = _field(NAME, b"picture") + _field(DATATYPE, b"UINT8") + shape
    head = _field(MODEL, model.encode()) + _field(INPUTS, tensor)
    return head + _field(RAW_INPUTS, picture)


def raw_output(response: bytes) -> bytes:
    """The first raw content of a ModelInferResponse.

    Raises:
        Refused: there is none.
    """
    place = 0
    while place < len(response):
        key, place = _read_varint(response, place)
        if key & 7 == VARINT:
            _, place = _read_varint(response, place)
            continue
        if key & 7 != BYTES:
            break
        size, place = _read_varint(response, place)
        if key >> 3 == RAW_OUTPUTS:
            return response[place : place + size]
        place += size
    raise Refused("NoAnswer")


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _read_varint(text: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(text):
            raise Refused("NoAnswer")
        byte = text[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
