"""Pictures out of small clips made on the spot, and every way in which there are none."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from clips import (
    BLUE,
    GREEN,
    GREY,
    RED,
    clip,
    clip_with_broken_header,
    clip_without_size,
    damaged_clip,
    tone,
)
from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.ingest.capture import MAX_BARREN, MAX_DAMAGED, Capture, Timeouts
from livegate.ingest.failure import CaptureError
from livegate.ingest.location import location_from_url
from livegate.ingest.picture import Picture

TIMEOUTS = Timeouts(open_s=30, read_s=30)
TOLERANCE = 6
"""H.264 at a high quality, rounded twice."""


def capture_of(url: str | Path, **limits: int) -> Capture:
    """Not open, and it does not wait between pictures."""
    location = location_from_url(url if isinstance(url, str) else f"file:{url}")
    return Capture(location, LimitsConfig(**limits), TIMEOUTS, pause=lambda seconds: None)


def pixels_of(picture: Picture) -> np.ndarray:
    pixels = np.zeros((picture.height, picture.width, 3), np.uint8)
    picture.write_to(pixels)
    return pixels


def played(capture: Capture) -> tuple[list[np.ndarray], CaptureError]:
    """All pictures, and what ended them."""
    found: list[np.ndarray] = []
    with pytest.raises(CaptureError) as caught, capture:
        found.extend(pixels_of(picture) for picture in capture.pictures())
    return found, caught.value


def refusal(capture: Capture) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        capture.open()
    assert caught.value.hint
    return caught.value


COLOURS = (BLUE, GREEN, RED, GREY)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.mp4", {}),
        ("h264-601.mp4", {"matrix": "smpte170m"}),
        ("h264-709.mp4", {"matrix": "bt709"}),
        ("h264.h264", {}),
        ("h264.ts", {}),
        ("hd-709.mp4", {"matrix": "bt709", "size": (1280, 720)}),
        ("mjpeg.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
        ("odd.avi", {"codec": "rawvideo", "pixel_format": "bgr24", "size": (97, 65)}),
        ("mpeg4.avi", {"codec": "mpeg4"}),
        ("raw.avi", {"codec": "rawvideo", "pixel_format": "bgr24"}),
        ("vp8.webm", {"codec": "libvpx"}),
    ],
)
def test_colours_are_those_that_were_recorded(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    """Blue, green, red and grey come back in BGR, whatever codec, matrix and range they went through."""
    found, end = played(capture_of(clip(tmp_path / name, COLOURS, **options)))
    assert end.code is ErrorCode.STREAMPULLER_EOF
    assert len(found) == len(COLOURS)
    for pixels, colour in zip(found, COLOURS, strict=True):
        assert np.abs(pixels.astype(int) - colour).max() <= TOLERANCE


def yuv_frame(red: float, green: float, blue: float, *, matrix: int, is_full: bool) -> av.VideoFrame:
    """One colour (0..1) as YUV, by the equations of ITU-T H.273."""
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = ((blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr))
    low, luma_span, chroma_span = (0, 255, 255) if is_full else (16, 219, 224)
    values = (low + luma_span * luma, *(128 + chroma_span * part for part in chroma))
    frame = av.VideoFrame(64, 48, "yuv420p")
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(bytes([min(255, max(0, round(value)))]) * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, 2 if is_full else 1
    return frame


@pytest.mark.parametrize("matrix", [1, 6, 7, 9])
@pytest.mark.parametrize("is_full", [False, True])
def test_picture_takes_the_frames_own_matrix_and_range(matrix: int, is_full: bool) -> None:
    """BT.709, 601, 240M and 2020, limited and full: each by its own equations."""
    for bgr in (*COLOURS, (50, 100, 200), (255, 255, 255), (0, 0, 0)):
        blue, green, red = (value / 255 for value in bgr)
        frame = yuv_frame(red, green, blue, matrix=matrix, is_full=is_full)
        pixels = pixels_of(Picture(frame, VideoReformatter(), 0, 0))
        assert np.abs(pixels.astype(int) - bgr).max() <= 3


@pytest.mark.parametrize(("height", "matrix"), [(576, 6), (720, 1)])
def test_picture_that_is_silent_about_its_colours_gets_what_players_take(
    height: int, matrix: int
) -> None:
    """Up to 576 lines BT.601, above it BT.709."""
    frame = yuv_frame(1, 0, 0, matrix=matrix, is_full=False)
    silent = frame.reformat(width=64, height=height)
    silent.colorspace, silent.color_range = 2, 0
    pixels = pixels_of(Picture(silent, VideoReformatter(), 0, 0))
    assert np.abs(pixels.astype(int) - RED).max() <= 3


def test_picture_is_written_into_strided_memory_and_nowhere_else(tmp_path: Path) -> None:
    """The rows of a slot may be longer than the picture's; what lies between stays as it was."""
    with capture_of(clip(tmp_path / "a.mp4", [RED])) as capture:
        picture = next(capture.pictures())
        memory = np.full((66, 100, 3), 7, np.uint8)
        picture.write_to(memory[1:65, 2:98])
    assert np.abs(memory[1:65, 2:98].astype(int) - RED).max() <= TOLERANCE
    memory[1:65, 2:98] = 7
    assert (memory == 7).all()


def test_picture_does_not_fit_memory_of_another_size(tmp_path: Path) -> None:
    """Whoever missed a change of size is told, not overwritten."""
    with capture_of(clip(tmp_path / "a.mp4")) as capture:
        picture = next(capture.pictures())
        with pytest.raises(ValueError, match="96x64"):
            picture.write_to(np.zeros((64, 97, 3), np.uint8))


def test_size_that_changes_is_seen_before_writing(tmp_path: Path) -> None:
    """Two streams in one file: each picture says its own size."""
    first = clip(tmp_path / "a.h264", [BLUE] * 3)
    second = clip(tmp_path / "b.h264", [RED] * 3, size=(128, 80))
    (tmp_path / "both.h264").write_bytes(first.read_bytes() + second.read_bytes())
    found, end = played(capture_of(tmp_path / "both.h264"))
    assert end.code is ErrorCode.STREAMPULLER_EOF
    assert [pixels.shape for pixels in found] == [(64, 96, 3)] * 3 + [(80, 128, 3)] * 3
    assert np.abs(found[-1].astype(int) - RED).max() <= TOLERANCE


def test_size_that_changes_beyond_the_limits_ends_the_stream(tmp_path: Path) -> None:
    """2022, with the size and the limit, after the pictures before it."""
    first = clip(tmp_path / "a.mjpeg", [BLUE] * 3, codec="mjpeg", pixel_format="yuvj420p")
    second = clip(tmp_path / "b.mjpeg", [RED] * 3, codec="mjpeg", pixel_format="yuvj420p", size=(48, 24))
    (tmp_path / "both.mjpeg").write_bytes(first.read_bytes() + second.read_bytes())
    found, end = played(capture_of(tmp_path / "both.mjpeg"))
    assert len(found) == 3
    assert end.code is ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT
    assert "48x24" in end.message


def test_file_is_played_in_its_own_time(tmp_path: Path) -> None:
    """Between two pictures the capture pauses for as long as their stamps say."""
    clock_s, pauses = [0.0], []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        clock_s[0] += seconds

    location = location_from_url(f"file:{clip(tmp_path / 'a.mp4', [BLUE] * 5, fps=10)}")
    capture = Capture(location, LimitsConfig(), TIMEOUTS, clock=lambda: clock_s[0], pause=pause)
    played(capture)
    assert [round(seconds, 6) for seconds in pauses] == [0.1] * 4


def test_loop_starts_again_without_an_end(tmp_path: Path) -> None:
    """With ?loop the pictures go on, and so do their times."""
    path = clip(tmp_path / "a.mp4", [BLUE, RED], fps=10)
    stamps = []
    with capture_of(f"file:{path}?loop") as capture:
        for picture in capture.pictures():
            stamps.append(picture.pts_ms)
            if len(stamps) == 7:
                break
    assert stamps == [0, 100, 200, 300, 400, 500, 600]


def test_loop_over_a_file_that_goes_away_is_a_failed_reopening(tmp_path: Path) -> None:
    """2005, with the reason."""
    path = clip(tmp_path / "a.mp4", [BLUE])
    with capture_of(f"file:{path}?loop") as capture:
        pictures = capture.pictures()
        next(pictures)
        path.unlink()
        with pytest.raises(CaptureError) as caught:
            next(pictures)
    assert caught.value.code is ErrorCode.STREAMPULLER_REOPEN_FAIL
    assert "No such file" in caught.value.message


def _empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def _truncated(folder: Path) -> Path:
    path = clip(folder / "whole.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov")])  # without its index
    return path


def _garbage(folder: Path) -> Path:
    path = folder / "garbage.mp4"
    path.write_bytes(random.Random(7).randbytes(20_000))
    return path


def _pipe(folder: Path) -> Path:
    path = folder / "pipe.mp4"
    os.mkfifo(path)
    return path


def _playlist(folder: Path) -> Path:
    clip(folder / "part.ts")
    path = folder / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\npart.ts\n#EXT-X-ENDLIST\n")
    return path


def _concatenation(folder: Path) -> Path:
    clip(folder / "part.mp4")
    path = folder / "list.ffconcat"
    path.write_text("ffconcat version 1.0\nfile 'part.mp4'\n")
    return path


def _sdp(folder: Path) -> Path:
    path = folder / "a.sdp"
    media = "c=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    path.write_text(f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\n{media}")
    return path


@pytest.mark.parametrize(
    "make",
    [
        *(_empty, _truncated, _garbage, _pipe, _playlist, _concatenation, _sdp),
        lambda folder: folder / "absent.mp4",
        lambda folder: folder,
    ],
)
def test_file_that_does_not_open_is_2001(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Absent, damaged, no file at all, or one that points elsewhere: 2001 and nothing is dialled."""
    error = refusal(capture_of(make(tmp_path)))
    assert error.code is ErrorCode.STREAMPULLER_OPEN_FAIL
    assert error.__cause__ is None


def test_device_that_is_not_there_is_2001() -> None:
    """The path of a device that nobody plugged in, and of one that is no camera."""
    for url in ("v4l2:/dev/video-that-is-not-there", "v4l2:/dev/null"):
        assert refusal(capture_of(url)).code is ErrorCode.STREAMPULLER_OPEN_FAIL


def test_network_camera_that_is_not_there_is_2001_without_its_password() -> None:
    """Nobody listens at the port: 2001, and no message shows the credentials."""
    error = refusal(capture_of("rtsp://admin:hunter22@127.0.0.1:1/live?key=abcd"))
    assert error.code is ErrorCode.STREAMPULLER_OPEN_FAIL
    assert "rtsp://127.0.0.1:1/live?***" in str(error)
    assert error.__cause__ is None
    for secret in ("admin", "hunter22", "abcd"):
        assert secret not in str(error)


def test_sound_without_pictures_is_2006(tmp_path: Path) -> None:
    """A file with sound only."""
    error = refusal(capture_of(tone(tmp_path / "tone.mp4")))
    assert error.code is ErrorCode.STREAMPULLER_STREAMFIND_FAIL


@pytest.mark.parametrize("codec", ["mpeg2video", "ffv1"])
def test_codec_that_is_not_ours_is_2007(tmp_path: Path, codec: str) -> None:
    """A codec outside the list is named and not decoded."""
    error = refusal(capture_of(clip(tmp_path / "a.mkv", codec=codec)))
    assert error.code is ErrorCode.STREAMPULLER_STREAMFORMAT_ERROR
    assert codec in error.message


@pytest.mark.parametrize("limits", [{"max_pixels": 96 * 64 - 1}, {"min_side": 65}])
def test_size_outside_the_limits_is_2022(tmp_path: Path, limits: dict[str, int]) -> None:
    """Too many pixels, or a side too short: refused before a picture is decoded."""
    for path in (
        clip(tmp_path / "a.avi", codec="mjpeg", pixel_format="yuvj420p"),
        clip(tmp_path / "a.mp4"),
    ):
        error = refusal(capture_of(path, **limits))
        assert error.code is ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT
        assert "96x64" in error.message


def test_stream_that_hides_its_size_is_2002(tmp_path: Path) -> None:
    """An H.264 stream cut before its first parameter set has neither size nor pixel format."""
    error = refusal(capture_of(clip_without_size(tmp_path / "cut.ts")))
    assert error.code is ErrorCode.STREAMPULLER_STREAMINFOFIND_FAIL


def test_decoder_that_refuses_its_header_is_2021(tmp_path: Path) -> None:
    """HEVC whose configuration record is broken: the decoder is not even created."""
    path = clip_with_broken_header(tmp_path / "b.mp4")
    assert refusal(capture_of(path)).code is ErrorCode.VIDEODECODER_CREATE_FAIL


def test_damaged_packets_are_skipped_and_counted(tmp_path: Path) -> None:
    """Single ones do not end the stream."""
    path = damaged_clip(tmp_path / "a.avi", {3, 4, 9}, 12)
    capture = capture_of(path)
    found, end = played(capture)
    assert end.code is ErrorCode.STREAMPULLER_EOF
    assert len(found) == 9
    assert capture.damaged == 3


def test_damaged_packets_in_a_row_are_2023(tmp_path: Path) -> None:
    """A stream that does not decode any more ends."""
    path = damaged_clip(tmp_path / "a.avi", set(range(3, 3 + MAX_DAMAGED + 5)), MAX_DAMAGED + 10)
    found, end = played(capture_of(path))
    assert end.code is ErrorCode.VIDEODECODER_DECODE_FAIL
    assert len(found) == 3


def test_packets_without_a_picture_are_2023_some_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that swallows everything and gives nothing is not waited for for ever."""
    capture = capture_of(f"file:{clip(tmp_path / 'a.mp4', [BLUE])}?loop")
    capture.open()
    packets = iter([object()] * (MAX_BARREN + 1))
    monkeypatch.setattr(Capture, "_packets", lambda self: packets)
    monkeypatch.setattr(Capture, "_decoded", lambda self, packet: [])
    with pytest.raises(CaptureError) as caught, capture:
        next(capture.pictures())
    assert caught.value.code is ErrorCode.VIDEODECODER_DECODE_FAIL
    assert len(list(packets)) == 1


def test_memory_that_runs_out_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1006 with the key to turn, from the decoder as from the conversion."""

    class Exhausted:
        def decode(self) -> None:
            raise av.error.MemoryError(12, "Cannot allocate memory")

        def reformat(self, *args: object, **keys: object) -> None:
            self.decode()

    frame = yuv_frame(1, 0, 0, matrix=1, is_full=False)
    with pytest.raises(LiveGateError, match="memory_mib") as caught:
        pixels_of(Picture(frame, Exhausted(), 0, 0))  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.OUT_OF_MEM
    with capture_of(clip(tmp_path / "a.mp4")) as capture:
        monkeypatch.setattr(Capture, "_packets", lambda self: iter([Exhausted()]))
        with pytest.raises(LiveGateError) as caught:
            next(capture.pictures())
    assert caught.value.code is ErrorCode.OUT_OF_MEM


def test_garbage_never_harms_the_process(tmp_path: Path) -> None:
    """Damaged clips of every kind end in one of our errors; in a process of its own, in case not."""
    dice = random.Random(11)
    for name, options in (("a.mp4", {}), ("a.ts", {}), ("a.mkv", {}), ("a.avi", {"codec": "mpeg4"})):
        whole = clip(tmp_path / name, [BLUE, RED] * 8, **options).read_bytes()
        for number in range(12):
            torn = bytearray(whole[: dice.randrange(100, len(whole))] if number % 2 else whole)
            for _ in range(dice.randrange(1, 60)):
                torn[dice.randrange(len(torn))] = dice.randrange(256)
            (tmp_path / f"torn-{number}-{name}").write_bytes(torn)
    program = Path(__file__).with_name("capture_all.py")
    command = [sys.executable, str(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[-1] == "52"
    assert done.stderr == ""
