"""Pictures out of Qt's resource files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from livegate_training.__main__ import main
from livegate_training.nobody import COMPRESSED, FOLDER, ZSTD, resources


def qres(version: int, *files: tuple[str, int, bytes]) -> bytes:
    """A resource file of one folder, "pictures", with these files: name, flags, content as stored."""
    names, data = b"", b""
    offsets = []
    for name in ("pictures", *(file[0] for file in files)):
        offsets.append(len(names))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    time = b"" if version < 2 else bytes(8)
    tree = struct.pack(">IH2I", 0, FOLDER, 1, 1) + time
    tree += struct.pack(">IH2I", offsets[0], FOLDER, len(files), 2) + time
    for at, (_, flags, content) in zip(offsets[1:], files, strict=True):
        tree += struct.pack(">IH2HI", at, flags, 0, 0, len(data)) + time
        data += struct.pack(">I", len(content)) + content
    head = 20 + (4 if version >= 3 else 0)
    begins = (version, head, head + len(tree), head + len(tree) + len(data))
    return b"qres" + struct.pack(">4I", *begins) + bytes(head - 20) + tree + data + names


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_file_comes_out(version: int) -> None:
    """As it is, or unpacked; by its path."""
    packed = struct.pack(">I", 5) + zlib.compress(b"12345")
    held = qres(version, ("a.txt", 0, b"plain"), ("b.txt", COMPRESSED, packed))
    assert list(resources(held)) == [("/pictures/a.txt", b"plain"), ("/pictures/b.txt", b"12345")]


def test_what_cannot_be_read_is_said() -> None:
    """Neither another format nor Zstandard is taken for a picture."""
    with pytest.raises(ValueError, match="no Qt resource file"):
        list(resources(b"RIFF" + bytes(40)))
    with pytest.raises(ValueError, match=r"/pictures/a\.webp is compressed with Zstandard"):
        list(resources(qres(3, ("a.webp", ZSTD, b"..."))))


def test_photographs_without_a_face_are_gathered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the sets that are photographs; statues, primates and what is no WebP stay behind."""
    webp = cv2.imencode(".webp", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
    files = [
        (name, 0, webp) for name in ("bee.webp", "gorilla.webp", "statueOfLiberty.webp", "text.svg")
    ]
    (tmp_path / "erase.rcc").write_bytes(qres(2, *files))
    (tmp_path / "paintings.rcc").write_bytes(qres(2, *files))
    assert main(["nobody", str(tmp_path), str(tmp_path / "made")]) == 0
    (made,) = (tmp_path / "made").iterdir()
    assert made.name == "erase-pictures-bee.jpg"
    assert cv2.imread(str(made)).shape == (8, 8, 3)
    assert capsys.readouterr().out.startswith("1 pictures in ")
