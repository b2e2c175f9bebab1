"""Tensors against a reading in plain NumPy, and the buffers that they lie in."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from livegate.core.frame import Frame
from livegate.manifests.schema import InputTensor, Letterbox
from livegate.preprocess.cpu import (
    tensor_from_crop,
    tensor_from_letterbox,
    tensor_from_turned,
    upright,
)
from livegate.preprocess.ops import CropPlan, TurnedPlan, plan_letterbox
from livegate.preprocess.scratch import Scratch
from support import frame, noise

PLAIN = InputTensor(
    name="x",
    shape=(1, 3, 40, 48),
    layout="NCHW",
    dtype="float32",
    colour="BGR",
)
PICTURE = InputTensor(name="x", shape=(1, 40, 48, 3), layout="NHWC", dtype="uint8", colour="BGR")
BY_32 = Letterbox(multiple_of=32)


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear with half-pixel centres and clamped edges, in float64."""

    def axis(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        where = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(where).astype(int)
        return low, np.minimum(low + 1, old - 1), where - low

    top, bottom, down = axis(pixels.shape[0], height)
    left, right, across = axis(pixels.shape[1], width)
    rows = pixels[top] * (1 - down)[:, None, None] + pixels[bottom] * down[:, None, None]
    return rows[:, left] * (1 - across)[:, None] + rows[:, right] * across[:, None]


def planar(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) to (1, 3, H, W)."""
    return pixels.transpose(2, 0, 1)[None].astype(np.float32)


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (31, 200), (200, 31), (320, 320)])
def test_letterbox_tensor_equals_numpy(size: tuple[int, int]) -> None:
    """The picture is in the top left, resized bilinearly; the rest has the padding's value."""
    source = frame(*size)
    plan = plan_letterbox(*size, BY_32, 96)
    tensor = tensor_from_letterbox(source, plan, PLAIN, 114, Scratch(), "n")
    expected = np.full((1, 3, plan.input_height, plan.input_width), 114.0, np.float32)
    inner = resized(source.pixels, plan.width, plan.height)
    expected[:, :, : plan.height, : plan.width] = planar(inner)
    # OpenCV rounds to bytes, with weights of 11 bits.
    np.testing.assert_allclose(tensor, expected, atol=1.01)
    outside = np.ones(tensor.shape[2:], bool)
    outside[: plan.height, : plan.width] = False
    assert (tensor[0, :, outside] == 114).all()


def test_crop_tensor_equals_numpy() -> None:
    """The crop is cut out of the frame and stretched to the input's shape."""
    source = frame(120, 90)
    tensor = tensor_from_crop(source, CropPlan(11, 7, 93, 71), PLAIN, Scratch(), "n")
    expected = planar(resized(source.pixels[7:71, 11:93], 48, 40))
    np.testing.assert_allclose(tensor, expected, atol=1.01)


def test_crop_tensor_of_the_input_size_is_the_pixels() -> None:
    """A crop that needs no stretching is copied exactly."""
    source = frame(120, 90)
    tensor = tensor_from_crop(source, CropPlan(5, 6, 53, 46), PLAIN, Scratch(), "n")
    assert np.array_equal(tensor, planar(source.pixels[6:46, 5:53]))


@pytest.mark.parametrize("colour", ["BGR", "RGB"])
def test_tensor_colour_mean_and_scale_are_the_manifests(colour: str) -> None:
    """Each channel of the tensor's own colour order is pixel * its scale - its mean."""
    spec = msgspec.structs.replace(PLAIN, colour=colour, mean=(1.0, 0.0, 3.0), scale=(0.5, 1.0, 2.0))
    source = frame(48, 40)
    tensor = tensor_from_crop(source, CropPlan(0, 0, 48, 40), spec, Scratch(), "n")
    pixels = source.pixels if colour == "BGR" else source.pixels[:, :, ::-1]
    expected = planar(pixels.astype(np.float32) * (0.5, 1.0, 2.0) - (1.0, 0.0, 3.0))
    np.testing.assert_allclose(tensor, expected, atol=1e-4)


def test_tensor_is_what_engines_ask_for() -> None:
    """(1, 3, H, W) float32, C-contiguous."""
    tensor = tensor_from_crop(frame(48, 40), CropPlan(0, 0, 48, 40), PLAIN, Scratch(), "n")
    assert tensor.shape == (1, 3, 40, 48)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous


def test_letterbox_second_call_uses_the_same_memory() -> None:
    """A second frame of the same shape is written into the first one's buffer."""
    scratch = Scratch()
    plan = plan_letterbox(96, 64, BY_32, 96)
    first = tensor_from_letterbox(Frame(noise(96, 64, 1), 0), plan, PLAIN, 0, scratch, "n")
    before = first.copy()
    second = tensor_from_letterbox(Frame(noise(96, 64, 2), 0), plan, PLAIN, 0, scratch, "n")
    assert np.shares_memory(first, second)
    assert not np.array_equal(before, second)


def test_crop_of_two_networks_does_not_share_memory() -> None:
    """Two networks' inputs of one shape both hold what was cut for them."""
    scratch = Scratch()
    source = frame(120, 90)
    one = tensor_from_crop(source, CropPlan(0, 0, 48, 40), PLAIN, scratch, "one")
    two = tensor_from_crop(source, CropPlan(60, 40, 108, 80), PLAIN, scratch, "two")
    assert np.array_equal(one, planar(source.pixels[0:40, 0:48]))
    assert np.array_equal(two, planar(source.pixels[40:80, 60:108]))


def test_letterbox_smaller_picture_in_a_used_buffer_leaves_nothing_behind() -> None:
    """Where the picture before was larger, the same buffer has padding and not its pixels."""
    scratch = Scratch()
    white = Frame(np.full((96, 96, 3), 255, np.uint8), 0)
    full = plan_letterbox(96, 96, BY_32, 96)
    before = tensor_from_letterbox(white, full, PLAIN, 0, scratch, "n")
    narrow, low = plan_letterbox(70, 96, BY_32, 96), plan_letterbox(96, 70, BY_32, 96)
    for plan, picture in ((narrow, noise(70, 96)), (low, noise(96, 70))):
        fresh = tensor_from_letterbox(Frame(picture, 0), plan, PLAIN, 0, Scratch(), "n")
        used = tensor_from_letterbox(Frame(picture, 0), plan, PLAIN, 0, scratch, "n")
        assert np.shares_memory(used, before)
        assert np.array_equal(used, fresh)


def test_letterbox_of_strided_rows_equals_the_copy() -> None:
    """A frame whose rows are part of a wider buffer gives the same tensor as its copy."""
    wide = noise(200, 64)
    view = wide[:, 50:146]
    plan = plan_letterbox(96, 64, BY_32, 64)
    strided = tensor_from_letterbox(Frame(view, 0), plan, PLAIN, 0, Scratch(), "n")
    copied = tensor_from_letterbox(Frame(view.copy(), 0), plan, PLAIN, 0, Scratch(), "n")
    assert np.array_equal(strided, copied)


def test_tensor_leaves_the_frame_as_it_was() -> None:
    """Preprocessing reads a frame and never writes to it."""
    source = frame(96, 64)
    before = source.pixels.copy()
    source.pixels.flags.writeable = False
    plan = plan_letterbox(96, 64, BY_32, 64)
    tensor_from_letterbox(source, plan, PLAIN, 9, Scratch(), "n")
    tensor_from_crop(source, CropPlan(0, 0, 48, 40), PLAIN, Scratch(), "n")
    assert np.array_equal(source.pixels, before)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_upright_turns_clockwise_then_mirrors(rotation: int, mirror: bool) -> None:
    """The same as NumPy's turns, for every combination."""
    pixels = noise(7, 5)
    expected = np.rot90(pixels, -rotation // 90)
    expected = expected[:, ::-1] if mirror else expected
    scratch = Scratch()
    assert np.array_equal(upright(pixels, rotation, mirror, scratch), expected)
    assert np.array_equal(upright(pixels, rotation, mirror, scratch), expected), "buffers are reused"


def test_upright_picture_is_not_copied() -> None:
    """Nothing to do is no pass."""
    pixels = noise(7, 5)
    assert upright(pixels, 0, False, Scratch()) is pixels


# --- networks that read bytes -----------------------------------------------------------------------


def test_letterbox_of_bytes_is_the_float_tensor_without_a_copy() -> None:
    """(1, H, W, 3) uint8 with the same numbers, in the very buffer that the resize wrote."""
    source, scratch = frame(31, 200), Scratch()
    plan = plan_letterbox(31, 200, BY_32, 96)
    planes = tensor_from_letterbox(source, plan, PLAIN, 114, Scratch(), "n")
    tensor = tensor_from_letterbox(source, plan, PICTURE, 114, scratch, "n")
    assert (tensor.dtype, tensor.shape) == (np.uint8, (1, plan.input_height, plan.input_width, 3))
    np.testing.assert_array_equal(planar(tensor[0]), planes)
    assert tensor.flags.c_contiguous
    assert np.shares_memory(tensor, scratch.array("n.canvas", tensor.shape[1:], np.uint8))


def test_crops_of_bytes_are_the_float_tensors() -> None:
    """A stretched and a turned crop: the same numbers, rows and columns where NHWC has them."""
    source = frame(96, 64)
    plan, turned = CropPlan(10, 5, 70, 60), TurnedPlan(48, 32, 40, 30, 20)
    for make in (
        lambda spec: tensor_from_crop(source, plan, spec, Scratch(), "n"),
        lambda spec: tensor_from_turned(source, turned, spec, 7, Scratch(), "n"),
    ):
        tensor = make(PICTURE)
        assert (tensor.dtype, tensor.shape) == (np.uint8, (1, 40, 48, 3))
        np.testing.assert_array_equal(planar(tensor[0]), make(PLAIN))
