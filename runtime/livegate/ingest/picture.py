"""A decoded frame of PyAV's, and its way into memory that somebody else owns.

The colours are the frame's own matrix and range, said to swscale outright: what it takes by itself is
BT.601 in limited range, and PyAV before 17 leaves it at that.
"""

from __future__ import annotations

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from livegate.core.frame import Pixels
from livegate.ingest.failure import not_convertible, out_of_memory

HD_HEIGHT = 577

# What a frame may say of its colours (ITU-T H.273), to what swscale calls it.
COLORSPACES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: 9,  # BT.2020: PyAV 14 has no name for it
    10: 9,
}


class Picture:
    """A decoded frame that was not looked at yet. `captured_ns` is CLOCK_MONOTONIC."""

    __slots__ = ("_frame", "_reformatter", "captured_ns", "height", "pts_ms", "width")

    def __init__(
        self, frame: VideoFrame, reformatter: VideoReformatter, pts_ms: int, captured_ns: int
    ) -> None:
        """Nothing is converted before `write_to`."""
        self._frame = frame
        self._reformatter = reformatter
        self.width, self.height = frame.width, frame.height
        self.pts_ms = pts_ms
        self.captured_ns = captured_ns

    def write_to(self, pixels: Pixels) -> None:
        """Write it as BGR into (H, W, 3) uint8, whose rows may be strided.

        Raises:
            CaptureError: VIDEODECODER_UNSUPPORT_FORMAT when its pixel format cannot be converted.
            LiveGateError: OUT_OF_MEM.
            ValueError: `pixels` has not the picture's size.
        """
        if pixels.shape != (self.height, self.width, 3):
            raise ValueError(f"a picture of {self.width}x{self.height} does not fit {pixels.shape}")
        plane = self._bgr().planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        # reshape only splits the last axis, so nothing is copied twice
        np.copyto(pixels, rows[: self.height, : self.width * 3].reshape(pixels.shape))

    def _bgr(self) -> VideoFrame:
        frame = self._frame
        source = colorspace_of(frame.colorspace, self.height)
        # PyAV before 17 sets the tables only where source and target differ, else it takes 601 for all.
        target = Colorspace.ITU601 if source != Colorspace.ITU601 else Colorspace.ITU709
        is_full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        try:
            if frame.format.is_rgb:
                return self._reformatter.reformat(frame, format="bgr24", **one_thread())
            return self._reformatter.reformat(
                frame,
                format="bgr24",
                src_colorspace=source,
                dst_colorspace=target,
                src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
                dst_color_range=ColorRange.JPEG,
                **one_thread(),
            )
        except MemoryError:
            raise out_of_memory() from None
        except (FFmpegError, ValueError):
            raise not_convertible(frame.format.name) from None


def colorspace_of(said: int, height: int) -> int:
    """swscale's number for what a frame says; for silence what players take: 709 in HD, else 601."""
    return COLORSPACES.get(said, Colorspace.ITU709 if height >= HD_HEIGHT else Colorspace.ITU601)


def one_thread() -> dict[str, int]:
    """PyAV 17 began to convert on all cores unless it is told not to."""
    return {"threads": 1} if int(av.__version__.partition(".")[0]) >= 17 else {}
