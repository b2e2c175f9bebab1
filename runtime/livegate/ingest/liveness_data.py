"""LiveGate's own liveness-data container: values to a file and back.

The only module of this layer that knows protobuf. A message's fields are walked before protobuf sees
them, because two bytes of an empty picture become a hundred in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from google.protobuf.message import DecodeError

from livegate.core.errors import ErrorCode, RequestError
from livegate.ingest.envelope import DEVICE_ID, MAGIC, DeviceKey, broken, unwrap, wrap
from livegate.v1 import liveness_data_pb2 as pb

NONCE_BYTES = (16, 64)
MAX_MOTIONS = 10
MAX_MS = 1 << 53
IMAGES, VIDEO = 4, 5
"""The fields that may be large."""
SMALL_FIELD_BYTES = 128
SMALL_FIELDS = 48
VARINT, COUNTED = 0, 2
"""Wire types of protobuf; the message has no others."""


class Motion(str, Enum):
    """What a person is asked to do; YAW is a turn to either side."""

    BLINK = "BLINK"
    MOUTH = "MOUTH"
    NOD = "NOD"
    YAW = "YAW"


@dataclass(frozen=True, slots=True)
class LivenessData:
    """What was recorded of one person: pictures of one resolution, or a video.

    `created_ms`: Unix time by the clock of who packed it. `nonce`: 16..64 bytes that are used once.
    `motions`: what the person was asked to do, in order. `is_sealed`: it came under the device's key.
    """

    device_id: str
    created_ms: int
    nonce: bytes = field(repr=False)
    images: tuple[bytes, ...] = field(default=(), repr=False)
    video: bytes = field(default=b"", repr=False)
    motions: tuple[Motion, ...] = ()
    is_sealed: bool = False


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What a container may hold, checked before memory is taken for it."""

    max_images: int
    max_image_bytes: int
    max_video_bytes: int

    @property
    def max_bytes(self) -> int:
        """Of the whole message."""
        media = max(self.max_images * self.max_image_bytes, self.max_video_bytes)
        return media + SMALL_FIELDS * SMALL_FIELD_BYTES


def is_container(content: bytes) -> bool:
    """Whether these bytes claim to be one; a few of them are enough."""
    return content.startswith(MAGIC)


def motions_from_text(text: str) -> tuple[Motion, ...]:
    """Words with blanks between, as in "BLINK NOD".

    Raises:
        RequestError: PARAM_FAILURE for a word that is no motion.
    """
    known = [motion.value for motion in Motion]
    wrong = next((word for word in text.split() if word not in known), None)
    if wrong is not None:
        raise RequestError(
            ErrorCode.PARAM_FAILURE, f"there is no motion {wrong[:20]!r}", hint=f"use {', '.join(known)}"
        )
    return tuple(Motion(word) for word in text.split())


def container_from_liveness_data(told: LivenessData, seal: DeviceKey | None = None) -> bytes:
    """The file, sealed where there is a key; `is_sealed` is not looked at.

    Raises:
        RequestError: PARAM_FAILURE when nobody would read it.
    """
    if why := _objection(told):
        raise RequestError(ErrorCode.PARAM_FAILURE, why)
    if seal is not None and seal.device_id != told.device_id:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"the key belongs to {seal.device_id}, the container says {told.device_id}",
        )
    message = pb.LivenessData(
        created_ms=told.created_ms,
        nonce=told.nonce,
        device_id=told.device_id,
        images=told.images,
        video=told.video,
        motions=[f"MOTION_{motion.value}" for motion in told.motions],
    )
    return wrap(message.SerializeToString(), seal)


def liveness_data_from_container(
    content: bytes, keys: Mapping[str, bytes], limits: ContainerLimits
) -> LivenessData:
    """What a file holds; pictures and video are not looked into.

    Raises:
        RequestError: DECODE_FAIL or OUT_OF_RANGE.
    """
    envelope = unwrap(content, keys, max_bytes=limits.max_bytes)
    _require_sane(envelope.body, limits)
    try:
        message = pb.LivenessData.FromString(envelope.body)
    except DecodeError as error:
        raise broken("its message is not protobuf") from error
    told = LivenessData(
        device_id=message.device_id,
        created_ms=message.created_ms,
        nonce=message.nonce,
        images=tuple(message.images),
        video=message.video,
        motions=tuple(_motion(number) for number in message.motions),
        is_sealed=envelope.is_sealed,
    )
    if why := _objection(told):
        raise broken(why)
    if envelope.is_sealed and told.device_id != envelope.device_id:
        raise broken("it was sealed by another device than it names")
    return told


def _objection(told: LivenessData) -> str:
    """What is wrong with a container's values; nothing when all is well."""
    least, most = NONCE_BYTES
    if not DEVICE_ID.fullmatch(told.device_id):
        return "its device id is not 1 to 64 of A-Z a-z 0-9 . _ -"
    if not least <= len(told.nonce) <= most:
        return f"its nonce has {len(told.nonce)} bytes, {least} to {most} are wanted"
    if not 0 < told.created_ms < MAX_MS:
        return "it does not say when it was made"
    if not told.images and not told.video:
        return "it holds neither pictures nor a video"
    if told.images and told.video:
        return "it holds pictures and a video, and only one of the two would be judged"
    if len(told.motions) > MAX_MOTIONS:
        return f"it names {len(told.motions)} motions, the limit is {MAX_MOTIONS}"
    return ""


def _motion(number: int) -> Motion:
    try:
        return Motion(pb.Motion.Name(number).removeprefix("MOTION_"))
    except ValueError as error:
        raise broken(f"there is no motion {number}") from error


def _require_sane(body: bytes, limits: ContainerLimits) -> None:
    """Hold the number and the size of a message's fields against the limits."""
    images = others = 0
    for number, size in _fields(body):
        if number == IMAGES:
            images += 1
            _require(images <= limits.max_images, f"more than {limits.max_images} pictures")
            _require(size <= limits.max_image_bytes, f"a picture of {size} bytes")
            continue
        others += 1
        most = limits.max_video_bytes if number == VIDEO else SMALL_FIELD_BYTES
        _require(size <= most, f"{size} bytes in its field {number}")
        _require(others <= SMALL_FIELDS, f"more than {SMALL_FIELDS} fields")


def _fields(body: bytes) -> Iterator[tuple[int, int]]:
    """Number and bytes of each field of a message."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        if tag & 7 == VARINT:
            _, at = _varint(body, at)
            yield tag >> 3, 0
        elif tag & 7 == COUNTED:
            size, at = _varint(body, at)
            at += size
            if at > len(body):
                raise broken("its message is cut short")
            yield tag >> 3, size
        else:
            raise broken("its message is not protobuf")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(body[at : at + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    raise broken("its message is cut short")


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"the container holds {otherwise}, which is above the limit",
            hint="send fewer or smaller pictures, or a shorter video",
        )
