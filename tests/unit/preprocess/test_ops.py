"""Which part of a frame becomes which input."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livegate.core.results import Box, Face
from livegate.manifests.schema import EnlargeLevelEyes, EnlargeShiftInside, Letterbox, SquareInside
from livegate.preprocess.ops import (
    CropPlan,
    LetterboxPlan,
    plan_crop,
    plan_letterbox,
    plan_square,
    plan_turned,
)

BY_32 = Letterbox(multiple_of=32)
SIDES = st.integers(1, 5000)
ANYWHERE = st.floats(-1e6, 1e6, allow_subnormal=False)
LENGTHS = st.floats(0, 1e7, allow_subnormal=False)
ANY_VIEW = {
    "width": SIDES,
    "height": SIDES,
    "x": ANYWHERE,
    "y": ANYWHERE,
    "box_width": LENGTHS,
    "box_height": LENGTHS,
    "enlarge": st.floats(0.01, 100, allow_subnormal=False),
}


@pytest.mark.parametrize(
    ("frame", "size", "expected"),
    [
        ((640, 480), 320, LetterboxPlan(320, 240, 320, 256, 0.5, 0.5)),
        ((480, 640), 320, LetterboxPlan(240, 320, 256, 320, 0.5, 0.5)),
        ((320, 320), 320, LetterboxPlan(320, 320, 320, 320, 1.0, 1.0)),
        ((100, 50), 320, LetterboxPlan(320, 160, 320, 160, 3.2, 3.2)),
        ((500, 332), 320, LetterboxPlan(320, 212, 320, 224, 320 / 500, 212 / 332)),
        ((4000, 2), 320, LetterboxPlan(320, 1, 320, 32, 320 / 4000, 1 / 2)),
        ((640, 480), 300, LetterboxPlan(300, 225, 320, 256, 300 / 640, 225 / 480)),
    ],
)
def test_plan_letterbox_long_side_is_the_size(
    frame: tuple[int, int], size: int, expected: LetterboxPlan
) -> None:
    """The long side becomes the size, the input is rounded up, the scales are those of the result."""
    assert plan_letterbox(*frame, BY_32, size) == expected


@given(width=SIDES, height=SIDES, size=st.integers(64, 2048), step=st.sampled_from([1, 16, 32, 64]))
def test_plan_letterbox_any_frame_fits_its_input(width: int, height: int, size: int, step: int) -> None:
    """The picture fits the input with less than one step of padding, its long side being the size."""
    plan = plan_letterbox(width, height, Letterbox(multiple_of=step), size)
    assert max(plan.width, plan.height) == size
    for inner, outer in ((plan.width, plan.input_width), (plan.height, plan.input_height)):
        assert outer % step == 0
        assert 1 <= inner <= outer < inner + step
    assert plan.scale_x == plan.width / width
    assert plan.scale_y == plan.height / height


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # In the middle: 20x20 enlarged twice is 40 about (50, 50), both ends included.
        (Box(40, 40, 20, 20), CropPlan(30, 30, 71, 71)),
        # At the left edge: shifted right, not cut.
        (Box(0, 40, 20, 20), CropPlan(0, 30, 41, 71)),
        # At the right edge: shifted left.
        (Box(80, 40, 20, 20), CropPlan(59, 30, 100, 71)),
        # No room for the factor: it shrinks for both sides alike.
        (Box(10, 10, 80, 40), CropPlan(0, 5, 100, 55)),
        # Fractions are cut off first.
        (Box(40.9, 40.9, 20.9, 20.9), CropPlan(30, 30, 71, 71)),
    ],
    ids=["middle", "left", "right", "large", "fractions"],
)
def test_plan_crop_is_enlarged_and_shifted_inside(box: Box, expected: CropPlan) -> None:
    """The box grows about its centre and is shifted, never cut, to stay inside."""
    assert plan_crop(100, 100, box, EnlargeShiftInside(enlarge=2.0)) == expected


@given(**ANY_VIEW)
@example(1, 1, 0.0, 0.0, 1.0, 1.0, 2.7)
@example(640, 480, -500.0, -500.0, 100.0, 100.0, 2.7)
@example(640, 480, 5000.0, 5000.0, 100.0, 100.0, 4.0)
@example(640, 480, 0.0, 0.0, 1e7, 0.0, 4.0)
def test_plan_crop_of_any_box_is_inside_the_frame(
    width: int, height: int, x: float, y: float, box_width: float, box_height: float, enlarge: float
) -> None:
    """Wherever a box lies and however large it is, the crop has pixels and none outside."""
    rule = EnlargeShiftInside(enlarge=enlarge)
    plan = plan_crop(width, height, Box(x, y, box_width, box_height), rule)
    assert 0 <= plan.left < plan.right <= width
    assert 0 <= plan.top < plan.bottom <= height


@given(
    x=st.integers(0, 539),
    y=st.integers(0, 379),
    box_width=st.integers(10, 100),
    box_height=st.integers(10, 100),
    enlarge=st.floats(1, 4, allow_subnormal=False),
)
def test_plan_crop_of_a_box_inside_holds_the_box(
    x: int, y: int, box_width: int, box_height: int, enlarge: float
) -> None:
    """A face that is inside the frame is inside its crop, less the pixel that rounding may take."""
    box = Box(x, y, box_width, box_height)
    plan = plan_crop(640, 480, box, EnlargeShiftInside(enlarge=enlarge))
    assert plan.left <= x
    assert plan.top <= y
    assert plan.right >= x + box_width - 1
    assert plan.bottom >= y + box_height - 1


def test_plan_turned_level_square_by_hand() -> None:
    """A level face of 20x40: a square of 44 about its centre, not turned."""
    face = Face(Box(30, 10, 20, 40), ((30.0, 30.0), (50.0, 30.0)), 0.9)
    plan = plan_turned(face, EnlargeLevelEyes(enlarge=1.1, is_square=True))
    assert (plan.centre_x, plan.centre_y, plan.roll_deg) == (40, 30, 0)
    assert (plan.width, plan.height) == pytest.approx((44, 44))


def test_plan_turned_matrix_puts_corners_where_they_are() -> None:
    """Turned a quarter clockwise, the input's left edge is the rectangle's top, seen in the frame."""
    face = Face(Box(30, 20, 20, 20), ((40.0, 20.0), (40.0, 40.0)), 0.9)
    plan = plan_turned(face, EnlargeLevelEyes(enlarge=1.0, is_square=False))
    (a, b, c), (d, e, f) = plan.frame_from_input(20, 20)
    assert plan.roll_deg == 90
    # the middle of the left edge, (-0.5, 9.5) at pixel centres, is the top middle: (39.5, 19.5)
    assert (a * -0.5 + b * 9.5 + c, d * -0.5 + e * 9.5 + f) == pytest.approx((39.5, 19.5))


def test_plan_turned_box_without_size_is_a_pixel() -> None:
    """A box that came out empty is not stretched without end."""
    plan = plan_turned(Face(Box(5, 5, 0, 0), (), 0.9), EnlargeLevelEyes(enlarge=1.0, is_square=False))
    assert (plan.width, plan.height, plan.roll_deg) == (1, 1, 0)


@pytest.mark.parametrize(
    ("box", "centre", "side"),
    [
        (Box(300, 200, 40, 50), (320, 225), 100),
        (Box(0, 0, 40, 50), (50, 50), 100),
        (Box(620, 470, 40, 50), (590, 430), 100),
        (Box(100, 100, 200, 250), (250, 240), 500),
        (Box(100, 100, 400, 300), (320, 240), 640),
    ],
    ids=["middle", "top left", "bottom right", "higher than the picture", "as long as the picture"],
)
def test_plan_square_grows_to_the_picture_and_moves_inside(
    box: Box, centre: tuple[float, float], side: float
) -> None:
    """A square of twice the longer side of the box, in a picture of 640x480."""
    plan = plan_square(640, 480, box, SquareInside(enlarge=2.0))
    assert (plan.centre_x, plan.centre_y) == centre
    assert (plan.width, plan.height, plan.roll_deg) == (side, side, 0)


@given(**ANY_VIEW)
def test_plan_square_of_any_box_shows_all_that_fits(
    width: int, height: int, x: float, y: float, box_width: float, box_height: float, enlarge: float
) -> None:
    """On each axis the square lies inside the picture or the picture inside the square."""
    rule = SquareInside(enlarge=enlarge)
    plan = plan_square(width, height, Box(x, y, box_width, box_height), rule)
    assert 0 < plan.width == plan.height <= max(width, height)
    for middle, room in ((plan.centre_x, width), (plan.centre_y, height)):
        first, last = middle - plan.width / 2, middle + plan.width / 2
        is_inside = first >= -1e-6 * room and last <= room * (1 + 1e-6)
        assert is_inside or (first <= 1e-6 * room and last >= room * (1 - 1e-6))
