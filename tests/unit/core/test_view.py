"""How pictures are looked at, and which faces count."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livegate.core.config import CameraConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.results import Box, Face, Reason
from livegate.core.view import View, view_of_camera

anything = st.floats(allow_nan=True, allow_infinity=True)


def face(x: float, y: float, width: float, height: float) -> Face:
    return Face(Box(x, y, width, height), (), 0.9)


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (-0.1, 0, 1, 1),
        (0.5, 0, 0.6, 1),
        (0, math.nan, 1, 1),
        (0, 0, math.inf, 1),
    ],
)
def test_region_that_is_none_is_refused(region: tuple[float, float, float, float]) -> None:
    """Empty, over the edge, not a number."""
    with pytest.raises(RequestError) as caught:
        View(region=region)
    assert caught.value.code is ErrorCode.REGION_ERROR


@pytest.mark.parametrize(
    "settings", [{"rotation": 45}, {"min_face_height": 1.1}, {"min_face_height": math.nan}]
)
def test_other_nonsense_is_refused(settings: dict[str, float]) -> None:
    """Rotations that are none, heights that are none."""
    with pytest.raises(RequestError) as caught:
        View(**settings)  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.PARAM_FAILURE


@given(st.tuples(anything, anything, anything, anything))
@example((1.0, 0.0, 8.2e-142, 1.0))  # a width that is lost in the sum
def test_accepted_region_lies_in_the_picture(region: tuple[float, float, float, float]) -> None:
    """Whatever numbers come."""
    try:
        view = View(region=region)
    except RequestError:
        return
    x, y, width, height = view.region
    assert 0 <= x < 1
    assert 0 <= y < 1
    assert 0 < width <= 1.000001 - x
    assert 0 < height <= 1.000001 - y


def test_face_counts_by_its_centre_and_height() -> None:
    """Inside, outside, too small; the edge of the whole picture is no edge."""
    view = View(region=(0.25, 0.25, 0.5, 0.5), min_face_height=0.2)
    assert view.objection(face(40, 40, 20, 20), 100, 100) is None
    assert view.objection(face(0, 40, 20, 20), 100, 100) is Reason.FACE_OUTSIDE_REGION
    assert view.objection(face(40, 70, 20, 20), 100, 100) is Reason.FACE_OUTSIDE_REGION
    assert view.objection(face(40, 40, 19, 19), 100, 100) is Reason.FACE_TOO_SMALL
    assert View().objection(face(-30, -30, 50, 50), 100, 100) is None
    assert View(90, mirror=True).takes_all
    assert not view.takes_all
    assert not View(region=(0, 0, 1, 0.9)).takes_all
    assert not View(min_face_height=0.01).takes_all


def test_view_of_a_camera_is_its_configuration() -> None:
    """Every setting that concerns looking."""
    camera = CameraConfig(
        name="x", rotation=90, mirror=True, region=(0, 0, 0.5, 0.5), min_face_height=0.1
    )
    assert view_of_camera(camera) == View(90, True, (0, 0, 0.5, 0.5), 0.1)
