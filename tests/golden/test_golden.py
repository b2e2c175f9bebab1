"""LiveGate against a second, independent reading of the reference models, and against hand-made truth.

Needs the project's shared folder (weights, pictures); skips with a reason where it is absent.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.numpy_reading import Reader, Reading, iou
from livegate.app.build import build_pipeline
from livegate.core.results import Decision, Face, Verdict
from livegate.core.telemetry import StageClock
from livegate.ingest.image import frame_from_bytes
from livegate.manifests.store import ModelStore
from livegate.preprocess.scratch import Scratch
from support import REFERENCE, SHARED, config_with, shared

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")

STILLS = {
    "image_T1.jpg": Decision.GENUINE,
    "image_F1.jpg": Decision.SPOOF,
    "image_F2.jpg": Decision.SPOOF,
}
# Present or not: where the folder is absent each of these tests says so and skips.
DLIB = sorted(path.name for path in (SHARED / "media" / "dlib_faces").glob("*.jpg")) or ["(none)"]
PICTURES = [("stills", name) for name in STILLS] + [("dlib_faces", name) for name in DLIB]
TRUTH = ("testing_with_face_landmarks.xml", "training_with_face_landmarks.xml")


@dataclass(frozen=True)
class Answer:
    """What LiveGate says of one picture."""

    silent: Verdict
    detection: Verdict

    @property
    def faces(self) -> list[Face]:
        """The faces by falling score."""
        return [found.face for found in self.detection.faces]


class Both:
    """LiveGate and the second reading, loaded once; each picture is read once by either."""

    def __init__(self, reference: Path) -> None:
        """Load the weights of the reference folder into both."""
        self._config = config_with(**REFERENCE)
        self._pipeline = build_pipeline(self._config, ModelStore([reference]))
        self._reader = Reader(reference)
        self._answers: dict[Path, Answer] = {}
        self._readings: dict[Path, Reading] = {}

    def answer(self, path: Path) -> Answer:
        """LiveGate's."""
        if path not in self._answers:
            frame = frame_from_bytes(path.read_bytes(), self._config.limits)
            steps = self._pipeline.plan([1031, 9001])
            found = self._pipeline.run(frame, steps, StageClock(), Scratch())
            self._answers[path] = Answer(*self._pipeline.judge([1031, 9001], [found]))
        return self._answers[path]

    def reading(self, path: Path) -> Reading:
        """The other one."""
        if path not in self._readings:
            self._readings[path] = self._reader.read(path.read_bytes())
        return self._readings[path]


@pytest.fixture(scope="module")
def both() -> Any:
    """Both readings."""
    return Both(shared("models", "reference"))


def box_of(face: Face) -> np.ndarray:
    """A face's box as the other reading has it."""
    return np.array([face.box.x, face.box.y, face.box.width, face.box.height])


@pytest.mark.parametrize(("folder", "name"), PICTURES)
def test_faces_equal_the_second_reading(both: Both, folder: str, name: str) -> None:
    """The same faces: boxes and points within half a pixel, scores within 0.01."""
    path = shared("media", folder, name)
    ours, theirs = both.answer(path).faces, both.reading(path).faces
    assert len(ours) == len(theirs)
    for other in theirs:
        mine = max(ours, key=lambda face: iou(box_of(face), other.box))
        np.testing.assert_allclose(box_of(mine), other.box, atol=0.5)
        np.testing.assert_allclose(np.array(mine.landmarks), other.points, atol=0.5)
        assert mine.score == pytest.approx(other.score, abs=0.01)


@pytest.mark.parametrize(("folder", "name"), PICTURES)
def test_silent_score_equals_the_second_reading(both: Both, folder: str, name: str) -> None:
    """The silent score is the second reading's within 0.001."""
    path = shared("media", folder, name)
    expected = both.reading(path).genuine
    assert expected is not None
    assert both.answer(path).silent.score == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("name", "decision"), STILLS.items())
def test_silent_decision_of_a_labelled_still_is_right(both: Both, name: str, decision: Decision) -> None:
    """The picture of a person is genuine and those of pictures are spoofs, at the threshold 0.5."""
    verdict = both.answer(shared("media", "stills", name)).silent
    assert verdict.threshold == 0.5
    assert verdict.decision is decision


def test_faces_of_dlib_are_all_found(both: Both) -> None:
    """Every one of the 43 hand-made boxes is met by a face with an overlap of at least 0.35."""
    folder = shared("media", "dlib_faces")
    missed, count = [], 0
    for name in TRUTH:
        for picture in ElementTree.parse(folder / name).iter("image"):
            found = [box_of(face) for face in both.answer(folder / picture.attrib["file"]).faces]
            for box in picture.iter("box"):
                count += 1
                told = np.array([float(box.attrib[k]) for k in ("left", "top", "width", "height")])
                if max((iou(told, one) for one in found), default=0.0) < 0.35:
                    missed.append((picture.attrib["file"], told.tolist()))
    assert missed == []
    assert count == 43


def test_landmarks_are_in_the_documented_order(both: Both) -> None:
    """On an upright face: eyes above the nose above the mouth, image-left before image-right."""
    (face,) = both.answer(shared("media", "stills", "image_T1.jpg")).faces[:1]
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
