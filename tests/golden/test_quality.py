"""The quality of real faces, and of the same faces spoilt.

Needs the project's shared folder (weights, pictures); skips with a reason where it is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from livegate.app.build import build_pipeline
from livegate.core.frame import Frame, Pixels
from livegate.core.results import Flaw
from livegate.core.telemetry import StageClock
from livegate.ingest.image import frame_from_bytes
from livegate.manifests.store import ModelStore
from livegate.pipelines.quality import flaws, measure
from livegate.preprocess.scratch import Scratch
from support import REFERENCE, config_with, shared

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")

CONFIG = config_with(**REFERENCE)
Measured = Callable[[Pixels], tuple[Flaw, ...]]


@pytest.fixture(scope="module")
def flaws_of() -> Any:
    """What a picture is to be warned of, by the reference weights."""
    pipeline = build_pipeline(CONFIG, ModelStore([shared("models", "reference")]))
    finding = pipeline.plan_tasks(("face_detection",))

    def run(pixels: Pixels) -> tuple[Flaw, ...]:
        frame, scratch, clock = Frame(np.ascontiguousarray(pixels), 0), Scratch(), StageClock()
        faces = pipeline.run(frame, finding, clock, scratch)["face_detection"]
        face = max(faces, key=lambda one: one.box.area)
        return flaws(measure(pipeline, frame, face, clock, scratch), CONFIG.quality)

    return run


def still(*parts: str) -> Pixels:
    return frame_from_bytes(shared("media", *parts).read_bytes(), CONFIG.limits, name="it").pixels


@pytest.mark.parametrize(
    "name",
    [
        ("stills", "image_T1.jpg"),
        ("stills", "image_F2.jpg"),
        ("dlib_faces", "Tom_Cruise_avp_2014_4.jpg"),
        ("dlib_faces", "bald_guys.jpg"),
        ("dlib_faces", "2008_002506.jpg"),
    ],
)
def test_good_pictures_have_no_flaw(flaws_of: Measured, name: tuple[str, str]) -> None:
    """A photographed photograph may be a good picture; that is another question."""
    assert flaws_of(still(*name)) == ()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda p: cv2.GaussianBlur(p, (0, 0), 6), {Flaw.BLURRED, Flaw.LOW_QUALITY}),
        (lambda p: (p * 0.2).astype(np.uint8), {Flaw.DARK}),
        (
            lambda p: cv2.resize(p, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA),
            {Flaw.LOW_QUALITY},
        ),
    ],
    ids=["blurred", "dark", "far away"],
)
def test_a_spoilt_picture_has_its_flaw(flaws_of: Measured, spoil: Any, expected: set[Flaw]) -> None:
    """The same person, out of focus, in the dark, far away."""
    assert expected <= set(flaws_of(spoil(still("stills", "image_T1.jpg"))))


def test_a_face_that_looks_aside_is_turned_away(flaws_of: Measured) -> None:
    """Forty degrees, in the middle of a rendered turn."""
    capture = cv2.VideoCapture(str(shared("media", "rendered", "ict_a_turn_image_left.mp4")))
    found = []
    while (read := capture.read())[0]:
        found.append(Flaw.TURNED_AWAY in flaws_of(read[1]))
    capture.release()
    assert not any(found[:3] + found[-3:])
    assert any(found)
