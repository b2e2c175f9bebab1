"""Small clips made with PyAV, for the tests of cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

BLUE, GREEN, RED, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
"""In BGR."""


def solid(width: int, height: int, colour: tuple[int, int, int]) -> np.ndarray:
    """A picture of one colour, BGR."""
    return np.full((height, width, 3), colour, np.uint8)


def clip(
    path: Path,
    colours: Sequence[tuple[int, int, int]] = (BLUE,) * 10,
    *,
    size: tuple[int, int] = (96, 64),
    fps: int = 25,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    gop: int = 5,
    matrix: str = "",
) -> Path:
    """A clip of one picture for each colour; `matrix` is bt709 or smpte170m, said in the stream."""
    options: dict[str, str] = {"g": str(gop)}
    if codec == "libx264":
        options |= {"preset": "ultrafast", "tune": "zerolatency"}
    if matrix:
        options |= {"x264-params": f"colormatrix={matrix}:colorprim={matrix}:transfer={matrix}"}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        if codec == "libx264":
            stream.codec_context.qmin, stream.codec_context.qmax = 1, 10
        for colour in colours:
            frame = av.VideoFrame.from_ndarray(solid(*size, colour), format="bgr24")
            if matrix:
                # 5 is swscale's BT.601, which PyAV before 17 leaves alone when both ends have it
                number = {"bt709": 1, "smpte170m": 5}[matrix]
                frame = frame.reformat(
                    format=pixel_format,
                    src_colorspace=1 if number == 5 else 5,
                    dst_colorspace=number,
                    dst_color_range=1,
                )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def tone(path: Path) -> Path:
    """A second of silence, and nothing to see."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        samples = np.zeros((2, 44100), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def clip_without_size(path: Path) -> Path:
    """An MPEG-TS file of H.264, cut before its first parameter set: nobody knows how large it is."""
    content = clip(path, [BLUE, RED] * 20, gop=100).read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    # 0x100 is the video's packet id; the first packet with it starts the only key frame.
    pictures = [number for number, p in enumerate(packets) if p[1] & 0x1F == 1 and p[2] == 0]
    starts = [number for number in pictures if packets[number][1] & 0x40]
    path.write_bytes(b"".join(packets[: pictures[0]] + packets[starts[1] :]))
    return path


def clip_with_broken_header(path: Path) -> Path:
    """HEVC in MP4 whose configuration record is overwritten."""
    content = clip(path, codec="libx265").read_bytes()
    at = content.index(b"hvcC") + 4
    path.write_bytes(content[: at + 23] + b"\xff" * 40 + content[at + 63 :])
    return path


def damaged_clip(path: Path, damaged: set[int], count: int) -> Path:
    """An AVI of MJPEG pictures, some of them overwritten."""
    clip(path, [BLUE] * count, codec="mjpeg", pixel_format="yuvj420p")
    content = bytearray(path.read_bytes())
    at = 0
    for number in range(count):
        at = content.index(b"\xff\xd8\xff", at)
        if number in damaged:
            end = content.index(b"\xff\xd9", at)
            content[at:end] = bytes(end - at)
        at += 3 if number not in damaged else 0
    path.write_bytes(content)
    return path
