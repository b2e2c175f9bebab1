"""`livegate evaluate` on folders of pictures and clips."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clips import GREY, clip
from e2e.pictures import jpeg
from e2e.running import run_cli
from support import reference_flags, shared


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two people, one of them unreadable, attacks of two species, a clip of each kind."""
    for name in ("real/a.jpg", "real/deep/b.JPG", "spoof/print/a.jpg", "spoof/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(320, 240))
    (tmp_path / "real" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "real" / "note.txt").write_bytes(b"no picture either")
    for name in ("clips/real", "clips/spoof/print"):
        (tmp_path / name).mkdir(parents=True)
        clip(tmp_path / name / "a.mp4", [GREY] * 36, size=(128, 96), fps=24)
    (tmp_path / "clips" / "real" / "broken.mp4").write_bytes(b"no video")
    return tmp_path


def evaluate(folder: Path, *flags: str) -> tuple[int, str, str]:
    done = run_cli(
        *("evaluate", "--real", str(folder / "real"), "--spoof", str(folder / "spoof")),
        *("--out", str(folder / "out"), "--backend", "null", *flags),
    )
    return done.returncode, done.stdout, done.stderr


def test_report_counts_every_file_once(folders: Path) -> None:
    """Files that cannot be read are non-responses with a reason; other files are not shown."""
    status, out, err = evaluate(folders, "--clips", str(folders / "clips"))
    assert status == 0, err
    assert "index.html" in out
    told = json.loads((folders / "out" / "report.json").read_text())
    assert {one["name"] for one in told["scores"]["people"]} == {"a.jpg", "deep/b.JPG", "broken.png"}
    species = {one["name"]: one["species"] for one in told["scores"]["attacks"]}
    assert species == {"print/a.jpg": "print", "c.jpg": "attack"}
    whys = {one["name"]: one["why"] for one in told["non_responses"]}
    assert set(whys) == {"broken.png", "real/broken.mp4"}
    assert all("1028" in why for why in whys.values())
    assert told["clips"]["bpcer"]["total"] == 1
    assert told["clips"]["apcer"]["total"] == 1
    assert {engine["provider"] for engine in told["engines"]} == {"null"}
    page = (folders / "out" / "index.html").read_text()
    assert "deep/b.JPG" in page
    for name in ("det.png", "scores.png"):
        assert (folders / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_most_acer_is_a_gate(folders: Path) -> None:
    """For scripts; what the null backend says of anything is one score, so half is wrong."""
    assert evaluate(folders, "--most-acer", "1")[0] == 0
    assert evaluate(folders, "--most-acer", "0.1")[0] == 1


def test_folders_without_pictures_and_reports_without_a_place_are_errors(folders: Path) -> None:
    """Told before, or instead of, a report of nothing."""
    status, _, err = evaluate(folders, "--spoof", str(folders / "clips"))
    assert (status, "1016" in err) == (2, True)
    (folders / "file").write_bytes(b"")
    status, _, err = evaluate(folders, "--out", str(folders / "file" / "out"))
    assert (status, "1021" in err) == (2, True)


def test_reference_models_tell_the_projects_stills_apart(tmp_path: Path) -> None:
    """One living person, two attacks, by the reference weights."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    for name, kind in (("image_T1.jpg", "real"), ("image_F1.jpg", "spoof"), ("image_F2.jpg", "spoof")):
        (tmp_path / kind).mkdir(exist_ok=True)
        shutil.copy(shared("media", "stills", name), tmp_path / kind / name)
    models = reference_flags()
    done = run_cli(
        *("evaluate", "--real", str(tmp_path / "real"), "--spoof", str(tmp_path / "spoof")),
        *("--out", str(tmp_path / "out"), "--most-acer", "0", *models),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["auc"]["value"] == 1
    assert told["configured"]["acer"] == 0
