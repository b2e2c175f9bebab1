"""How many bytes a video may have; apart from what starts processes, for their sake."""

from __future__ import annotations

from livegate.core.config import VideoConfig
from livegate.core.errors import ErrorCode, RequestError


def require_bytes(count: int, config: VideoConfig) -> None:
    """Hold that a video is neither empty nor too large.

    Raises:
        RequestError: PARAM_FAILURE or OUT_OF_RANGE.
    """
    if not count:
        raise RequestError(ErrorCode.PARAM_FAILURE, "the video is empty", hint="send a video file")
    if count > config.max_bytes:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"the video has {count} bytes, the limit is {config.max_bytes}",
            hint="send a shorter or smaller one, or raise video.max_bytes",
            fields={"max_bytes": str(config.max_bytes)},
        )
