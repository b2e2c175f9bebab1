"""What a picture says of itself, read from bytes made by hand."""

from __future__ import annotations

import itertools
import struct

import cv2
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.ingest import headers
from livegate.ingest.headers import ImageHeader, jpeg_segments, read_header, without_stray_bytes
from support import (
    encoded,
    jpeg_segment,
    jpeg_with_exif,
    noise,
    picture,
    png_bomb,
    png_chunk,
    png_with_exif,
    tiff_with_orientation,
    webp_chunk,
    webp_extended,
    webp_lossless,
)

WIDTH, HEIGHT = 53, 37
PIXELS = noise(WIDTH, HEIGHT)
JPEG = encoded(".jpg", PIXELS)
PNG = encoded(".png", PIXELS)
BMP = encoded(".bmp", PIXELS)
WEBP = encoded(".webp", PIXELS, cv2.IMWRITE_WEBP_QUALITY, 80)
WEBP_LOSSLESS = webp_lossless(PIXELS)


def sof(width: int, height: int, marker: int = 0xC0) -> bytes:
    """A start-of-frame segment."""
    components = b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    return jpeg_segment(marker, struct.pack(">BHHB", 8, height, width, 3) + components)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (JPEG, "jpeg"),
        (encoded(".jpg", PIXELS, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "jpeg"),
        (encoded(".jpg", PIXELS[:, :, 0]), "jpeg"),
        (PNG, "png"),
        (BMP, "bmp"),
        (WEBP, "webp"),
        (WEBP_LOSSLESS, "webp"),
        (webp_extended(WEBP, WIDTH, HEIGHT), "webp"),
    ],
    ids=["jpeg", "progressive", "grey", "png", "bmp", "vp8", "vp8l", "vp8x"],
)
def test_read_header_of_a_real_file_is_its_format_and_size(content: bytes, kind: str) -> None:
    """Format and size of every kind of file are those that it was made with."""
    assert read_header(content) == ImageHeader(kind, WIDTH, HEIGHT, 1)  # type: ignore[arg-type]


def test_webp_files_of_these_tests_are_the_three_kinds() -> None:
    """The WebP files above really are VP8, VP8L and VP8X, or the test above tests less than it says."""
    assert WEBP[12:16] == b"VP8 "
    assert WEBP_LOSSLESS[12:16] == b"VP8L"
    assert webp_extended(WEBP, WIDTH, HEIGHT)[12:16] == b"VP8X"


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_header_orientation_is_read_from_every_container(orientation: int, order: str) -> None:
    """Tag 274 is found in JPEG's APP1, PNG's eXIf and WebP's EXIF, in both byte orders."""
    tiff = tiff_with_orientation(orientation, order)
    files = [
        jpeg_with_exif(JPEG, tiff),
        png_with_exif(PNG, tiff),
        webp_extended(WEBP, WIDTH, HEIGHT, tiff),
        webp_extended(WEBP, WIDTH, HEIGHT, b"Exif\0\0" + tiff),
    ]
    found = [read_header(content) for content in files]
    assert [header and header.orientation for header in found] == [orientation] * 4


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"II*\0",
        b"XX*\0\x08\0\0\0",
        tiff_with_orientation(0),
        tiff_with_orientation(9),
        tiff_with_orientation(6, kind=4),
        tiff_with_orientation(6)[:12],
        b"II*\0" + struct.pack("<I", 0xFFFFFFFF),
        b"II*\0" + struct.pack("<IH", 8, 0),
    ],
    ids=["empty", "short", "order", "zero", "nine", "type", "cut", "far", "no entries"],
)
def test_read_header_nonsense_exif_is_upright(tiff: bytes) -> None:
    """An Exif block that makes no sense leaves the picture as it is stored."""
    assert read_header(jpeg_with_exif(JPEG, tiff)) == ImageHeader("jpeg", WIDTH, HEIGHT, 1)


def test_read_header_app1_that_is_not_exif_is_passed_over() -> None:
    """XMP stands in APP1 too and has no orientation."""
    xmp = jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    content = JPEG[:2] + xmp + jpeg_with_exif(JPEG, tiff_with_orientation(6))[2:]
    assert read_header(content) == ImageHeader("jpeg", WIDTH, HEIGHT, 6)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8" + b"\xff" * 4096,
        b"\xff\xd8" + jpeg_segment(0xE0, b"") * (headers.MAX_PARTS + 1) + JPEG[2:],
        b"\x89PNG\r\n\x1a\n",
        PNG[:20],
        PNG[:33] + png_chunk(b"tEXt", b"") * (headers.MAX_PARTS + 1),
        b"BM",
        BMP[:18],
        b"RIFF\0\0\0\0WEBP",
        b"RIFF\0\0\0\0WEBPVP9 " + b"\0" * 40,
        WEBP[:24],
        b"RIFF\0\0\0\0WAVEfmt ",
        b"GIF89a" + b"\0" * 40,
        b"hello, this is text\n",
        b"\0" * 64,
    ],
)
def test_read_header_of_anything_else_is_none(content: bytes) -> None:
    """What is not a picture that we know, or ends within its header, has no header."""
    assert read_header(content) is None


def test_read_header_extended_webp_of_many_chunks_is_none() -> None:
    """An orientation that lies behind thousands of empty chunks is not looked for for ever."""
    extended = webp_extended(WEBP, WIDTH, HEIGHT) + webp_chunk(b"none", b"") * headers.MAX_PARTS
    assert read_header(extended) is None


def test_read_header_bomb_is_its_promise() -> None:
    """A header that promises a huge picture is believed, so that the limits can refuse it."""
    assert read_header(png_bomb(20_000, 20_000)) == ImageHeader("png", 20_000, 20_000)


def test_read_header_bmp_top_down_has_a_positive_height() -> None:
    """A BMP whose rows go from top to bottom states a negative height."""
    flipped = BMP[:22] + struct.pack("<i", -HEIGHT) + BMP[26:]
    assert read_header(flipped) == ImageHeader("bmp", WIDTH, HEIGHT)


def test_read_header_bmp_of_os2_has_short_sizes() -> None:
    """The oldest BMP header has 12 bytes and 16-bit sizes."""
    header = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, 300, 200, 1, 24)
    assert read_header(header) == ImageHeader("bmp", 300, 200)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
def test_read_header_jpeg_tables_are_not_frames(marker: int) -> None:
    """DHT, JPG and DAC have numbers among the start-of-frame markers and are not one."""
    content = b"\xff\xd8" + sof(1, 1, marker) + sof(640, 480)
    assert read_header(content) == ImageHeader("jpeg", 640, 480)


@pytest.mark.parametrize(
    "stray",
    [b"\xff", b"\xff\xff\xff", b"\x12\x34", b"\xff\x00", b"\x00\xff\x00\x10", b"\xff\xd0", b"\xff\x01"],
    ids=["fill", "fills", "stray", "stuffed", "mixed", "restart", "tem"],
)
def test_read_header_jpeg_finds_the_frame_that_the_decoder_finds(stray: bytes) -> None:
    """Fill bytes, stray bytes and markers without a length are passed over as libjpeg does."""
    decoy = jpeg_segment(0xFE, sof(33, 33) * 20)
    content = JPEG[:2] + stray + decoy + JPEG[2:]
    height, width, *_ = simplejpeg.decode_jpeg_header(content, strict=False)
    assert (width, height) == (WIDTH, HEIGHT)
    assert read_header(content) == ImageHeader("jpeg", WIDTH, HEIGHT)


def test_read_header_jpeg_restart_marker_cannot_hide_a_bomb() -> None:
    """A marker without a length before a comment does not make us read a size out of the comment.

    A reader that takes the bytes after RST0 for a length jumps into the comment, where a harmless
    size can be laid out for it, while the decoder goes on to the real and huge one.
    """
    comment = bytearray(65_533)
    decoy = sof(64, 64)
    comment[65_530 - len(decoy) : 65_530] = decoy
    comment[65_530:] = b"\xff\xfe\xff"
    content = b"\xff\xd8\xff\xd0" + jpeg_segment(0xFE, bytes(comment)) + sof(20_000, 20_000)
    assert read_header(content) == ImageHeader("jpeg", 20_000, 20_000)


@settings(deadline=None, max_examples=300)
@given(
    position=st.integers(2, 400),
    cut=st.integers(0, 8),
    inserted=st.one_of(
        st.binary(max_size=12),
        st.lists(st.sampled_from([b"\xff", b"\0", b"\xd0", b"\x01", b"\xc0", b"\xe1"]), max_size=8).map(
            b"".join
        ),
    ),
)
def test_read_header_jpeg_never_differs_from_the_decoder(
    position: int, cut: int, inserted: bytes
) -> None:
    """Where libjpeg reads a size out of a mutated file, we read that size or refuse the file."""
    content = JPEG[:position] + inserted + JPEG[position + cut :]
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError):  # KeyError: simplejpeg's own, for a subsampling without a name
        return
    found = read_header(content)
    assert found is None or (found.width, found.height) == (width, height)


@given(content=st.binary(max_size=64))
def test_read_header_of_any_bytes_is_a_header_or_none(content: bytes) -> None:
    """No bytes at all make the reader fail, whatever magic they start with."""
    for magic in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\0\0\0\0WEBPVP8X"):
        found = read_header(magic + content)
        assert found is None or 1 <= found.orientation <= 8


def test_jpeg_segments_end_with_the_first_scan() -> None:
    """Segments follow each other without a gap up to the scan's header."""
    found = list(jpeg_segments(JPEG))
    assert found[0][1] == 2
    assert all(before[2] == after[1] for before, after in itertools.pairwise(found))
    assert found[-1][0] == 0xDA


def test_without_stray_bytes_clean_file_is_the_same() -> None:
    """A file without stray bytes stays as it is, byte for byte."""
    assert without_stray_bytes(JPEG) == JPEG


def test_without_stray_bytes_between_segments_is_the_clean_file() -> None:
    """Bytes that lie between segments are taken out, and nothing else."""
    parts = [JPEG[start:end] for _, start, end in jpeg_segments(JPEG)]
    rest = JPEG[list(jpeg_segments(JPEG))[-1][2] :]
    assert without_stray_bytes(JPEG[:2] + b"\x00\x11".join(parts) + rest) == JPEG


def test_picture_of_these_tests_has_no_symmetry() -> None:
    """No rotation or mirror image of the test picture equals it, so that a wrong turn shows."""
    pixels = picture(64, 64)
    turned = [cv2.rotate(pixels, way) for way in range(3)] + [cv2.flip(pixels, way) for way in (0, 1)]
    assert all((pixels != other).any() for other in turned)
