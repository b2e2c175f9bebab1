"""What the server and a camera's process say to each other: one JSON object a line.

Down, on standard input, goes one line of settings: a URL has a password in it, and everybody may read
a process's arguments. Up, on standard output, come statuses: one at each
change, and one again each second as a sign of life.
"""

from __future__ import annotations

import msgspec

from livegate.core.camera import CameraState
from livegate.core.config import IngestConfig, LimitsConfig

BEAT_S = 1.0
"""Longest silence of a process that is well, but for waits in libav, which have limits of their own."""


class CameraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a camera's process needs to know."""

    camera: str
    url: str
    socket: str
    open_timeout_s: float
    read_timeout_s: float
    retry_max_s: float
    memory_mib: int
    limits: LimitsConfig


class CameraStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the camera is. `damaged` counts skipped packets, `refused` frames without a free slot.

    `late_ms`: how old the last picture was when it was handed over.
    """

    state: CameraState
    code: int = 0
    message: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    damaged: int = 0
    refused: int = 0
    late_ms: int = 0


def settings_for(
    camera: str, url: str, socket: str, config: IngestConfig, limits: LimitsConfig
) -> CameraSettings:
    """One camera's settings out of the server's."""
    return CameraSettings(
        camera=camera,
        url=url,
        socket=socket,
        open_timeout_s=config.open_timeout_s,
        read_timeout_s=config.read_timeout_s,
        retry_max_s=config.retry_max_s,
        memory_mib=config.memory_mib,
        limits=limits,
    )
