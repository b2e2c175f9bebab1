"""What the process that decodes a clip says, and what it is told.

Down, in the file that is its standard input: one line of settings, then the video. Up, on standard
output: messages, each a length (4 bytes, little endian) and so much JSON; a picture's pixels follow
its message at once, BGR, rows without gaps.
"""

from __future__ import annotations

import struct

import msgspec

from livegate.core.config import VideoConfig

LENGTH = struct.Struct("<I")
MAX_MESSAGE_BYTES = 8192


class ClipSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that the process needs to know."""

    video: VideoConfig


class ClipOpened(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="opened"):
    """The decoder is open. `sample_fps`: pictures a second that will come, about.

    `told_ms`: the length as the container tells it, 0 when it does not.
    """

    codec: str
    container: str
    sample_fps: float
    told_ms: int


class ClipPicture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="picture"):
    """A picture, upright; `pts_ms` counts from the first one."""

    pts_ms: int
    width: int
    height: int


class ClipEnded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ended"):
    """All was read. `frames` were decoded, of which those that came are samples."""

    duration_ms: int
    frames: int


class ClipFailed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="failed"):
    """The video is refused."""

    code: int
    message: str
    hint: str
    fields: dict[str, str] = {}


ClipMessage = ClipOpened | ClipPicture | ClipEnded | ClipFailed
