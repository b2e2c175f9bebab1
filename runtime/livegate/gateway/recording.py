"""What a client sent as proof of a living person: a container of ours, a picture, or a video.

Anything else is refused here with a reason, files of the cloud's own SDK among it: they are encrypted
for that cloud, and nobody else has the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, RequestError
from livegate.gateway.distinct import require_distinct
from livegate.gateway.nonces import Nonce
from livegate.ingest.envelope import key_from_text
from livegate.ingest.headers import is_other_picture, read_header
from livegate.ingest.image import checked_header
from livegate.ingest.liveness_data import (
    ContainerLimits,
    Motion,
    is_container,
    liveness_data_from_container,
)
from livegate.ingest.video_size import require_bytes

MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
EBML, FLV, ASF = b"\x1aE\xdf\xa3", b"FLV\1", b"0&\xb2u\x8ef\xcf\x11"


@dataclass(frozen=True, slots=True)
class Recording:
    """Pictures of one resolution, or a video; `nonce` and `created_ms` where a container told them.

    `is_sealed`: it came under its device's key.
    """

    images: tuple[bytes, ...] = field(default=(), repr=False)
    video: bytes = field(default=b"", repr=False)
    motions: tuple[Motion, ...] = ()
    nonce: Nonce | None = None
    created_ms: int = 0
    is_sealed: bool = False


class RecordingReader:
    """Knows the devices' keys and the limits."""

    def __init__(self, config: Config) -> None:
        """Read the keys.

        Raises:
            SetupError: CONFIG_ADD_FAIL for a key or a device id that is none, or that is there twice.
        """
        devices = config.linkface.devices
        ids = (device.id for device in devices)
        require_distinct(ids, "linkface.devices", hint="give each device one key")
        self._keys = {one.id: key_from_text(one.id, one.key).key for one in devices}
        self._must_be_sealed = config.linkface.require_sealed
        self._limits = config.limits
        self._video = config.video
        self._container = ContainerLimits(
            max_images=config.limits.max_images,
            max_image_bytes=config.limits.max_image_bytes,
            max_video_bytes=config.video.max_bytes,
        )

    def read(self, content: bytes) -> Recording:
        """The recording; headers of pictures are checked, nothing is decoded.

        Raises:
            RequestError: it is none, or not within the limits.
        """
        recording = self._told_apart(content)
        if self._must_be_sealed and not recording.is_sealed:
            raise RequestError(
                ErrorCode.DECODE_FAIL,
                "this box takes sealed containers only",
                hint="seal it under a device's key, or unset linkface.require_sealed",
            )
        for number, image in enumerate(recording.images, 1):
            name = f"image {number} of {len(recording.images)}"
            checked_header(image, self._limits, name=name)
        if recording.video:
            require_bytes(len(recording.video), self._video)
        return recording

    def _told_apart(self, content: bytes) -> Recording:
        if is_container(content):
            told = liveness_data_from_container(content, self._keys, self._container)
            nonce = (told.device_id, told.nonce)
            return Recording(
                told.images, told.video, told.motions, nonce, told.created_ms, told.is_sealed
            )
        if is_other_picture(content) or read_header(content) is not None:
            return Recording(images=(content,))
        if is_video(content):
            return Recording(video=content)
        raise RequestError(
            ErrorCode.DECODE_FAIL,
            "it is neither a container of LiveGate nor a picture nor a video; what the cloud's own SDK "
            "writes is encrypted for that cloud and cannot be read here",
            hint="send a container (livegate pack), a picture or a video: docs/dialects/linkface.md",
        )


def is_video(content: bytes) -> bool:
    """Whether it begins like MP4, MOV, AVI, FLV, WebM, Matroska or WMV."""
    is_avi = content.startswith(b"RIFF") and content[8:12] == b"AVI "
    return is_avi or content[4:8] in MP4_BOXES or content.startswith((EBML, FLV, ASF))
