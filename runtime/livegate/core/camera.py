"""How a camera is: values that the supervisor reports and every face shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from livegate.core.errors import ErrorCode


class CameraState(str, Enum):
    """Where a camera is in its life."""

    STARTING = "STARTING"
    STREAMING = "STREAMING"
    RETRYING = "RETRYING"
    ENDED = "ENDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What is known of one camera since its last change.

    `source` is the URL without credentials; empty for a FrameProducer of somebody else's. `code` and
    `message` say what went wrong last (OK and empty while all is well). `since_ms` is milliseconds
    since 1970. `restarts` counts processes that ended without having been told to.
    """

    camera: str
    source: str
    state: CameraState
    since_ms: int
    code: ErrorCode = ErrorCode.OK
    message: str = ""
    width: int = 0
    height: int = 0
    restarts: int = 0
