"""Whose face is judged, and what counts as a picture of nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livegate.core.results import NO_FACE_SCORE, Box, Face
from livegate_training import judgements
from livegate_training.folders import Folders
from livegate_training.judge import Pair
from training_kit import marks

PICTURE = np.zeros((200, 200, 3), np.uint8)


class FakeJudged:
    """Finds these faces, and scores a face by the left of its box."""

    def __init__(self, *faces: Face) -> None:
        self.faces = faces
        self.asked = 0

    def findings(self, pixels: Any, tasks: Any) -> dict[str, Any]:
        self.asked += 1
        return {"face_detection": self.faces}

    def of_face(self, pixels: Any, face: Face, task: str) -> float:
        return face.box.x


def face(x: float, y: float, side: float) -> Face:
    return Face(Box(x, y, side, side), (), 0.9)


def pair(*faces: Face) -> Any:
    return Pair(FakeJudged(*faces), FakeJudged(*faces))  # type: ignore[arg-type]


def test_presented_face_is_judged_though_a_larger_one_stands_about() -> None:
    """The attacker's own face behind his picture is no answer to the picture."""
    points = marks()
    low, high = points.min(axis=0), points.max(axis=0)
    presented = face(float(low[0]), float(low[1]), float((high - low).max()))
    bystander = face(0.0, 0.0, 190.0)
    scores = judgements._silent_of_presented(pair(bystander, presented), PICTURE, points)
    assert scores == (presented.box.x, presented.box.x)


@pytest.mark.parametrize("faces", [(), (face(150.0, 150.0, 40.0),)], ids=["nobody", "another"])
def test_presentation_that_is_not_found_does_not_count(faces: tuple[Face, ...]) -> None:
    """As for a picture without any face."""
    scores = judgements._silent_of_presented(pair(*faces), PICTURE, marks())
    assert scores == (NO_FACE_SCORE, NO_FACE_SCORE)


def test_pictures_of_nobody_from_another_source_are_judged(tmp_path: Path) -> None:
    """Every JPEG of the folder that was named, and none without one."""
    for name in ("b.jpg", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), PICTURE)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "note.txt").write_text("none")
    folders = Folders(tmp_path, tmp_path, tmp_path, None, tmp_path)
    assert len(list(judgements._others(folders))) == 2
    assert not list(judgements._others(Folders(tmp_path, tmp_path, tmp_path)))
