"""`livegate pack`: files to one file, and mistakes with their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.cli.main import main
from livegate.ingest.liveness_data import ContainerLimits, Motion, liveness_data_from_container
from support import encoded, noise

LIMITS = ContainerLimits(16, 100_000, 100_000)
PICTURES = {name: encoded(".jpg", noise(64, 64, seed)) for seed, name in enumerate(("a.jpg", "b.jpg"))}
VIDEO = b"\0\0\0\x18ftypmp42 and so on"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With two pictures, a video and a key."""
    monkeypatch.chdir(tmp_path)
    for name, content in PICTURES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "v.mp4").write_bytes(VIDEO)
    (tmp_path / "cut.jpg").write_bytes(PICTURES["a.jpg"][:200])
    (tmp_path / "wide.jpg").write_bytes(encoded(".jpg", noise(96, 64)))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "key").write_text("AB" * 32 + "\n")
    return tmp_path


def test_pictures_are_packed_and_sealed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the command line."""
    flags = ["--image", "a.jpg", "b.jpg", "--device-id", "kiosk-7", "--key-file", "key"]
    assert main(["pack", "out", *flags, "--motions", "BLINK YAW"]) == 0
    assert "sealed for kiosk-7" in capsys.readouterr().out
    content = (folder / "out").read_bytes()
    told = liveness_data_from_container(content, {"kiosk-7": bytes([0xAB] * 32)}, LIMITS)
    assert told.images == tuple(PICTURES.values())
    assert told.motions == (Motion.BLINK, Motion.YAW)
    assert told.is_sealed


def test_video_is_packed_open_and_said_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key."""
    assert main(["pack", "out", "--video", "v.mp4", "--device-id", "k"]) == 0
    assert "not sealed" in capsys.readouterr().out
    told = liveness_data_from_container((folder / "out").read_bytes(), {}, LIMITS)
    assert (told.video, told.is_sealed) == (VIDEO, False)


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--image", "absent", "--device-id", "k"], "1016"),
        (["--image", ".", "--device-id", "k"], "1019"),
        (["--image", "a.jpg", "cut.jpg", "--device-id", "k"], "1028"),
        (["--image", "v.mp4", "--device-id", "k"], "1028"),
        (["--image", "a.jpg", "wide.jpg", "--device-id", "k"], "1031"),
        (["--video", "a.jpg", "--device-id", "k"], "1028"),
        (["--video", "empty", "--device-id", "k"], "1028"),
        (["--image", "a.jpg", "--device-id", "a b"], "1031"),
        (["--image", "a.jpg", "--device-id", "k", "--motions", "WINK"], "1031"),
        (["--image", "a.jpg", "--device-id", "k", "--key-file", "v.mp4"], "2041"),
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


@pytest.mark.usefixtures("folder")
def test_half_of_a_new_file_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stick that is full; what was there before is not removed."""

    def cut(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", cut)
    assert main(["pack", "out", "--image", "a.jpg", "--device-id", "k"]) == 2
    assert not Path("out").exists()
    assert main(["pack", "b.jpg", "--image", "a.jpg", "--device-id", "k"]) == 2
    assert Path("b.jpg").exists()
