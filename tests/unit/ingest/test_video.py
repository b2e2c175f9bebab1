"""Videos of clients: what comes out of good ones, which code bad ones get, and processes that fail."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from clips import BLUE, GREEN, RED, clip, solid, tone
from livegate.core.config import VideoConfig
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.ingest.clip import sample_rate
from livegate.ingest.video import VideoFrame, VideoReader

SIZE = (128, 96)
FPS = 25
CONFIG = VideoConfig()


def made(path: Path, seconds: float = 1.2, **keys: object) -> bytes:
    """A clip as bytes."""
    colours = [BLUE] * round(seconds * FPS)
    return clip(path, colours, **{"size": SIZE, "fps": FPS, **keys}).read_bytes()  # type: ignore[arg-type]


def read(content: bytes, config: VideoConfig = CONFIG) -> tuple[list[VideoFrame], VideoReader]:
    """All pictures, and the reader that is done."""
    with VideoReader(content, config) as reader:
        return list(reader), reader


def refusal(content: bytes, config: VideoConfig = CONFIG) -> LiveGateError:
    """The error that a video ends with."""
    with pytest.raises(LiveGateError) as caught:
        read(content, config)
    return caught.value


@pytest.mark.parametrize(
    ("name", "codec", "size"),
    [
        ("a.mp4", "libx264", SIZE),
        ("a.mov", "libx264", SIZE),
        ("a.mp4", "libx265", SIZE),
        ("a.avi", "libx264", SIZE),
        ("a.avi", "h263", (176, 144)),
        ("a.flv", "libx264", SIZE),
        ("a.flv", "flv", SIZE),
        ("a.webm", "libvpx", SIZE),
        ("a.webm", "libvpx-vp9", SIZE),
        ("a.wmv", "libx264", SIZE),
        ("a.3gp", "h263", (176, 144)),
        ("a.avi", "h261", (176, 144)),
    ],
)
def test_container_and_codec_give_their_pictures(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int]
) -> None:
    """Every pair that can be made here is read: sizes, colours, rising times from 0, the length."""
    content = made(tmp_path / name, codec=codec, size=size)
    frames, reader = read(content)
    assert reader.facts.frames == 30
    assert reader.facts.duration_ms == pytest.approx(1200, abs=60)
    times = [frame.pts_ms for frame in frames]
    assert times[0] == 0
    assert times == sorted(set(times))
    assert len(frames) == pytest.approx(1.2 * CONFIG.sample_fps, abs=2)
    pixels = frames[5].frame.pixels
    assert pixels.shape == (size[1], size[0], 3)
    assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - BLUE).max() < 25


@pytest.mark.parametrize("name", ["a.avi", "a.wmv", "a.mp4", "a.flv"])
def test_pictures_shown_in_another_order_than_stored_keep_their_times(tmp_path: Path, name: str) -> None:
    """B-frames; AVI and ASF do not tell when a picture is shown."""
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        noisy = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
        for number in range(30):
            moved = np.ascontiguousarray(np.roll(noisy, number * 2, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="bgr24")))
        container.mux(stream.encode())
    frames, reader = read((tmp_path / name).read_bytes())
    assert reader.facts.frames == len(frames) == 30
    steps = np.diff([frame.pts_ms for frame in frames])
    assert steps.min() > 0
    assert np.abs(steps - 1000 / 15).max() < 70


@pytest.mark.parametrize("codec", ["vc1", "wmv3"])
def test_codec_without_an_encoder_has_its_decoder(codec: str) -> None:
    """VC-1 and WMV3 cannot be made here: that their decoders are there is all that is shown."""
    assert av.codec.Codec(codec, "r").name == codec


def test_sample_rate_falls_with_the_length() -> None:
    """15 pictures a second of a short clip, 10 of the longest, and of one that tells no length."""
    config = msgspec.structs.replace(CONFIG, max_samples=150)
    assert sample_rate(3.0, config) == 15
    assert sample_rate(15.0, config) == 10
    assert sample_rate(None, config) == 10


def test_longest_video_has_the_full_rate_by_default() -> None:
    """With fewer, a head that nods changes as much between two as faces that are swapped."""
    assert sample_rate(CONFIG.max_s, CONFIG) == CONFIG.sample_fps


def test_long_clip_gives_about_max_samples(tmp_path: Path) -> None:
    """Twice as many pictures as may be looked at: every second one comes."""
    config = msgspec.structs.replace(CONFIG, max_samples=20)
    frames, reader = read(made(tmp_path / "a.mp4", 1.6), config)
    assert reader.facts.frames == 40
    assert reader.facts.sample_fps == pytest.approx(12.5)
    assert 18 <= len(frames) <= 22


def test_variable_frame_rate_keeps_its_own_times(tmp_path: Path) -> None:
    """Pictures at uneven times: each is told at its own."""
    told = [0, 100, 140, 400, 900, 1000, 1500]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libvpx", rate=1000)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for at in told:
            frame = av.VideoFrame.from_ndarray(solid(*SIZE, GREEN), format="bgr24")
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames, _ = read((tmp_path / "a.mkv").read_bytes())
    assert [frame.pts_ms for frame in frames] == [0, 100, 140, 400, 900, 1000, 1500]


# --- bad ones -------------------------------------------------------------------------------------


def test_empty_and_too_large_are_refused_before_anything_starts() -> None:
    """0 bytes is 1031, 8 MB and one byte is 1009."""
    assert refusal(b"").code is ErrorCode.PARAM_FAILURE
    assert refusal(bytes(CONFIG.max_bytes + 1)).code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize("content", [b"\0", b"garbage" * 1000, b"\x89PNG\r\n\x1a\n" + bytes(500)])
def test_garbage_is_1028(content: bytes) -> None:
    """What is no video of ours does not open."""
    assert refusal(content).code is ErrorCode.DECODE_FAIL


@pytest.mark.parametrize(
    "text",
    ["#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "ffconcat version 1.0\nfile /etc/hostname\n"],
)
def test_playlist_is_1028(text: str) -> None:
    """Nothing that names other files is read as such."""
    assert refusal(text.encode()).code is ErrorCode.DECODE_FAIL


def test_sound_only_is_2006(tmp_path: Path) -> None:
    """There is no picture stream."""
    content = tone(tmp_path / "a.mp4").read_bytes()
    assert refusal(content).code is ErrorCode.STREAMPULLER_STREAMFIND_FAIL


def test_other_codec_is_2007(tmp_path: Path) -> None:
    """MPEG-4 part 2 is not on the list."""
    content = made(tmp_path / "a.mp4", codec="mpeg4")
    assert refusal(content).code is ErrorCode.STREAMPULLER_STREAMFORMAT_ERROR


@pytest.mark.parametrize("seconds", [1 / FPS, 0.5, 16.0])
@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_length_outside_the_limits_is_1031(tmp_path: Path, name: str, seconds: float) -> None:
    """One picture, half a second, sixteen seconds."""
    content = made(tmp_path / name, seconds, codec="libvpx" if name == "a.webm" else "libx264")
    assert refusal(content).code is ErrorCode.PARAM_FAILURE


def test_length_that_nobody_told_is_found_while_reading(tmp_path: Path) -> None:
    """FLV without its length, as from a live encoder."""
    content = made(tmp_path / "a.flv", 16.0)
    at = content.index(b"duration")
    content = content[:at] + b"durotion" + content[at + 8 :]
    assert refusal(content).code is ErrorCode.PARAM_FAILURE


def test_too_large_pictures_are_1009(tmp_path: Path) -> None:
    """4096x4096 is refused by its header."""
    content = made(tmp_path / "a.mp4", 1 / FPS, size=(4096, 4096))
    assert refusal(content).code is ErrorCode.OUT_OF_RANGE


def test_too_small_pictures_are_1031(tmp_path: Path) -> None:
    """A face would have no pixels."""
    assert refusal(made(tmp_path / "a.mp4", size=(64, 64))).code is ErrorCode.PARAM_FAILURE


def test_size_that_changes_midway_is_2022(tmp_path: Path) -> None:
    """Two H.264 streams of different sizes in one."""
    one = clip(tmp_path / "one.h264", [BLUE] * 20, size=SIZE, fps=FPS).read_bytes()
    other = clip(tmp_path / "two.h264", [RED] * 20, size=(192, 128), fps=FPS).read_bytes()
    (tmp_path / "both.h264").write_bytes(one + other)
    with (
        av.open(str(tmp_path / "both.h264")) as source,
        av.open(str(tmp_path / "both.mkv"), "w") as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.stream = stream
                packet.time_base = Fraction(1, FPS)
                packet.pts = packet.dts = number
                packet.duration = 1
                target.mux(packet)
    error = refusal((tmp_path / "both.mkv").read_bytes())
    assert error.code is ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT
    assert "192x128" in error.message


def test_too_many_pictures_are_1009(tmp_path: Path) -> None:
    """A second of a thousand pictures costs a thousand pictures."""
    config = msgspec.structs.replace(CONFIG, max_frames=20)
    assert refusal(made(tmp_path / "a.mp4"), config).code is ErrorCode.OUT_OF_RANGE


BROKEN = {
    ErrorCode.DECODE_FAIL,
    ErrorCode.PARAM_FAILURE,
    ErrorCode.OUT_OF_RANGE,
    ErrorCode.STREAMPULLER_STREAMINFOFIND_FAIL,
    ErrorCode.STREAMPULLER_STREAMFIND_FAIL,
    ErrorCode.STREAMPULLER_STREAMFORMAT_ERROR,
    ErrorCode.VIDEODECODER_CREATE_FAIL,
    ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT,
    ErrorCode.VIDEODECODER_DECODE_FAIL,
}
"""What a video that is not as it was made may be refused with."""


def is_refused(content: bytes) -> bool:
    """Whether a damaged video has one of its codes; else it is a second long, at least."""
    try:
        _, reader = read(content)
    except LiveGateError as error:
        assert error.code in BROKEN  # noqa: PT017 - both ends are fine
        return True
    assert reader.facts.duration_ms >= 1000
    return False


def refused(contents: Iterable[bytes]) -> list[bool]:
    """The same for many, two at a time."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(is_refused, contents))


def test_process_of_a_video_imports_what_it_needs_and_no_more() -> None:
    """It is started for each request: neither logs nor networks, which take as long as all the rest."""
    code = (
        "import livegate.ingest.clip_reader, sys; "
        "sys.exit(' '.join({'structlog', 'cv2', 'onnxruntime', 'grpc'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["a.mp4", "a.flv", "a.webm"])
def test_truncated_has_a_code_or_is_shorter(tmp_path: Path, name: str) -> None:
    """Cut at any of 26 points: a code for a video that is not whole, never a hang or a defect."""
    codec = "libvpx" if name == "a.webm" else "libx264"
    content = made(tmp_path / name, 1.2, codec=codec)
    found = refused(content[: len(content) * part // 27] for part in range(1, 27))
    assert all(found[:18])


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_fuzzed_header_has_a_code_or_is_read(tmp_path: Path, name: str) -> None:
    """Bytes of what tells sizes, codecs and times are overwritten: one of the codes, or a video."""
    codec = "libvpx" if name == "a.webm" else "libx264"
    content = made(tmp_path / name, 1.2, codec=codec)
    first = content.index(b"moov") if name == "a.mp4" else 0
    rng = random.Random(7)
    spoilt = []
    for _ in range(20):
        bytes_ = bytearray(content)
        for _ in range(rng.choice((1, 4, 16))):
            bytes_[rng.randrange(first, min(first + 700, len(content)))] = rng.randrange(256)
        spoilt.append(bytes(bytes_))
    assert any(refused(spoilt))


def box(kind: bytes, content: bytes) -> bytes:
    """A box of an MP4 file."""
    return struct.pack(">I", 8 + len(content)) + kind + content


def element(number: int, content: bytes) -> bytes:
    """An element of a Matroska file, its length in eight bytes."""
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return digits + ((1 << 56) | len(content)).to_bytes(8, "big") + content


def bomb_in_an_index(size: int) -> bytes:
    """An MP4 file whose index is compressed: a few kilobytes that become `size` zeros."""
    packed = struct.pack(">I", size) + zlib.compress(bytes(size), 9)
    movie = box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", packed))
    return box(b"ftyp", b"isom" + bytes(4) + b"isom") + box(b"moov", movie) + box(b"mdat", bytes(64))


def bomb_in_a_track(size: int) -> bytes:
    """A Matroska file whose pictures are compressed by the container."""
    compression = element(0x5034, element(0x4254, b"\0"))  # zlib
    encodings = element(0x6D80, element(0x6240, element(0x5033, b"\0") + compression))
    video = element(0xE0, element(0xB0, b"\x80") + element(0xBA, b"\x60"))
    track = element(0xD7, b"\1") + element(0x73C5, b"\1") + element(0x83, b"\1")
    track += element(0x86, b"V_VP8") + video + encodings
    block = b"\x81\0\0\x80" + zlib.compress(bytes(size), 9)
    cluster = element(0x1F43B675, element(0xE7, b"\0") + element(0xA3, block))
    segment = element(0x1654AE6B, element(0xAE, track)) + cluster
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, segment)


@pytest.mark.parametrize("bomb", [bomb_in_an_index, bomb_in_a_track])
def test_bomb_in_a_container_is_refused(bomb: Callable[[int], bytes]) -> None:
    """Kilobytes that inflate to more than the process may have: a code, and the next video is read."""
    content = bomb(512 << 20)
    assert len(content) < 1 << 20
    config = msgspec.structs.replace(CONFIG, memory_mib=512)
    assert refusal(content, config).code in BROKEN | {ErrorCode.OUT_OF_MEM}


RED_LEFT, RED_RIGHT, RED_TOP, RED_BOTTOM = "left", "right", "top", "bottom"


@pytest.mark.parametrize(
    ("matrix", "red"),
    [
        ((1, 0, 0, 1), RED_LEFT),
        ((0, 1, -1, 0), RED_TOP),  # a quarter turn clockwise: a phone held upright
        ((0, -1, 1, 0), RED_BOTTOM),
        ((-1, 0, 0, -1), RED_RIGHT),
        ((-1, 0, 0, 1), RED_RIGHT),  # a mirror, not half a turn
        ((1, 0, 0, -1), RED_LEFT),
        ((0, 1, 1, 0), RED_TOP),
        ((0, 0, 0, 0), RED_LEFT),  # nonsense is none
    ],
)
def test_pictures_come_as_players_show_them(tmp_path: Path, matrix: tuple[int, ...], red: str) -> None:
    """A display matrix of quarter turns and mirrors; what is on top stays there in a mirror."""
    source = tmp_path / "a.mp4"
    half = solid(128, 96, BLUE)
    half[:, :64] = RED
    half[:30] //= 2  # darker on top
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(half, format="bgr24")))
        container.mux(stream.encode())
    content = bytearray(source.read_bytes())
    # tkhd's matrix: 16.16 fixed, a b u c d v x y w
    at = content.index(tkhd_matrix(1, 0, 0, 1), content.index(b"tkhd"))
    content[at : at + 36] = tkhd_matrix(*matrix)
    frames, _ = read(bytes(content))
    pixels = frames[5].frame.pixels
    assert pixels.shape == ((128, 96, 3) if red in (RED_TOP, RED_BOTTOM) else (96, 128, 3))
    sides = {
        RED_LEFT: pixels[:, :40],
        RED_RIGHT: pixels[:, -40:],
        RED_TOP: pixels[:40],
        RED_BOTTOM: pixels[-40:],
    }
    assert max(sides, key=lambda side: sides[side][..., 2].mean()) == red
    if matrix in ((-1, 0, 0, 1), (1, 0, 0, 1)):
        assert pixels[:25].mean() < pixels[-25:].mean()
    if matrix in ((1, 0, 0, -1), (-1, 0, 0, -1)):
        assert pixels[:25].mean() > pixels[-25:].mean()


def tkhd_matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack(">9i", *(number << 16 for number in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi", "a.mkv", "a.flv"])
def test_sound_may_last_longer_than_the_pictures(tmp_path: Path, name: str) -> None:
    """Two seconds of pictures, four of sound: the pictures are all there."""
    source = tmp_path / name
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        sound = container.add_stream("aac", rate=16000)
        for _ in range(2 * FPS):
            frame = av.VideoFrame.from_ndarray(solid(128, 96, BLUE), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for number in range(4 * 16000 // 1024):
            heard = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            heard.sample_rate, heard.pts = 16000, number * 1024
            container.mux(sound.encode(heard))
        container.mux(sound.encode())
    _, reader = read(source.read_bytes())
    assert reader.facts.frames == 2 * FPS


# --- processes that fail --------------------------------------------------------------------------


def with_process(code: str, config: VideoConfig = CONFIG) -> LiveGateError:
    """What comes of a process that does this."""
    with (
        pytest.raises(LiveGateError) as caught,
        VideoReader(b"some video", config, command=(sys.executable, "-c", code)) as reader,
    ):
        list(reader)
    assert reader._process is None
    return caught.value


def test_process_that_crashes_is_2023() -> None:
    """A segmentation fault of libav is the error of that video."""
    error = with_process("import os; os.kill(os.getpid(), 11)")
    assert error.code is ErrorCode.VIDEODECODER_DECODE_FAIL
    assert "SIGSEGV" in error.message


def test_process_that_hangs_is_1011() -> None:
    """It is killed when the time is up."""
    config = msgspec.structs.replace(CONFIG, decode_timeout_s=0.2)
    error = with_process("import time; time.sleep(1000)", config)
    assert error.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize(
    "told",
    [
        "b'\\xff\\xff\\xff\\x7f'",
        "b'\\x02\\0\\0\\0{}'",
        'p(\'{"type":"picture","pts_ms":0,"width":99999,"height":99999}\')',
        'p(\'{"type":"picture","pts_ms":0,"width":-1,"height":-1}\')',
    ],
)
def test_process_that_was_taken_over_is_2023(told: str) -> None:
    """Lengths and sizes that no honest process tells take no memory."""
    code = (
        "import os, struct\n"
        "def p(text): return struct.pack('<I', len(text)) + text.encode()\n"
        f"os.write(1, {told})"
    )
    assert with_process(code).code is ErrorCode.VIDEODECODER_DECODE_FAIL


def test_reader_left_early_ends_the_process(tmp_path: Path) -> None:
    """Whoever stops looking leaves no process behind."""
    with VideoReader(made(tmp_path / "a.mp4"), CONFIG) as reader:
        next(iter(reader))
        process = reader._process
        assert process is not None
    assert process.returncode is not None
