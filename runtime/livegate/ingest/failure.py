"""What can go wrong between a source and a picture, one function each: 2001..2007 and 2021..2023."""

from __future__ import annotations

from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.ingest.location import Location

OPENING = frozenset((ErrorCode.STREAMPULLER_OPEN_FAIL, ErrorCode.STREAMPULLER_STREAMINFOFIND_FAIL))
AGAIN = "it is opened again by itself"


class CaptureError(LiveGateError):
    """A source that gives no pictures. Its message never holds credentials."""

    def when_opened_again(self) -> CaptureError:
        """The same for a source that was open before: 2005 where it is 2001 or 2002."""
        if self.code not in OPENING:
            return self
        return CaptureError(ErrorCode.STREAMPULLER_REOPEN_FAIL, f"again: {self.message}", hint=self.hint)


def not_opened(location: Location, reason: str) -> CaptureError:
    """2001."""
    return CaptureError(
        ErrorCode.STREAMPULLER_OPEN_FAIL,
        f"{location.redacted} does not open: {reason}",
        hint="is it switched on, and are address, path, user and password right?"
        if location.is_network
        else "is the path right, and may the server's user read it?",
    )


def unsized(location: Location) -> CaptureError:
    """2002."""
    return CaptureError(
        ErrorCode.STREAMPULLER_STREAMINFOFIND_FAIL,
        f"{location.redacted} does not say its size or its pixel format",
        hint="shorten the camera's key frame interval, or raise ingest.open_timeout_s",
    )


def ended(location: Location, *, is_barren: bool) -> CaptureError:
    """2003; 2023 for a file that ends without a single picture."""
    if is_barren and not location.is_live:
        return CaptureError(
            ErrorCode.VIDEODECODER_DECODE_FAIL,
            f"{location.redacted} ended without a single picture",
            hint="is the file whole?",
        )
    return CaptureError(
        ErrorCode.STREAMPULLER_EOF,
        f"{location.redacted} ended",
        hint=AGAIN if location.is_live else "add ?loop to repeat it",
    )


def not_read(location: Location, reason: str) -> CaptureError:
    """2004."""
    return CaptureError(
        ErrorCode.STREAMPULLER_READFRAME_FAIL,
        f"{location.redacted} broke off: {reason}",
        hint=AGAIN if location.is_live else "is the file whole?",
    )


def no_video(location: Location, streams: int) -> CaptureError:
    """2006."""
    return CaptureError(
        ErrorCode.STREAMPULLER_STREAMFIND_FAIL,
        f"{location.redacted} has no video among its streams, of which there are {streams}",
        hint="is it the path for video? some cameras have one for sound only",
    )


def wrong_codec(location: Location, codec: str) -> CaptureError:
    """2007."""
    return CaptureError(
        ErrorCode.STREAMPULLER_STREAMFORMAT_ERROR,
        f"{location.redacted} has the codec {codec}, which is not decoded",
        hint="set the camera to H.264; H.265, MJPEG, MPEG-4, VP8, VP9, AV1 and raw video will do",
    )


def decoder_refused(codec: str, reason: str) -> CaptureError:
    """2021."""
    return CaptureError(
        ErrorCode.VIDEODECODER_CREATE_FAIL,
        f"the decoder {codec} cannot be created: {reason}",
        hint="is the stream's header damaged?",
    )


def wrong_size(location: Location, width: int, height: int, limits: LimitsConfig) -> CaptureError:
    """2022."""
    return CaptureError(
        ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT,
        f"{location.redacted} is {width}x{height}, the limits are {limits.max_pixels} pixels "
        f"and {limits.min_side} for the shortest side",
        hint="set the camera to another size, or change limits.max_pixels or limits.min_side",
    )


def not_convertible(pixel_format: str) -> CaptureError:
    """2022."""
    return CaptureError(
        ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT,
        f"pixels of the format {pixel_format} cannot be turned into BGR",
        hint="set the camera to H.264 or MJPEG with 4:2:0",
    )


def out_of_memory() -> LiveGateError:
    """1006; not a fault of the source, so not a CaptureError."""
    return LiveGateError(
        ErrorCode.OUT_OF_MEM,
        "the camera's process has no memory left for a picture",
        hint="raise ingest.memory_mib, or set the camera to a smaller size",
    )


def not_decoded(location: Location, packets: int) -> CaptureError:
    """2023."""
    return CaptureError(
        ErrorCode.VIDEODECODER_DECODE_FAIL,
        f"{packets} packets in a row of {location.redacted} gave no picture",
        hint="shorten the camera's key frame interval; is the stream damaged?",
    )
