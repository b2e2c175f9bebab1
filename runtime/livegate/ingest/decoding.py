"""What cameras and clips have in common once a container is open: the decoder and its packets."""

from __future__ import annotations

from av.error import EOFError as AvEndError
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from livegate.ingest.failure import decoder_refused, out_of_memory


def opened_size(stream: VideoStream, options: dict[str, str]) -> tuple[int, int] | None:
    """Open a stream's decoder; the width and height it tells, None when it tells none.

    Raises:
        CaptureError: VIDEODECODER_CREATE_FAIL.
    """
    context = stream.codec_context
    context.options = options
    try:
        context.open(strict=False)
    except (FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise decoder_refused(context.name, reason) from None
    # Not `pix_fmt`: where there is none, PyAV 17 reads through a null pointer.
    if not context.width or not context.height or context.format is None:
        return None
    return context.width, context.height


def whole_frames(packet: Packet[VideoStream]) -> tuple[list[VideoFrame] | None, int]:
    """The undamaged frames that came of a packet, None when it was damaged itself; how many were.

    Raises:
        LiveGateError: OUT_OF_MEM.
    """
    try:
        frames = packet.decode()
    except AvEndError:
        return [], 0
    except MemoryError:
        raise out_of_memory() from None
    except (FFmpegError, ValueError):
        return None, 1
    whole = [frame for frame in frames if not frame.is_corrupt]
    return whole, len(frames) - len(whole)
