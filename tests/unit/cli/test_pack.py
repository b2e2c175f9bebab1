"""`livegate pack`: files to one file, and mistakes with their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.cli.main import main
from livegate.ingest.liveness_data import ContainerLimits, Motion, liveness_data_from_container

LIMITS = ContainerLimits(16, 1000, 1000)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With two pictures, a video and a key."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "v.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "key").write_text("AB" * 32 + "\n")
    return tmp_path


def test_pictures_are_packed_and_sealed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the command line."""
    flags = ["--image", "a.jpg", "b.jpg", "--device-id", "kiosk-7", "--key-file", "key"]
    assert main(["pack", "out", *flags, "--motions", "BLINK YAW"]) == 0
    assert "sealed for kiosk-7" in capsys.readouterr().out
    content = (folder / "out").read_bytes()
    told = liveness_data_from_container(content, {"kiosk-7": bytes([0xAB] * 32)}, LIMITS)
    assert told.images == (b"a.jpg", b"b.jpg")
    assert told.motions == (Motion.BLINK, Motion.YAW)
    assert told.is_sealed


def test_video_is_packed_open_and_said_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key."""
    assert main(["pack", "out", "--video", "v.mp4", "--device-id", "k"]) == 0
    assert "not sealed" in capsys.readouterr().out
    told = liveness_data_from_container((folder / "out").read_bytes(), {}, LIMITS)
    assert (told.video, told.is_sealed) == (b"v.mp4", False)


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--image", "absent", "--device-id", "k"], "1016"),
        (["--image", ".", "--device-id", "k"], "1019"),
        (["--image", "a.jpg", "--device-id", "a b"], "1031"),
        (["--image", "a.jpg", "--device-id", "k", "--motions", "WINK"], "1031"),
        (["--image", "a.jpg", "--device-id", "k", "--key-file", "a.jpg"], "2041"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistake_is_told_with_its_number(
    flags: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is written."""
    assert main(["pack", "out", *flags]) == 2
    assert code in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.usefixtures("folder")
def test_file_that_cannot_be_written_is_1021(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there."""
    assert main(["pack", "no/out", "--image", "a.jpg", "--device-id", "k"]) == 2
    assert "1021" in capsys.readouterr().err
