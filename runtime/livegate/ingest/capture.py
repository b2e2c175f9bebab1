"""Pictures from a camera, a device or a file, through PyAV (FFmpeg's libraries).

What libav may touch is fixed before it opens anything. A file's demuxers are named, so that no
playlist, SDP or concatenation is ever read as one, and its only protocol is `file`; an RTSP source
has `tcp` and `tls` only. Decoders are named as well, since libav runs them while it looks at a stream.

libav's own messages stay off: they quote URLs, and so do PyAV's exceptions. That is why no exception
of PyAV's is chained to ours and only its `strerror` is used.

libav can hang in C where no timeout reaches it (a name server, a driver): whoever calls this needs a
watchdog in another process.
"""

from __future__ import annotations

import errno
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from livegate.core.config import LimitsConfig
from livegate.ingest.decoding import opened_size, whole_frames
from livegate.ingest.failure import (
    CaptureError,
    ended,
    no_video,
    not_decoded,
    not_opened,
    not_read,
    unsized,
    wrong_codec,
    wrong_size,
)
from livegate.ingest.lag import Lag
from livegate.ingest.location import Location, SourceKind
from livegate.ingest.pace import Pace
from livegate.ingest.picture import Picture

CODECS = ("h264", "hevc", "mjpeg", "mpeg4", "vp8", "vp9", "av1", "libdav1d", "rawvideo")
"""Names of libav's decoders; libdav1d decodes AV1."""
CONTAINERS = (
    *("mov", "mp4", "m4v", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "nut"),
    *("h264", "hevc", "mjpeg", "ivf", "obu"),
)
DEVICES = ("video4linux2", "v4l2")
MAX_DAMAGED = 30
"""Packets in a row that do not decode: this is no drop-out any more."""
MOST_SILENCES = 3
"""A link that says nothing for the timeout of a read is given up, libav's own waits included."""
CEILING_PIXELS = 8192 * 8192
MAX_BARREN = 900
"""Packets in a row without a picture: the longest distance of key frames that is waited for."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a source may take; libav looks at the clock, so a little longer is possible."""

    open_s: float
    read_s: float


class Capture:
    """One source, opened once or again and again."""

    def __init__(
        self,
        location: Location,
        limits: LimitsConfig,
        timeouts: Timeouts,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is opened yet; `pause` waits between the pictures of a file."""
        self._location = location
        self._limits = limits
        self._timeouts = timeouts
        self._clock = clock
        self._pause = pause
        self._pace = Pace(clock)
        self._lag = self._no_lag()
        self._reformatter = VideoReformatter()
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self.damaged = 0
        """Packets and frames that were skipped because they were damaged."""

    def open(self) -> None:
        """Open the source and its decoder.

        Raises:
            CaptureError: 2001, 2002, 2006, 2007, 2021 or 2022.
        """
        self.close()
        self._require_kind()
        self._container = self._opened()
        try:
            self._stream = self._video(self._container)
            self._open_decoder(self._stream)
        except BaseException:
            self.close()
            raise
        rate = self._stream.average_rate
        self._pace.begin(float(rate) if rate else None)
        self._lag = self._no_lag()

    def _no_lag(self) -> Lag:
        return Lag(int(MOST_SILENCES * self._timeouts.read_s * 1e9))

    def close(self) -> None:
        """Let the source go; calling it twice is fine."""
        container, self._container, self._stream = self._container, None, None
        if container is not None:
            container.close()

    def pictures(self) -> Iterator[Picture]:
        """Every picture, at its time; ends by an exception only.

        Raises:
            CaptureError: 2003 at the end, 2004, 2022, 2023; 2005 when a looped file does not open again.
            LiveGateError: OUT_OF_MEM.
        """
        while True:
            is_barren = True
            for picture in self._to_the_end():
                is_barren = False
                yield picture
            if is_barren or not self._location.is_looped:
                raise ended(self._location, is_barren=is_barren)
            try:
                self.open()
            except CaptureError as error:
                raise error.when_opened_again() from None

    def __enter__(self) -> Capture:
        """Opened."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closed."""
        self.close()

    # --- opening ----------------------------------------------------------------------------------

    def _require_kind(self) -> None:
        """Refuse what would block in libav's open, like a pipe."""
        location = self._location
        if location.is_network:
            return
        is_right = stat.S_ISREG if location.kind is SourceKind.FILE else stat.S_ISCHR
        try:
            mode = Path(location.path).stat().st_mode
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such file"
            raise not_opened(location, reason) from None
        if not is_right(mode):
            what = "file" if location.kind is SourceKind.FILE else "device"
            raise not_opened(location, f"it is not a {what}")

    def _opened(self) -> InputContainer:
        location = self._location
        is_device = location.kind is SourceKind.V4L2
        name = location.url if location.is_network else location.path
        try:
            return av.open(
                f"file:{name}" if location.kind is SourceKind.FILE else name,
                mode="r",
                format="v4l2" if is_device else None,
                # Not `options`: PyAV before 17 frees what is not its own when streams turn up late.
                container_options=self._options(),
                metadata_errors="replace",
                timeout=(self._timeouts.open_s, self._timeouts.read_s),
            )
        except ExitError:
            raise not_opened(location, f"no answer within {self._timeouts.open_s:g} s") from None
        except FFmpegError as error:
            is_foreign = error.errno == errno.EINVAL  # what a white list answers
            reason = "its format is not read here" if is_foreign else error.strerror
            raise not_opened(location, reason or type(error).__name__) from None
        except (ValueError, OSError) as error:
            raise not_opened(location, type(error).__name__) from None

    def _options(self) -> dict[str, str]:
        """For the demuxer, which hands the white list on to the decoders that it tries."""
        options = {"codec_whitelist": ",".join(CODECS)}
        if self._location.kind is SourceKind.FILE:
            return {**options, "protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}
        # fpsprobesize: the rate is of no use for a live source, and guessing it takes a second.
        options |= {"fpsprobesize": "0"}
        if self._location.kind is SourceKind.V4L2:
            return {**options, "protocol_whitelist": "file", "format_whitelist": ",".join(DEVICES)}
        is_secure = self._location.kind is SourceKind.RTSPS
        return {
            **options,
            "protocol_whitelist": "tls,tcp" if is_secure else "tcp",
            "format_whitelist": "rtsp,sdp",
            "rtsp_transport": "tcp",
            "timeout": str(int(self._timeouts.read_s * 1e6)),
            "analyzeduration": str(int(self._timeouts.open_s * 0.8e6)),
        }

    def _decoder_options(self) -> dict[str, str]:
        # Not the configured limit: what libav refuses itself, it refuses without naming a reason.
        max_pixels = max(self._limits.max_pixels, CEILING_PIXELS)
        options = {"threads": "1", "max_pixels": str(max_pixels)}
        return {**options, "flags": "+low_delay"} if self._location.is_live else options

    def _video(self, container: InputContainer) -> VideoStream:
        streams = container.streams.video
        if not streams:
            raise no_video(self._location, len(container.streams))
        context = streams[0].codec_context
        codec = context.name if context is not None else "unknown"
        if codec not in CODECS:
            raise wrong_codec(self._location, codec)
        return streams[0]

    def _open_decoder(self, stream: VideoStream) -> None:
        size = opened_size(stream, self._decoder_options())
        if size is None:
            raise unsized(self._location)
        self._require_size(*size)

    # --- reading ----------------------------------------------------------------------------------

    def _to_the_end(self) -> Iterator[Picture]:
        barren = damaged = 0
        for packet in self._packets():
            read_ns = time.monotonic_ns()
            frames = self._decoded(packet)
            damaged = damaged + 1 if frames is None else 0
            barren = 0 if frames else barren + 1
            if damaged >= MAX_DAMAGED or barren >= MAX_BARREN:
                raise not_decoded(self._location, max(damaged, barren))
            for frame in frames or ():
                yield self._picture(frame, read_ns)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        if self._container is None or self._stream is None:
            raise RuntimeError("the capture is not open")
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except ExitError:
                raise not_read(
                    self._location, f"nothing came within {self._timeouts.read_s:g} s"
                ) from None
            except FFmpegError as error:
                raise not_read(self._location, error.strerror or type(error).__name__) from None
            yield packet

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame] | None:
        """The whole frames that came of a packet; None when it was damaged."""
        frames, damaged = whole_frames(packet)
        self.damaged += damaged
        return frames

    def _picture(self, frame: VideoFrame, read_ns: int) -> Picture:
        self._require_size(frame.width, frame.height)
        pts_ms = None if frame.time is None else round(frame.time * 1000)
        if self._location.is_live:
            captured_ns = self._lag.captured_ns(None if pts_ms is None else pts_ms * 10**6, read_ns)
            told_ms = read_ns // 10**6 if pts_ms is None else pts_ms
            return Picture(frame, self._reformatter, told_ms, captured_ns)
        wait_s = self._pace.wait_s(pts_ms)
        if wait_s > 0:
            self._pause(wait_s)
        return Picture(frame, self._reformatter, self._pace.played_ms, time.monotonic_ns())

    def _require_size(self, width: int, height: int) -> None:
        limits = self._limits
        if width * height > limits.max_pixels or min(width, height) < limits.min_side:
            raise wrong_size(self._location, width, height, limits)
