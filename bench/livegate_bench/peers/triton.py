"""The few messages of Triton's inference protocol that one picture needs, without a package of theirs.

A request is a head that never changes and the picture as the raw content of a UINT8 tensor, or the name
of a shared-memory region that holds it; an answer's only output is a UINT8 tensor whose raw content is
JSON.

Source: the Open Inference Protocol's grpc_predict_v2.proto; protobuf's encoding.
"""

from __future__ import annotations

from livegate_bench.system import Refused

INFER = "/inference.GRPCInferenceService/ModelInfer"
REGISTER = "/inference.GRPCInferenceService/SystemSharedMemoryRegister"
BYTES, VARINT = 2, 0
MODEL, INPUTS, RAW_INPUTS, RAW_OUTPUTS = 1, 5, 7, 6
NAME, DATATYPE, SHAPE, PARAMETERS = 1, 2, 3, 4
KEY, VALUE = 1, 2
INT64, STRING = 2, 3
REGION_KEY, REGION_BYTES = 2, 4
TOKEN = "livegate-bench"
"""Of our own PyTriton server, which guards the registering of regions with it."""
AUTHORITY = (("triton-grpc-protocol-triton-access-token", TOKEN),)


def request(model: str, picture: bytes) -> bytes:
    """ModelInferRequest: the input `picture`, (N,) uint8."""
    head = _field(MODEL, model.encode()) + _field(INPUTS, _tensor(len(picture)))
    return head + _field(RAW_INPUTS, picture)


def request_in_region(model: str, region: str, size: int) -> bytes:
    """The same with the picture in a region that is registered."""
    name = _entry(b"shared_memory_region", _field(STRING, region.encode()))
    length = _entry(b"shared_memory_byte_size", _number(INT64, size))
    tensor = _tensor(size) + _field(PARAMETERS, name) + _field(PARAMETERS, length)
    return _field(MODEL, model.encode()) + _field(INPUTS, tensor)


def registration(region: str, size: int) -> bytes:
    """SystemSharedMemoryRegisterRequest of a file in /dev/shm with the region's name."""
    key = _field(REGION_KEY, f"/{region}".encode())
    return _field(NAME, region.encode()) + key + _number(REGION_BYTES, size)


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


def _tensor(size: int) -> bytes:
    """An input's name, type and shape: (size,) uint8."""
    shape = _field(SHAPE, _varint(size))
    return _field(NAME, b"picture") + _field(DATATYPE, b"UINT8") + shape


def _entry(key: bytes, value: bytes) -> bytes:
    """One of a map."""
    return _field(KEY, key) + _field(VALUE, value)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)


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
