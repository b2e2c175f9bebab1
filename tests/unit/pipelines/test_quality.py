"""How good a picture of a face is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.config import QualityConfig
from livegate.core.frame import Frame, Pixels
from livegate.core.results import Box, FaceQuality, Flaw, HeadPose
from livegate.pipelines.quality import flaws, light, overall

LIMITS = QualityConfig()
GOOD = FaceQuality(120, 0.2, 0.3, HeadPose(0, 0, 0))


def edges(side: int = 128) -> Pixels:
    """Stripes a sixteenth wide, in two greys."""
    row = np.where(np.arange(side) // (side // 16) % 2, 180, 90).astype(np.uint8)
    return np.repeat(np.tile(row, (side, 1))[:, :, None], 3, axis=2)


def measured(pixels: Pixels) -> tuple[float, float]:
    height, width = pixels.shape[:2]
    return light(Frame(pixels, 0), Box(0, 0, width, height))


def test_sharpness_falls_with_blur_and_not_with_light() -> None:
    """A dark or pale picture is not a blurred one, and a larger one is not a sharper one."""
    sharp, bright = measured(edges())
    dim, dark = measured((edges() * 0.3).astype(np.uint8))
    soft = [measured(cv2.GaussianBlur(edges(), (0, 0), sigma))[0] for sigma in (2, 4, 8)]
    assert dim == pytest.approx(sharp, rel=0.1)
    assert measured(edges(512))[0] == pytest.approx(sharp, rel=0.1)
    assert dark == pytest.approx(0.3 * bright, rel=0.05)
    assert [sharp, *soft] == sorted([sharp, *soft], reverse=True)
    assert soft[-1] < LIMITS.min_sharpness < sharp


def test_light_of_a_flat_picture_is_no_edge() -> None:
    """Nothing to divide by."""
    assert measured(np.full((64, 64, 3), 255, np.uint8)) == (0.0, 1.0)


@pytest.mark.parametrize("box", [Box(200, 10, 20, 20), Box(-50, 0, 20, 20), Box(0, 200, 5, 5)])
def test_light_outside_the_picture_is_nothing(box: Box) -> None:
    """A detector's box may lie over the edge."""
    assert light(Frame(edges(), 0), box) == (0.0, 0.0)


@given(*(st.floats(-300, 300) for _ in range(2)), *(st.floats(0, 400) for _ in range(2)))
def test_light_of_any_box_is_a_number(x: float, y: float, width: float, height: float) -> None:
    """Partly outside, thin, or empty."""
    sharpness, brightness = light(Frame(edges(), 0), Box(x, y, width, height))
    assert sharpness >= 0
    assert 0 <= brightness <= 1


def test_overall_is_full_for_a_good_face_and_falls_with_each_part() -> None:
    """More than good is no better."""
    assert overall(GOOD) == 1
    assert overall(FaceQuality(500, 0.9, 0.9, None)) == 1
    assert overall(FaceQuality(60, 0.2, 0.3, None)) == pytest.approx(0.5)
    assert overall(FaceQuality(60, 0.1, 0.15, None)) == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (GOOD, ()),
        (FaceQuality(120, 0.2, 0.3, None), ()),
        (FaceQuality(120, 0.2, 0.3, HeadPose(30, -15, 15)), ()),
        (FaceQuality(120, 0.2, 0.3, HeadPose(30.1, 0, 0)), (Flaw.TURNED_AWAY,)),
        (FaceQuality(120, 0.2, 0.3, HeadPose(0, -15.1, 0)), (Flaw.TURNED_AWAY,)),
        (FaceQuality(120, 0.2, 0.3, HeadPose(0, 0, 15.1)), (Flaw.TURNED_AWAY,)),
        (FaceQuality(120, 0.09, 0.3, None), (Flaw.BLURRED,)),
        (FaceQuality(120, 0.2, 0.15, None), (Flaw.DARK,)),
        (FaceQuality(30, 0.2, 0.3, None), (Flaw.LOW_QUALITY,)),
    ],
)
def test_flaws_are_what_is_beyond_a_limit(quality: FaceQuality, expected: tuple[Flaw, ...]) -> None:
    """Each by itself."""
    assert flaws(quality, LIMITS) == expected
