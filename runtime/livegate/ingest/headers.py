"""What a picture says of itself before it is decoded: format, size, Exif orientation.

Read from the bytes alone, so that limits hold before any memory is taken for pixels. Layouts: ITU
T.81 (JPEG), the PNG specification (IHDR, eXIf), the BMP DIB headers, the WebP container (VP8, VP8L,
VP8X), and Exif 2.3 section 4.6 (TIFF tag 274).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

ImageFormat = Literal["jpeg", "png", "bmp", "webp"]
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
ORIENTATION_TAG = 274
# Start-of-frame markers; C4, C8 and CC are tables, not frames.
SOF_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN_MARKER, APP1_MARKER = 0xDA, 0xE1
# TEM and RST0..7 stand alone: no length follows.
LONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
# What libjpeg takes for the next marker: stray bytes, fill bytes and stuffed zeros are passed over.
# Any other reading would let a file show us one size and the decoder another.
NEXT_MARKER = re.compile(rb"\xff([^\x00\xff])")
SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp"))
"""Of the picture files that are read."""
# Picture files that cameras and phones make and this box does not read: what they begin with.
OTHER_PICTURES = (b"GIF8", b"II*\0", b"MM\0*")
OTHER_BRANDS = (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypavif")
MAX_PARTS = 10_000
"""Segments or chunks looked at; a file of empty ones would keep us busy for seconds."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size as stored, before the orientation (1..8, 1 = upright) is applied."""

    format: ImageFormat
    width: int
    height: int
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as the picture is seen; orientations 5..8 lie on their side."""
        size = (self.width, self.height)
        return size if self.orientation < 5 else size[::-1]


def read_header(content: bytes) -> ImageHeader | None:
    """The header of a picture; None when these bytes are not a picture that we know."""
    try:
        if content[:2] == b"\xff\xd8":
            return _jpeg(content)
        if content[:8] == PNG_MAGIC:
            return _png(content)
        if content[:2] == b"BM":
            return _bmp(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
    except (struct.error, IndexError):
        pass
    return None


def is_other_picture(content: bytes) -> bool:
    """Whether it begins like a picture of a format that is not read here: GIF, TIFF, HEIC, AVIF."""
    return content.startswith(OTHER_PICTURES) or content[4:12].startswith(OTHER_BRANDS)


def jpeg_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of every segment up to the first scan's header, that one included."""
    position = 2
    for _ in range(MAX_PARTS):
        found = NEXT_MARKER.search(content, position)
        if found is None:
            return
        marker, position = found[1][0], found.end()
        if marker not in LONE_MARKERS:
            (length,) = struct.unpack_from(">H", content, position)
            if length < 2:
                return
            position += length
        yield marker, found.start(), position
        if marker == SCAN_MARKER:
            return


def without_stray_bytes(content: bytes) -> bytes:
    """A JPEG file without what lies between its segments; the scans are left as they are."""
    segments = list(jpeg_segments(content))
    rest = segments[-1][2] if segments else 2
    return b"".join([content[:2], *(content[a:b] for _, a, b in segments), content[rest:]])


def _jpeg(content: bytes) -> ImageHeader | None:
    orientation = 1
    for marker, start, end in jpeg_segments(content):
        if marker in SOF_MARKERS:
            height, width = struct.unpack_from(">HH", content, start + 5)
            return ImageHeader("jpeg", width, height, orientation)
        if marker == APP1_MARKER and content[start + 4 : start + 10] == b"Exif\0\0":
            orientation = _exif_orientation(content[start + 10 : end])
    return None


def _png(content: bytes) -> ImageHeader | None:
    if content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", content, 16)
    position = 8
    for _ in range(MAX_PARTS):
        if position + 8 > len(content):
            return ImageHeader("png", width, height)
        (length,) = struct.unpack_from(">I", content, position)
        if content[position + 4 : position + 8] == b"eXIf":
            exif = content[position + 8 : position + 8 + length]
            return ImageHeader("png", width, height, _exif_orientation(exif))
        position += 12 + length
    return None


def _bmp(content: bytes) -> ImageHeader:
    (dib_bytes,) = struct.unpack_from("<I", content, 14)
    if dib_bytes == 12:
        width, height = struct.unpack_from("<HH", content, 18)
    else:
        width, height = struct.unpack_from("<ii", content, 18)
    return ImageHeader("bmp", abs(width), abs(height))


def _webp(content: bytes) -> ImageHeader | None:
    kind = content[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return ImageHeader("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return ImageHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
        orientation = _webp_orientation(content)
        return ImageHeader("webp", width, height, orientation) if orientation else None
    return None


def _webp_orientation(content: bytes) -> int | None:
    position = 12
    for _ in range(MAX_PARTS):
        if position + 8 > len(content):
            return 1
        (length,) = struct.unpack_from("<I", content, position + 4)
        if content[position : position + 4] == b"EXIF":
            exif = content[position + 8 : position + 8 + length]
            return _exif_orientation(exif.removeprefix(b"Exif\0\0"))
        position += 8 + length + (length & 1)
    return None


def _exif_orientation(tiff: bytes) -> int:
    """Tag 274 of the first directory; 1 when it is absent or nonsense."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, kind, _count, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == ORIENTATION_TAG:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
