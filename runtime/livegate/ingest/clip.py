"""A video out of memory, decoded under limits: the rules of ingest/capture.py for what a client sends.

Demuxers and decoders are named, no protocol is allowed at all (a container cannot make libav open
anything else), sizes and lengths are checked before pictures are made. To be used in a process of its
own: libav cannot be interrupted from inside.

Which pictures are looked at is told by their own time stamps, so that a variable frame rate works:
about sample_fps a second, where sample_fps falls with the length of the clip.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from livegate.core.config import VideoConfig
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.frame import Pixels
from livegate.core.sampling import Sampling
from livegate.ingest.decoding import opened_size, whole_frames
from livegate.ingest.failure import CaptureError
from livegate.ingest.picture import Picture
from livegate.ingest.video_size import require_bytes

CODECS = ("h261", "h263", "flv", "h264", "hevc", "vc1", "vp8", "vp9", "wmv3")
"""Names of libav's decoders; flv is H.263 as FLV has it."""
CONTAINERS = ("mov", "mp4", "m4v", "avi", "flv", "matroska", "webm", "asf")
NO_PROTOCOL = "none"
DAMAGED_SHARE = 0.05
"""A clip with more damaged pictures is refused: nobody knows what was in them."""
SHORTER_MS = 500
"""A clip may end so much before the length that it tells."""
DEFAULT_STEP_MS = 40
MAX_JUNK = 200
"""Packets in a row without a picture."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture that is to be looked at; BGR, upright."""

    pts_ms: int
    pixels: Pixels


class Clip:
    """One video, read once from front to end."""

    def __init__(self, content: bytes, config: VideoConfig) -> None:
        """Nothing is opened yet."""
        self._content = content
        self._config = config
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._reformatter = VideoReformatter()
        self._size = (0, 0)
        self.codec = ""
        self.container = ""
        self.sample_fps = config.sample_fps
        self.told_ms = 0
        self.frames = 0
        self.damaged = 0
        self.duration_ms = 0
        """Known at the end: from the first picture to the end of the last."""

    def open(self) -> None:
        """Open container and decoder, and check what they tell.

        Raises:
            RequestError: DECODE_FAIL, OUT_OF_RANGE, PARAM_FAILURE.
            CaptureError: 2002, 2006, 2007 or 2021.
        """
        require_bytes(len(self._content), self._config)
        self._container = container = self._opened()
        if not container.streams.video:
            raise CaptureError(
                ErrorCode.STREAMPULLER_STREAMFIND_FAIL,
                f"the video has no picture stream among its {len(container.streams)} streams",
                hint="is it sound only?",
            )
        self._stream = stream = container.streams.video[0]
        context = stream.codec_context
        self.codec = context.name if context is not None else "unknown"
        if self.codec not in CODECS:
            raise CaptureError(
                ErrorCode.STREAMPULLER_STREAMFORMAT_ERROR,
                f"the video has the codec {self.codec}, which is not decoded",
                hint=f"send one of {', '.join(CODECS)}",
            )
        # libav's own limit comes first where a header lies about its size later on.
        max_pixels = str(max(self._config.max_pixels, 4096))
        self._require_size(context.width, context.height)
        size = opened_size(stream, {"threads": "1", "max_pixels": max_pixels})
        if size is None:
            raise CaptureError(
                ErrorCode.STREAMPULLER_STREAMINFOFIND_FAIL,
                "the video does not tell the size or the pixel format of its pictures",
                hint="is it whole?",
            )
        self._require_size(*size)
        told_s = self._told_s()
        if told_s is not None:
            self._require_length(told_s)
            self.told_ms = round(told_s * 1000)
        self.sample_fps = sample_rate(told_s, self._config)

    def samples(self) -> Iterator[Sample]:
        """The pictures that are to be looked at, by rising time.

        Raises:
            RequestError: PARAM_FAILURE for a length outside the limits, OUT_OF_RANGE for too many.
            CaptureError: 2022 for pictures of changing size, 2023 for damaged ones.
        """
        times, sampling = _Times(), Sampling(self.sample_fps)
        begun_ms: float | None = None
        last_ms, step_ms = -1.0, float(DEFAULT_STEP_MS)
        for frame in self._decoded():
            at_ms = times.at_ms(frame, last_ms + step_ms + (begun_ms or 0.0))
            begun_ms = at_ms if begun_ms is None else begun_ms
            at_ms -= begun_ms
            if at_ms <= last_ms:
                self.damaged += 1  # time that stands still or runs backwards tells nothing
                continue
            if last_ms >= 0:
                step_ms = at_ms - last_ms
            last_ms = at_ms
            if at_ms > self._config.max_s * 1000:
                self._require_length(at_ms / 1000)
            if sampling.takes(at_ms):
                yield Sample(round(at_ms), self._pixels(frame))
        self._require_whole(last_ms, step_ms)

    def close(self) -> None:
        """Let it go."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    # --- opening ------------------------------------------------------------------------------------

    def _opened(self) -> InputContainer:
        options = {
            "protocol_whitelist": NO_PROTOCOL,
            "format_whitelist": ",".join(CONTAINERS),
            "codec_whitelist": ",".join(CODECS),
        }
        try:
            container = av.open(
                io.BytesIO(self._content), "r", container_options=options, metadata_errors="replace"
            )
        except MemoryError:
            raise
        except (FFmpegError, ValueError, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise RequestError(
                ErrorCode.DECODE_FAIL,
                f"the video cannot be opened: {reason}",
                hint="send a whole MP4, MOV, AVI, FLV, WebM or WMV file",
            ) from None
        self.container = container.format.name
        return container

    def _told_s(self) -> float | None:
        """The length that the pictures' track tells, else the container, which counts sound, too."""
        stream = self._stream
        if stream is not None and stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self._container is not None and self._container.duration:
            return float(self._container.duration) / av.time_base
        return None

    @property
    def _has_sound(self) -> bool:
        return self._container is not None and bool(self._container.streams.audio)

    # --- decoding -----------------------------------------------------------------------------------

    def _decoded(self) -> Iterator[VideoFrame]:
        barren = 0
        for packet in self._packets():
            frames, damaged = whole_frames(packet)
            self.damaged += damaged
            barren = 0 if frames else barren + 1
            if barren > MAX_JUNK:
                raise _undecodable(f"{barren} packets in a row gave no picture")
            for frame in frames or ():
                self.frames += 1
                if self.frames > self._config.max_frames:
                    raise RequestError(
                        ErrorCode.OUT_OF_RANGE,
                        f"the video has more than {self._config.max_frames} pictures",
                        hint="send fewer pictures a second, or raise video.max_frames",
                    )
                self._require_same(frame)
                yield frame

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        assert self._container is not None
        assert self._stream is not None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:
                raise _undecodable(error.strerror or type(error).__name__) from None
            yield packet

    def _pixels(self, frame: VideoFrame) -> Pixels:
        pixels = np.empty((frame.height, frame.width, 3), np.uint8)
        Picture(frame, self._reformatter, 0, 0).write_to(pixels)
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")  # a buffer, which its stub does not say
        return pixels if matrix is None else upright(pixels, bytes(matrix))

    # --- limits -------------------------------------------------------------------------------------

    def _require_size(self, width: int, height: int) -> None:
        config = self._config
        if width * height > config.max_pixels:
            raise RequestError(
                ErrorCode.OUT_OF_RANGE,
                f"the video is {width}x{height}, the limit is {config.max_pixels} pixels",
                hint="send a smaller one, or raise video.max_pixels",
            )
        if width and height and min(width, height) < config.min_side:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the video is {width}x{height}, its shortest side must be {config.min_side}",
                hint="send a larger one, or lower video.min_side",
            )

    def _require_same(self, frame: VideoFrame) -> None:
        size = (frame.width, frame.height)
        if self._size == (0, 0):
            self._require_size(*size)
            self._size = size
        if size != self._size:
            raise CaptureError(
                ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT,
                f"picture {self.frames} is {size[0]}x{size[1]}, those before it were "
                f"{self._size[0]}x{self._size[1]}",
                hint="send a video of one size",
            )

    def _require_length(self, seconds: float) -> None:
        config = self._config
        if not config.min_s <= seconds <= config.max_s:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the video lasts {seconds:.2f} s, the limits are {config.min_s:g} and {config.max_s:g}",
                hint="send a video of another length, or change video.min_s or video.max_s",
                fields={"length_s": f"{seconds:.2f}"},
            )

    def _require_whole(self, last_ms: float, step_ms: float) -> None:
        if last_ms < 0:
            raise _undecodable("there is no picture in it")
        self.duration_ms = round(last_ms + step_ms)
        told_s = self._told_s()
        if self.damaged > DAMAGED_SHARE * self.frames:
            raise _undecodable(f"{self.damaged} of its {self.frames} pictures are damaged")
        is_of_pictures = bool(self._stream and self._stream.duration) or not self._has_sound
        if told_s is not None and is_of_pictures and told_s * 1000 - self.duration_ms > SHORTER_MS:
            raise _undecodable(f"it ends after {self.duration_ms / 1000:.2f} of {told_s:.2f} s")
        self._require_length(self.duration_ms / 1000)


class _Times:
    """Whichever of a picture's two times makes sense: AVI and ASF have no order of showing.

    The rule of libav's own players (guess_correct_pts): the one that ran backwards less often.
    """

    def __init__(self) -> None:
        """Both are trusted, the time of showing first."""
        self._last: dict[str, int] = {}
        self._faults = {"pts": 0, "dts": 0}

    def at_ms(self, frame: VideoFrame, otherwise_ms: float) -> float:
        """The time of a picture; `otherwise_ms` for one that tells none, or none that makes sense."""
        told = {name: getattr(frame, name) for name in self._faults}
        for name, value in told.items():
            if value is not None:
                self._faults[name] += value <= self._last.get(name, value - 1)
                self._last[name] = value
        is_pts = told["dts"] is None or self._faults["pts"] <= self._faults["dts"]
        chosen = told["pts"] if is_pts else told["dts"]
        is_doubtful = told["dts"] is None and self._faults["pts"] > self._faults["dts"]
        if chosen is None or is_doubtful or frame.time_base is None:
            return max(0.0, otherwise_ms)
        return float(chosen * frame.time_base) * 1000


def sample_rate(told_s: float | None, config: VideoConfig) -> float:
    """Pictures a second to look at: so many that a clip of that length has `max_samples` at most.

    A length that nobody told counts as the longest.
    """
    seconds = config.max_s if told_s is None else min(told_s, config.max_s)
    return min(config.sample_fps, config.max_samples / seconds)


def upright(pixels: Pixels, matrix: bytes) -> Pixels:
    """A picture as players show it: a phone held upright writes a lying one, and some mirror it.

    Args:
        pixels: as it is stored.
        matrix: nine int32, libav's AV_PKT_DATA_DISPLAYMATRIX; rounded to quarter turns and mirrors.
    """
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)  # x, y is shown at a x + c y, b x + d y
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    shown = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(shown)


def failure_of(error: BaseException) -> LiveGateError:
    """An error as it goes to the client: memory that ran out here is the clip's doing."""
    if isinstance(error, LiveGateError):
        return error
    if isinstance(error, MemoryError):
        return LiveGateError(
            ErrorCode.OUT_OF_MEM,
            "the process that decodes the video has no memory left",
            hint="send a smaller video, or raise video.memory_mib",
        )
    return _undecodable(f"unexpected {type(error).__name__}")


def _undecodable(why: str) -> CaptureError:
    return CaptureError(
        ErrorCode.VIDEODECODER_DECODE_FAIL, f"the video cannot be decoded: {why}", hint="is it whole?"
    )
