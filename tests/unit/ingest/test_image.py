"""From the bytes of a picture to an upright frame, or to a refusal that says why."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.frame import Frame
from livegate.ingest import image
from livegate.ingest.headers import jpeg_segments
from livegate.ingest.image import frame_from_bytes
from support import (
    encoded,
    jpeg_segment,
    jpeg_with_exif,
    noise,
    picture,
    png_bomb,
    png_with_exif,
    tiff_with_orientation,
    webp_extended,
    webp_lossless,
)

LIMITS = LimitsConfig()
UPRIGHT = picture(96, 64)

# How a camera that was held so stores the scene (Exif 2.3, tag 274: where row 0 and column 0 are).
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda scene: scene,
    2: lambda scene: scene[:, ::-1],  # row 0 top, column 0 right
    3: lambda scene: scene[::-1, ::-1],  # bottom, right
    4: lambda scene: scene[::-1],  # bottom, left
    5: lambda scene: scene.swapaxes(0, 1),  # left, top
    6: lambda scene: scene.swapaxes(0, 1)[::-1],  # right, top: rows run along the right edge
    7: lambda scene: scene.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
    8: lambda scene: scene.swapaxes(0, 1)[:, ::-1],  # left, bottom
}


def refusal(content: bytes, **limits: Any) -> RequestError:
    """The error that a picture ends with."""
    with pytest.raises(RequestError) as caught:
        frame_from_bytes(content, LimitsConfig(**limits), name="image 2 of 3")
    assert "image 2 of 3" in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.fixture
def _no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders that fail the test when they are called."""

    def decode(*arguments: Any, **options: Any) -> None:
        pytest.fail("a decoder was called")

    monkeypatch.setattr(image.cv2, "imdecode", decode)
    monkeypatch.setattr(image.simplejpeg, "decode_jpeg", decode)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_frame_from_lossless_file_is_its_pixels(suffix: str) -> None:
    """A lossless file gives back exactly the pixels that it was made of."""
    pixels = noise(53, 37)
    assert np.array_equal(frame_from_bytes(encoded(suffix, pixels), LIMITS).pixels, pixels)


def test_frame_from_lossless_webp_is_its_pixels() -> None:
    """A VP8L file gives back exactly the pixels that it was made of."""
    pixels = noise(53, 37)
    assert np.array_equal(frame_from_bytes(webp_lossless(pixels), LIMITS).pixels, pixels)


@pytest.mark.parametrize(
    "flags",
    [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)],
    ids=["baseline", "progressive", "restarts"],
)
def test_frame_from_jpeg_is_what_opencv_decodes(flags: tuple[int, ...]) -> None:
    """simplejpeg's pixels are OpenCV's, bit for bit, for each way to code a JPEG."""
    content = encoded(".jpg", noise(53, 37), *flags)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(frame_from_bytes(content, LIMITS).pixels, expected)


def test_frame_from_lossy_webp_is_near_its_pixels() -> None:
    """A VP8 file gives back the four colours of the picture, in BGR and in their places."""
    frame = frame_from_bytes(encoded(".webp", UPRIGHT, cv2.IMWRITE_WEBP_QUALITY, 90), LIMITS)
    for row, column in ((16, 24), (16, 72), (48, 24), (48, 72)):
        assert np.abs(frame.pixels[row, column].astype(int) - UPRIGHT[row, column]).max() < 12


def test_frame_from_grey_jpeg_has_three_equal_channels() -> None:
    """A grey picture becomes BGR with the same value in each channel."""
    pixels = frame_from_bytes(encoded(".jpg", noise(53, 37)[:, :, 0]), LIMITS).pixels
    assert pixels.shape == (37, 53, 3)
    assert np.array_equal(pixels[:, :, 0], pixels[:, :, 2])


def test_frame_from_16_bit_png_has_its_high_bytes() -> None:
    """A picture with 16 bits a channel keeps the upper 8."""
    deep = noise(53, 37).astype(np.uint16) * 257
    pixels = frame_from_bytes(encoded(".png", deep), LIMITS).pixels
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, noise(53, 37))


def test_frame_from_png_with_alpha_loses_only_the_alpha() -> None:
    """Transparency is dropped; the colours stay as they are stored."""
    alpha = np.full((37, 53, 1), 7, np.uint8)
    content = encoded(".png", np.concatenate((noise(53, 37), alpha), axis=2))
    assert np.array_equal(frame_from_bytes(content, LIMITS).pixels, noise(53, 37))


def test_frame_from_cmyk_jpeg_has_the_colours() -> None:
    """A CMYK JPEG (Adobe's inverted kind) is turned to BGR: full cyan ink is blue and green."""
    inks = np.full((64, 64, 4), 255, np.uint8)  # inverted: 255 is no ink
    inks[:, :, 0] = 0
    content = simplejpeg.encode_jpeg(inks, colorspace="CMYK", colorsubsampling="444")
    blue, green, red = frame_from_bytes(content, LIMITS).pixels[32, 32].astype(int)
    assert blue > 240
    assert green > 240
    assert red < 15


def test_frame_from_bmp_top_down_is_upright() -> None:
    """A BMP whose rows go from top to bottom is not turned over."""
    bottom_up = encoded(".bmp", UPRIGHT[::-1].copy())
    top_down = bottom_up[:22] + struct.pack("<i", -UPRIGHT.shape[0]) + bottom_up[26:]
    assert np.array_equal(frame_from_bytes(top_down, LIMITS).pixels, UPRIGHT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frame_from_png_with_exif_is_upright(orientation: int) -> None:
    """Whatever way the camera was held, the frame is the scene, pixel for pixel."""
    stored = np.ascontiguousarray(STORED[orientation](UPRIGHT))
    content = png_with_exif(encoded(".png", stored), tiff_with_orientation(orientation, ">"))
    assert np.array_equal(frame_from_bytes(content, LIMITS).pixels, UPRIGHT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frame_from_jpeg_with_exif_is_upright(orientation: int) -> None:
    """Each quarter of the scene is where it belongs, in the colour that it has."""
    stored = np.ascontiguousarray(STORED[orientation](UPRIGHT))
    content = jpeg_with_exif(encoded(".jpg", stored), tiff_with_orientation(orientation))
    frame = frame_from_bytes(content, LIMITS)
    assert (frame.width, frame.height) == (96, 64)
    for row, column in ((16, 24), (16, 72), (48, 24), (48, 72)):
        assert np.abs(frame.pixels[row, column].astype(int) - UPRIGHT[row, column]).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frame_from_webp_with_exif_is_upright(orientation: int) -> None:
    """WebP's EXIF chunk turns the picture as JPEG's does."""
    stored = np.ascontiguousarray(STORED[orientation](UPRIGHT))
    height, width = stored.shape[:2]
    tiff = tiff_with_orientation(orientation)
    content = webp_extended(webp_lossless(stored), width, height, tiff)
    assert np.array_equal(frame_from_bytes(content, LIMITS).pixels, UPRIGHT)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_frame_from_turned_picture_is_what_opencv_turns(orientation: int) -> None:
    """Our turning agrees with OpenCV's own, a reading of the standard that is not ours."""
    stored = np.ascontiguousarray(STORED[orientation](UPRIGHT))
    content = jpeg_with_exif(encoded(".jpg", stored), tiff_with_orientation(orientation))
    theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(frame_from_bytes(content, LIMITS).pixels, theirs)


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize(
    "content",
    [
        png_bomb(20_000, 20_000),
        jpeg_segment(0xC0, struct.pack(">BHHB", 8, 20_000, 20_000, 3)).join([b"\xff\xd8", b""]),
        b"BM" + b"\0" * 12 + struct.pack("<Iii", 40, 20_000, -20_000) + b"\0" * 40,
        b"BM" + b"\0" * 12 + struct.pack("<Iii", 40, -(2**31), -(2**31)) + b"\0" * 40,
        b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<II", 10, 0) + b"\x1f\x4e\0" * 2,
    ],
    ids=["png", "jpeg", "bmp", "bmp overflow", "webp"],
)
def test_frame_from_bomb_is_refused_before_decoding(content: bytes) -> None:
    """A header that promises 400 million pixels is 1009, and no decoder is ever called."""
    error = refusal(content)
    assert error.code is ErrorCode.OUT_OF_RANGE
    assert str(LIMITS.max_pixels) in error.message


@pytest.mark.usefixtures("_no_decoder")
def test_frame_from_too_many_bytes_is_refused_before_its_header() -> None:
    """A file above the byte limit is 1009, with its size and the limit."""
    error = refusal(b"\xff" * 101, max_image_bytes=100)
    assert error.code is ErrorCode.OUT_OF_RANGE
    assert "101 bytes" in error.message
    assert "100" in error.message


def test_frame_from_exactly_the_limits_is_decoded() -> None:
    """A picture of just as many bytes and pixels as are allowed is accepted."""
    content = encoded(".png", noise(64, 32))
    limits = LimitsConfig(max_image_bytes=len(content), max_pixels=64 * 32, min_side=32)
    assert frame_from_bytes(content, limits).width == 64


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize(("width", "height"), [(31, 400), (400, 31), (1, 1)])
def test_frame_from_too_small_picture_is_refused(width: int, height: int) -> None:
    """A picture with a side below the limit is 1031, with its size."""
    error = refusal(encoded(".png", noise(width, height)))
    assert error.code is ErrorCode.PARAM_FAILURE
    assert f"{width}x{height}" in error.message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello, this is text\n", "not a JPEG"),
        (b"GIF89a" + b"\0" * 64, "not a JPEG"),
        (b"\0" * 64, "not a JPEG"),
        (encoded(".jpg", noise(96, 64))[:-400], "decoded"),
        (encoded(".jpg", noise(96, 64), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)[:-400], "decoded"),
        (encoded(".jpg", noise(96, 64))[:-2], "decoded"),
        (encoded(".png", noise(96, 64))[:60], "decoded"),
        (encoded(".bmp", noise(96, 64))[:80], "decoded"),
        (encoded(".webp", noise(96, 64))[:200], "decoded"),
    ],
    ids=["empty", "text", "gif", "zeros", "jpeg", "progressive", "no end", "png", "bmp", "webp"],
)
def test_frame_from_damaged_file_is_refused(content: bytes, word: str) -> None:
    """An empty, foreign or shortened file is 1028 and says which."""
    error = refusal(content)
    assert error.code is ErrorCode.DECODE_FAIL
    assert word in error.message


def with_stray_bytes(jpeg: bytes, marker: int) -> bytes:
    """A JPEG with three bytes of rubbish before the first segment of that kind."""
    start = next(start for found, start, _ in jpeg_segments(jpeg) if found == marker)
    return jpeg[:start] + b"\x12\x00\x34" + jpeg[start:]


@pytest.mark.parametrize("marker", [0xDB, 0xC0, 0xC4, 0xDA])
def test_frame_from_jpeg_with_stray_bytes_between_segments_is_the_picture(marker: int) -> None:
    """Rubbish between segments, as cheap cameras leave it, does not change a pixel."""
    content = encoded(".jpg", noise(96, 64))
    expected = frame_from_bytes(content, LIMITS).pixels
    assert np.array_equal(frame_from_bytes(with_stray_bytes(content, marker), LIMITS).pixels, expected)


def test_frame_from_jpeg_with_stray_bytes_at_the_end_is_the_picture() -> None:
    """Rubbish between the last scan and the end marker does not change a pixel."""
    content = encoded(".jpg", noise(96, 64))
    expected = frame_from_bytes(content, LIMITS).pixels
    padded = content[:-2] + b"\0\0\0\0" + content[-2:]
    assert np.array_equal(frame_from_bytes(padded, LIMITS).pixels, expected)


@pytest.mark.parametrize("marker", [0xDB, 0xDA])
def test_frame_from_jpeg_with_stray_bytes_and_cut_short_is_refused(marker: int) -> None:
    """Stray bytes are forgiven; that the picture is cut short is not forgiven with them."""
    content = with_stray_bytes(encoded(".jpg", noise(96, 64)), marker)
    assert refusal(content[:-400]).code is ErrorCode.DECODE_FAIL


def test_frame_from_jpeg_with_stray_bytes_between_scans_and_cut_short_is_refused() -> None:
    """The lenient decoder, which fills what is missing with grey, never gets an unfinished file."""
    content = encoded(".jpg", noise(96, 64), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last_scan = content.rfind(b"\xff\xda")
    spoilt = content[:last_scan] + b"\x12\x34" + content[last_scan:-200]
    assert refusal(spoilt).code is ErrorCode.DECODE_FAIL


def test_frame_from_picture_that_belies_its_header_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A decoder that comes to another size than the header was checked for is 1028."""
    monkeypatch.setattr(image.cv2, "imdecode", lambda content, flags: noise(65, 64))
    error = refusal(encoded(".png", noise(64, 64)))
    assert error.code is ErrorCode.DECODE_FAIL
    assert "64x64" in error.message


def test_frame_from_decoder_that_raises_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of OpenCV becomes 1028."""

    def explode(content: Any, flags: int) -> None:
        raise cv2.error("boom")

    monkeypatch.setattr(image.cv2, "imdecode", explode)
    assert refusal(encoded(".png", noise(64, 64))).code is ErrorCode.DECODE_FAIL


GOOD_FILES = [
    encoded(".jpg", noise(48, 40)),
    encoded(".jpg", noise(48, 40), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    jpeg_with_exif(encoded(".jpg", noise(48, 40)), tiff_with_orientation(6)),
    encoded(".png", noise(48, 40)),
    png_with_exif(encoded(".png", noise(48, 40)), tiff_with_orientation(8)),
    encoded(".bmp", noise(48, 40)),
    encoded(".webp", noise(48, 40)),
    webp_lossless(noise(48, 40)),
    webp_extended(webp_lossless(noise(48, 40)), 48, 40, tiff_with_orientation(3)),
]


@settings(deadline=None, max_examples=400)
@given(
    good=st.sampled_from(GOOD_FILES),
    edits=st.lists(
        st.tuples(st.floats(0, 1, width=32), st.integers(0, 6), st.binary(max_size=6)), max_size=4
    ),
    keep=st.one_of(st.just(1.0), st.floats(0, 1, width=32)),
)
def test_frame_from_mutated_file_is_a_frame_or_a_request_error(
    good: bytes, edits: list[tuple[float, int, bytes]], keep: float
) -> None:
    """However a file is damaged, it becomes a frame within the limits or a refusal, nothing else."""
    content = good
    for place, cut, inserted in edits:
        # Most of what matters stands near the beginning.
        position = int(place**3 * len(content))
        content = content[:position] + inserted + content[position + cut :]
    content = content[: int(keep * len(content))]
    limits = LimitsConfig(max_pixels=256 * 256, min_side=8)
    try:
        frame = frame_from_bytes(content, limits)
    except RequestError as error:
        refused = error.code
    else:
        refused = None
    if refused is not None:
        assert refused in (ErrorCode.DECODE_FAIL, ErrorCode.OUT_OF_RANGE, ErrorCode.PARAM_FAILURE)
        return
    assert isinstance(frame, Frame)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.shape[2] == 3
    assert frame.width * frame.height <= limits.max_pixels


def test_jpeg_of_too_many_scans_is_refused_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may ask for thousands of passes over all pixels; it is refused by its scans."""
    content = encoded(".jpg", noise(64, 64), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = content.rindex(b"\xff\xda")
    bomb = content[:-2] + content[scan:-2] * 200 + content[-2:]

    def decode(*arguments: object, **options: object) -> None:
        pytest.fail("a picture was decoded")

    monkeypatch.setattr("livegate.ingest.image.simplejpeg.decode_jpeg", decode)
    monkeypatch.setattr("livegate.ingest.image.cv2.imdecode", decode)
    with pytest.raises(RequestError, match="scans") as caught:
        frame_from_bytes(bomb, LIMITS)
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
