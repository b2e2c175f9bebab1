"""Crops of faces by the kernel against OpenCV's way and a reading in NumPy, and refusals."""

from __future__ import annotations

import math
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels_on_cpu import (
    BYTES,
    FLOATS,
    SCALED,
    KernelsOnCpu,
    Wanted,
    compiled,
    frame_of,
    frame_of_nv12,
    nv12,
    region,
    run_crops,
    run_letterbox,
    turned,
)
from livegate.core.errors import EngineError
from livegate.core.frame import Frame
from livegate.core.results import Box, Face
from livegate.kernels import pictures
from livegate.kernels.launch import BLOCK
from livegate.kernels.pictures import (
    DeviceFrame,
    Target,
    TensorFormat,
    crop_of_region,
    crop_of_turned,
    format_of,
    launch_face_crops,
)
from livegate.manifests.schema import EnlargeLevelEyes, EnlargeShiftInside, Letterbox
from livegate.preprocess.cpu import bgr_from_nv12, tensor_from_crop, tensor_from_turned
from livegate.preprocess.ops import (
    CropPlan,
    TurnedPlan,
    plan_crop,
    plan_letterbox,
    plan_turned,
)
from livegate.preprocess.scratch import Scratch
from numpy_pictures import as_tensor, levels_apart, read_stretched, read_turned
from support import noise

# In the middle, over each edge, all around, turned any way, far outside, and as small as a pixel.
TURNS = [
    TurnedPlan(100.0, 80.0, 60.0, 70.0, 0.0),
    TurnedPlan(3.5, 2.25, 80.0, 60.0, 33.0),
    TurnedPlan(199.0, 149.0, 90.0, 90.0, -120.0),
    TurnedPlan(100.0, 75.0, 700.0, 900.0, 45.0),
    TurnedPlan(100.3, 75.7, 9.0, 7.0, 180.0),
    TurnedPlan(-500.0, -500.0, 60.0, 60.0, 10.0),
    TurnedPlan(90.0, 70.0, 1.0, 1.0, -90.0),
]


@pytest.mark.parametrize(
    "plan",
    [
        CropPlan(11, 7, 93, 71),
        CropPlan(0, 0, 200, 150),
        CropPlan(199, 149, 200, 150),
        CropPlan(0, 60, 200, 61),
        CropPlan(50, 0, 51, 150),
        CropPlan(52, 10, 100, 50),
        CropPlan(10, 10, 106, 90),
    ],
    ids=str,
)
def test_region_is_the_cpus_and_numpys(kernels: KernelsOnCpu, plan: CropPlan) -> None:
    """A region is stretched by itself: what lies beside it does not shine in."""
    pixels = noise(200, 150)
    told = region(kernels, pixels, plan, BYTES)
    expected = tensor_from_crop(Frame(pixels, 0), plan, BYTES, Scratch(), "n")
    assert levels_apart(told, expected) <= 1
    inside = pixels[plan.top : plan.bottom, plan.left : plan.right]
    floats = as_tensor(read_stretched(inside, 48, 40), SCALED)
    np.testing.assert_allclose(region(kernels, pixels, plan, SCALED), floats, rtol=0, atol=1e-4)


@pytest.mark.parametrize("plan", TURNS, ids=str)
def test_turned_is_the_cpus_and_numpys(kernels: KernelsOnCpu, plan: TurnedPlan) -> None:
    """A turned rectangle, blended into the padding where it leaves the frame."""
    pixels = noise(200, 150)
    told = turned(kernels, pixels, plan, BYTES, 77)
    expected = tensor_from_turned(Frame(pixels, 0), plan, BYTES, 77, Scratch(), "n")
    assert levels_apart(told, expected) <= 1
    floats = as_tensor(read_turned(pixels, plan, 48, 40, 77), SCALED)
    np.testing.assert_allclose(turned(kernels, pixels, plan, SCALED, 77), floats, rtol=0, atol=1e-4)


def test_crops_of_nv12_are_those_of_the_converted_frame(kernels: KernelsOnCpu) -> None:
    """Both rules read a camera's own format, each plane with its own pitch."""
    light, chroma, source = nv12(200, 150, beside=6)
    converted = bgr_from_nv12(source, Scratch())
    frame, tilt, plan = frame_of_nv12(light, chroma), TURNS[1], CropPlan(11, 7, 93, 71)
    wanted: list[Wanted] = [
        (partial(crop_of_turned, frame, tilt, 77), SCALED, format_of(SCALED)),
        (partial(crop_of_region, plan), SCALED, format_of(SCALED)),
    ]
    told = run_crops(kernels, frame, wanted)
    expected = read_turned(converted, tilt, 48, 40, 77), read_stretched(converted[7:71, 11:93], 48, 40)
    for one, other in zip(told, expected, strict=True):
        np.testing.assert_allclose(one, as_tensor(other, SCALED), rtol=0, atol=1e-4)


def test_turned_far_outside_is_padding(kernels: KernelsOnCpu) -> None:
    """Nothing of the frame is in sight."""
    plan = TurnedPlan(1e6, -1e6, 50.0, 50.0, 12.0)
    assert (turned(kernels, noise(64, 64), plan, BYTES, 77) == 77).all()


def test_turned_at_the_end_of_a_large_frame_is_exact(kernels: KernelsOnCpu) -> None:
    """Thousands of pixels from the corner the places are as fine as near it."""
    pixels = noise(8190, 120)
    plan = TurnedPlan(8100.3, 61.7, 77.7, 81.1, 17.5)
    told = turned(kernels, pixels, plan, FLOATS, 5)
    np.testing.assert_allclose(
        told, as_tensor(read_turned(pixels, plan, 48, 40, 5), FLOATS), rtol=0, atol=1e-4
    )


def test_crops_of_one_launch_are_those_of_single_ones(kernels: KernelsOnCpu) -> None:
    """Inputs of different sizes and formats, both rules, in one launch; none writes beside its own."""
    pixels = noise(301, 203)
    frame = frame_of(pixels)
    small = msgspec.structs.replace(FLOATS, shape=(1, 3, 17, 9))
    large = msgspec.structs.replace(SCALED, shape=(1, 3, 65, 33))
    wanted: list[Wanted] = []
    for number, spec in enumerate((small, large, BYTES, small)):
        box = CropPlan(10 * number, 5, 60 + 31 * number, 77 + number)
        tilt = TurnedPlan(70.0 * number, 50.0, 90.0, 60.0, 31.0 * number)
        kind = TensorFormat.NCHW_FLOAT16 if number == 3 else format_of(spec)
        wanted.append((partial(crop_of_region, box), spec, kind))
        wanted.append((partial(crop_of_turned, frame, tilt, 8), spec, kind))
    together = run_crops(kernels, frame, wanted)
    for one, tensor in zip(wanted, together, strict=True):
        assert np.array_equal(run_crops(kernels, frame, [one])[0], tensor)


@pytest.mark.parametrize("before", [0, 5])
def test_frame_with_strided_rows_shows_nothing_of_what_lies_beside(
    kernels: KernelsOnCpu, before: int
) -> None:
    """Whatever surrounds a frame in memory, before, beside and behind it, the tensors are the same."""
    inner, plan = noise(77, 51), plan_letterbox(77, 51, Letterbox(multiple_of=32), 96)
    tilt = TurnedPlan(70.0, 5.0, 60.0, 60.0, 20.0)
    told = []
    for level in (0, 255):
        wide = np.full((55, 101, 3), level, np.uint8)
        view = wide[2:53, before : before + 77]
        view[...] = inner
        told.append(
            (
                run_letterbox(kernels, frame_of(view), plan, SCALED),
                region(kernels, view, CropPlan(0, 0, 77, 51), SCALED),
                turned(kernels, view, tilt, SCALED, 9),
            )
        )
    for one, other in zip(*told, strict=True):
        assert np.array_equal(one, other)


SIDES = st.integers(1, 70)
ANYWHERE = st.floats(-300, 300, allow_subnormal=False)
LENGTHS = st.floats(0, 400, allow_subnormal=False)


@example(width=1, height=1, x=0.0, y=0.0, box=(1.0, 1.0), eyes=(0.0, 0.0), enlarge=2.7)
@example(width=70, height=1, x=-300.0, y=300.0, box=(400.0, 0.0), eyes=(-3.0, 0.0), enlarge=2.7)
@given(
    width=SIDES,
    height=SIDES,
    x=ANYWHERE,
    y=ANYWHERE,
    box=st.tuples(LENGTHS, LENGTHS),
    eyes=st.tuples(ANYWHERE, ANYWHERE),
    enlarge=st.floats(0.1, 5),
)
@settings(max_examples=60, deadline=None)
def test_any_face_in_any_frame_is_numpys(
    width: int,
    height: int,
    x: float,
    y: float,
    box: tuple[float, float],
    eyes: tuple[float, float],
    enlarge: float,
) -> None:
    """Both rules, wherever the face is and however thin; no byte beside the tensor is written."""
    kernels = compiled()
    pixels = noise(width, height)
    face = Face(Box(x, y, *box), ((0.0, 0.0), eyes), 1.0)
    plan = plan_crop(width, height, face.box, EnlargeShiftInside(enlarge=enlarge))
    inside = pixels[plan.top : plan.bottom, plan.left : plan.right]
    expected = as_tensor(read_stretched(inside, 48, 40), FLOATS)
    np.testing.assert_allclose(region(kernels, pixels, plan, FLOATS), expected, rtol=0, atol=1e-4)
    tilt = plan_turned(face, EnlargeLevelEyes(enlarge=enlarge, is_square=True, pad=3))
    expected = as_tensor(read_turned(pixels, tilt, 48, 40, 3), FLOATS)
    np.testing.assert_allclose(turned(kernels, pixels, tilt, FLOATS, 3), expected, rtol=0, atol=1e-4)


TARGET = Target(0, FLOATS, TensorFormat.NCHW_FLOAT32)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@example(plan=TurnedPlan(math.nan, 0.0, 1.0, 1.0, 0.0))
@example(plan=TurnedPlan(0.0, math.inf, 1.0, 1.0, 0.0))
@example(plan=TurnedPlan(0.0, 0.0, 1e30, 1e30, 0.0))
@example(plan=TurnedPlan(float(pictures.MAX_PLACE), 0.0, 2.0, 2.0, 0.0))
@example(plan=TurnedPlan(float(pictures.MAX_PLACE - 2), 0.0, 2.0, 2.0, 0.0))
@given(plan=st.builds(TurnedPlan, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(-1e9, 1e9)))
@settings(max_examples=300)
def test_turned_of_any_numbers_fits_the_kernels_integers_or_is_refused(plan: TurnedPlan) -> None:
    """No place of the input, nor any sum on the way to it, leaves 64 bits."""
    frame = DeviceFrame.bgr(0, 640, 480, 1920)
    try:
        crop = crop_of_turned(frame, plan, 0, TARGET)
    except EngineError:
        return
    m = list(crop.frame_from_input)
    for u in (0, 47):
        for v in (0, 39):
            for step_u, step_v, start in (m[:3], m[3:]):
                steps = (
                    start,
                    step_u * u,
                    step_v * v,
                    start + step_u * u,
                    start + step_u * u + step_v * v,
                )
                assert all(abs(number) < 1 << 63 for number in steps)


@pytest.mark.parametrize("centre", [math.nan, math.inf, -math.inf, 1e30, float(pictures.MAX_PLACE)])
def test_turned_out_of_reach_is_refused(centre: float) -> None:
    """Nonsense from a network is an error of the engine, as on the CPU, and never a launch."""
    frame = DeviceFrame.bgr(0, 640, 480, 1920)
    with pytest.raises(EngineError, match="nonsense"):
        crop_of_turned(frame, TurnedPlan(centre, 10.0, 5.0, 5.0, 0.0), 0, TARGET)
    with pytest.raises(EngineError, match="nonsense"):
        crop_of_turned(frame, TurnedPlan(10.0, 10.0, 5.0, 4.0 * centre, 0.0), 0, TARGET)


@pytest.mark.parametrize(("size", "grid"), [((32, 8), (1, 1)), ((33, 9), (2, 2)), ((1, 1), (1, 1))])
def test_launch_covers_every_pixel(size: tuple[int, int], grid: tuple[int, int]) -> None:
    """As few blocks as cover the largest input; one layer for each crop."""
    frame = DeviceFrame.bgr(0, 640, 480, 1920)
    spec = msgspec.structs.replace(FLOATS, shape=(1, 3, size[1], size[0]))
    crop = crop_of_region(CropPlan(0, 0, 5, 5), Target(0, spec, TensorFormat.NCHW_FLOAT32))
    tiny = crop_of_region(
        CropPlan(0, 0, 5, 5),
        Target(0, msgspec.structs.replace(FLOATS, shape=(1, 3, 1, 1)), TensorFormat.NCHW_FLOAT32),
    )
    launch = launch_face_crops(frame, [tiny, crop, tiny], 0)
    assert (launch.grid, launch.block) == ((*grid, 3), BLOCK)
