from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Motion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MOTION_UNSPECIFIED: _ClassVar[Motion]
    MOTION_BLINK: _ClassVar[Motion]
    MOTION_MOUTH: _ClassVar[Motion]
    MOTION_NOD: _ClassVar[Motion]
    MOTION_YAW: _ClassVar[Motion]
MOTION_UNSPECIFIED: Motion
MOTION_BLINK: Motion
MOTION_MOUTH: Motion
MOTION_NOD: Motion
MOTION_YAW: Motion

class LivenessData(_message.Message):
    __slots__ = ("created_ms", "nonce", "device_id", "images", "video", "motions")
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    MOTIONS_FIELD_NUMBER: _ClassVar[int]
    created_ms: int
    nonce: bytes
    device_id: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    video: bytes
    motions: _containers.RepeatedScalarFieldContainer[Motion]
    def __init__(self, created_ms: _Optional[int] = ..., nonce: _Optional[bytes] = ..., device_id: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., video: _Optional[bytes] = ..., motions: _Optional[_Iterable[_Union[Motion, str]]] = ...) -> None: ...
