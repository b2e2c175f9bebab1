"""Camera URLs on a command line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from livegate.cli.settings import url_from_text
from livegate.core.errors import ErrorCode, SetupError

URL = "rtsp://admin:hunter22@cam/1"


def test_url_may_stand_in_a_file_or_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody reads a command line."""
    (tmp_path / "door").write_text(f"{URL}\nnotes\n")
    assert url_from_text(f"@{tmp_path / 'door'}") == URL
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{URL}\n"))
    assert url_from_text("-") == URL
    assert url_from_text("file:a.mp4") == "file:a.mp4"


def test_file_that_cannot_be_read_is_1019(tmp_path: Path) -> None:
    """Absent, or not text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    for name in ("absent", "binary"):
        with pytest.raises(SetupError) as caught:
            url_from_text(f"@{tmp_path / name}")
        assert caught.value.code is ErrorCode.OPEN_FAIL
