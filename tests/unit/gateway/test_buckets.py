"""Local folders that stand for buckets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from livegate.core.errors import SetupError
from livegate.gateway.buckets import Buckets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "faces"
    (own / "day").mkdir(parents=True)
    (own / "day" / "a b.jpg").write_bytes(b"12345")
    (own / "empty").write_bytes(b"")
    (own / "link").symlink_to(own / "empty")
    (own / "out").symlink_to(tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    os.mkfifo(own / "pipe")
    return own


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/f/day/a b.jpg", b"12345"),
        ("/f/empty", b""),
        ("/f/", None),
        ("/f/day", None),
        ("/f/day/", None),
        ("/f//day/a b.jpg", None),
        ("/f/none", None),
        ("/f/empty/x", None),
        ("/f/../secret", None),
        ("/f/day/../../secret", None),
        ("/f/./empty", None),
        ("/f/link", None),
        ("/f/out/secret", None),
        ("/f/pipe", None),
        ("/f/a\0b", None),
        ("/f/" + "x" * 300, None),
    ],
)
def test_read_gives_files_below_the_folder_only(folder: Path, path: str, expected: bytes | None) -> None:
    """No climbing, no links, no pipes that would hold the reader."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert Buckets({"f": str(folder)}).read(path, 100) == expected
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_read_stops_one_byte_after_the_limit(folder: Path) -> None:
    """So that its caller can tell that there is more."""
    assert Buckets({"f": str(folder)}).read("/f/day/a b.jpg", 3) == b"1234"


def test_read_of_an_unknown_bucket_is_told_apart(folder: Path) -> None:
    """The operator may have forgotten it."""
    with pytest.raises(LookupError, match="no bucket 'g'"):
        Buckets({"f": str(folder)}).read("/g/empty", 100)


def test_bucket_without_its_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    """Not at the first request."""
    with pytest.raises(SetupError, match=r"urls\.buckets\.f"):
        Buckets({"f": str(tmp_path / "none")})
