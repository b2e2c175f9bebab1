"""Letterboxed tensors of the kernel against OpenCV's way and a reading in NumPy."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_on_cpu import (
    BYTES,
    FLOATS,
    SCALED,
    KernelsOnCpu,
    compiled,
    frame_of,
    frame_of_nv12,
    nv12,
    run_letterbox,
)
from livegate.core.frame import Frame
from livegate.kernels.pictures import TensorFormat
from livegate.manifests.schema import InputTensor, Letterbox
from livegate.preprocess.cpu import bgr_from_nv12, tensor_from_letterbox
from livegate.preprocess.ops import plan_letterbox
from livegate.preprocess.scratch import Scratch
from numpy_pictures import levels_apart, read_letterbox
from support import noise

BY_32 = Letterbox(multiple_of=32)
# Odd, wide, high, one pixel, up to scale, down to scale, exactly half, exactly the same.
FRAMES = [(640, 480), (641, 479), (31, 200), (200, 31), (96, 96), (192, 128), (1, 1), (1, 97), (1280, 3)]


@pytest.mark.parametrize("size", FRAMES, ids=str)
def test_letterbox_of_bytes_is_within_one_level_of_the_cpu(
    kernels: KernelsOnCpu, size: tuple[int, int]
) -> None:
    """The picture that the CPU's path makes, padding included."""
    pixels = noise(*size)
    plan = plan_letterbox(*size, BY_32, 96)
    told = run_letterbox(kernels, frame_of(pixels), plan, BYTES, 114)
    expected = tensor_from_letterbox(Frame(pixels, 0), plan, BYTES, 114, Scratch(), "n")
    assert levels_apart(told, expected) <= 1
    assert (told[0, plan.height :] == 114).all()
    assert (told[0, :, plan.width :] == 114).all()


@pytest.mark.parametrize("spec", [FLOATS, SCALED], ids=["levels", "scaled RGB"])
@pytest.mark.parametrize("size", FRAMES, ids=str)
def test_letterbox_of_floats_equals_numpy(
    kernels: KernelsOnCpu, size: tuple[int, int], spec: InputTensor
) -> None:
    """pixel * scale - mean in the tensor's colour order, not rounded to levels on the way."""
    pixels = noise(*size)
    plan = plan_letterbox(*size, BY_32, 96)
    told = run_letterbox(kernels, frame_of(pixels), plan, spec, 7)
    np.testing.assert_allclose(told, read_letterbox(pixels, plan, spec, 7), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(8191, 5), (5, 8191), (16384, 2)], ids=str)
def test_letterbox_of_a_large_frame_is_as_exact_as_of_a_small_one(
    kernels: KernelsOnCpu, size: tuple[int, int]
) -> None:
    """Places thousands of pixels away are as fine as near ones, where floats would be 0.1 level off."""
    pixels = noise(*size)
    plan = plan_letterbox(*size, BY_32, 640)
    told = run_letterbox(kernels, frame_of(pixels), plan, FLOATS)
    np.testing.assert_allclose(told, read_letterbox(pixels, plan, FLOATS, 0), rtol=0, atol=1e-4)


def test_letterbox_formats_tell_the_same_numbers(kernels: KernelsOnCpu) -> None:
    """Halves are the floats rounded once, planes of bytes the interleaved ones."""
    frame = frame_of(noise(123, 77))
    plan = plan_letterbox(123, 77, BY_32, 96)
    told = {kind: run_letterbox(kernels, frame, plan, FLOATS, 9, kind) for kind in TensorFormat}
    floats = told[TensorFormat.NCHW_FLOAT32]
    assert np.array_equal(told[TensorFormat.NCHW_FLOAT16], floats.astype(np.float16))
    assert np.array_equal(told[TensorFormat.NCHW_UINT8], np.floor(floats + np.float32(0.5)))
    interleaved = told[TensorFormat.NHWC_UINT8].transpose(0, 3, 1, 2)
    assert np.array_equal(told[TensorFormat.NCHW_UINT8], interleaved)


@pytest.mark.parametrize("size", [(640, 480), (62, 200), (2, 2), (198, 34)], ids=str)
@pytest.mark.parametrize("beside", [0, 13])
def test_letterbox_of_nv12_is_within_one_level_of_the_cpu(
    kernels: KernelsOnCpu, size: tuple[int, int], beside: int
) -> None:
    """Colour conversion and resize in one pass, as conversion and then resize."""
    light, chroma, source = nv12(*size, beside)
    plan = plan_letterbox(*size, BY_32, 96)
    frame = frame_of_nv12(light, chroma)
    told = run_letterbox(kernels, frame, plan, BYTES, 3)
    converted = bgr_from_nv12(source, Scratch())
    expected = tensor_from_letterbox(Frame(converted, 0), plan, BYTES, 3, Scratch(), "n")
    assert levels_apart(told, expected) <= 1
    floats = run_letterbox(kernels, frame, plan, SCALED, 3)
    np.testing.assert_allclose(floats, read_letterbox(converted, plan, SCALED, 3), rtol=0, atol=1e-4)


def test_nv12_every_colour_is_opencvs(kernels: KernelsOnCpu) -> None:
    """Each brightness with a grid of chroma values, without any resize: the same three levels."""
    levels = np.arange(256, dtype=np.uint8)
    light = np.repeat(np.tile(levels, (512, 1)), 2, axis=1)  # (512, 512): each level in a 2x2 of its own
    cb, cr = np.meshgrid(levels, levels)
    chroma = np.stack((cb, cr), axis=2).reshape(256, 512)
    plan = plan_letterbox(512, 512, BY_32, 512)
    for shift in range(0, 256, 37):
        shifted = np.concatenate((light + np.uint8(shift), chroma))
        frame = frame_of_nv12(shifted[:512], shifted[512:])
        told = run_letterbox(kernels, frame, plan, BYTES)
        assert np.array_equal(told[0], cv2.cvtColor(shifted, cv2.COLOR_YUV2BGR_NV12))


@given(width=st.integers(1, 300), height=st.integers(1, 300), size=st.integers(1, 130))
@settings(max_examples=40, deadline=None)
def test_any_frame_is_letterboxed_as_numpy_does(width: int, height: int, size: int) -> None:
    """Any size up or down, with the padding's value where the frame is not."""
    pixels = noise(width, height)
    plan = plan_letterbox(width, height, Letterbox(multiple_of=16), size)
    told = run_letterbox(compiled(), frame_of(pixels), plan, SCALED, 200)
    np.testing.assert_allclose(told, read_letterbox(pixels, plan, SCALED, 200), rtol=0, atol=1e-4)


def test_halves_are_numpys(kernels: KernelsOnCpu) -> None:
    """Every half, the middle between each and the next, its neighbours; infinities; not a number."""
    halves = np.arange(0x7C01, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (halves[:-2] + halves[1:-1]) / 2
    near = [np.nextafter(middles, np.float32(side), dtype=np.float32) for side in (-np.inf, np.inf)]
    large = np.array([65504, 65519.996, 65520, 1e30, np.inf, np.nan, 1e-40], np.float32)
    numbers = np.concatenate((halves, middles, *near, large))
    numbers = np.concatenate((numbers, -numbers))
    told = np.zeros(len(numbers), np.uint16)
    pointers = (ctypes.c_void_p(numbers.ctypes.data), ctypes.c_void_p(told.ctypes.data))
    kernels.library.convert_to_half(*pointers, len(numbers))
    with np.errstate(over="ignore"):
        expected = numbers.astype(np.float16)
    np.testing.assert_array_equal(told.view(np.float16), expected)
    assert np.array_equal(np.signbit(told.view(np.float16)), np.signbit(expected))
