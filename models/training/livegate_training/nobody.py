"""Photographs of nobody that only judge: those of gcompris-qt-data, which training has nothing of.

The package is Debian's; they are WebP in Qt's resource files. Format: 20 bytes "qres", version,
offsets of tree, data and names, all big-endian; then as `qtbase/src/tools/rcc/rcc.cpp` writes it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from livegate_training.wallpapers import QUALITY

SETS = ("categorization", "erase", "explore_farm_animals", "explore_monuments", "explore_world_animals")
"""Resource files with photographs; those of the others are drawn, painted, or of people."""
FACES = frozenset(
    (
        "christTheRedeemer",
        "mountRushmore",
        "statueOfLiberty",
        "statueofLiberty",
        "victoriaMemorial",
        "cabrillo",
    )
)
"""Statues. A palace of India is called victoriaMemorial too, and is left out with it."""
PRIMATES = frozenset(("gibbon", "gorilla", "lemur", "long_nosed_monkey", "macaque"))
COMPRESSED, FOLDER, ZSTD = 1, 2, 4


def gather_nobody(unpacked: Path, target: Path) -> list[Path]:
    """Write one JPEG for each photograph without a face in the sets below `unpacked` into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    made = []
    for file in sorted(unpacked.rglob("*.rcc")):
        for name, data in resources(file.read_bytes()) if file.stem in SETS else ():
            path = PurePosixPath(name)
            if path.suffix != ".webp" or path.stem in FACES | PRIMATES:
                continue
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if picture is None:
                raise ValueError(f"{file}: {name} is no picture that OpenCV reads")
            made.append(target / f"{file.stem}-{path.parent.name}-{path.stem}.jpg")
            cv2.imwrite(str(made[-1]), picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return made


def resources(held: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file in a Qt resource file. ValueError: it is none, or Zstandard."""
    if held[:4] != b"qres":
        raise ValueError("this is no Qt resource file: it does not begin with 'qres'")
    version, tree, data, names = struct.unpack_from(">4I", held, 4)
    row = 14 if version < 2 else 22  # since version 2 with a time

    def below(number: int, folder: PurePosixPath) -> Iterator[tuple[str, bytes]]:
        at, flags, *_ = struct.unpack_from(">IH", held, tree + number * row)
        path = folder / _name(held, names + at) if number else folder
        if flags & FOLDER:
            count, first = struct.unpack_from(">2I", held, tree + number * row + 6)
            for child in range(first, first + count):
                yield from below(child, path)
            return
        (begin,) = struct.unpack_from(">I", held, tree + number * row + 10)
        (size,) = struct.unpack_from(">I", held, data + begin)
        content = held[data + begin + 4 : data + begin + 4 + size]
        if flags & ZSTD:
            raise ValueError(f"{path} is compressed with Zstandard, which is not read here")
        # zlib's stream stands behind its length
        yield str(path), zlib.decompress(content[4:]) if flags & COMPRESSED else content

    yield from below(0, PurePosixPath("/"))


def _name(held: bytes, at: int) -> str:
    (length,) = struct.unpack_from(">H", held, at)
    return held[at + 6 : at + 6 + 2 * length].decode("utf-16-be")  # a hash lies in between
