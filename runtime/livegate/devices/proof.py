"""Drawn frames, and the tensors that the CPU makes of them: what a GPU's cuts are held to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from livegate.core.frame import Frame, Pixels, RawPixels
from livegate.manifests.schema import InputTensor, Letterbox
from livegate.preprocess.cpu import (
    bgr_from_nv12,
    tensor_from_crop,
    tensor_from_letterbox,
    tensor_from_turned,
)
from livegate.preprocess.cut import Cut, cut_input
from livegate.preprocess.ops import CropPlan, TurnedPlan, plan_letterbox
from livegate.preprocess.scratch import Scratch
from livegate.shm.budget import MIB, SegmentBudget
from livegate.shm.geometry import geometry_for
from livegate.shm.layout import PixelFormat
from livegate.shm.segment import Segment, make_segment

LEVELS = 1.0
"""Of 255: the CPU rounds on its way, the kernel at the end or not at all."""
ROUNDING = 1e-4
SIDES = (96, 64)
"""Of the frame that is cut on both."""
TURNED = TurnedPlan(80.0, 10.0, 60.0, 50.0, 20.0)
"""Reaches over two edges of that frame."""
TURNED_PAD = 16


def _noise() -> Pixels:
    """The frame, in NV12; the same on every box."""
    width, height = SIDES
    return np.random.default_rng(6).integers(0, 256, (height * 3 // 2, width), np.uint8)


def _smooth() -> Pixels:
    """Slow ramps in BGR, close to TURNED_PAD: OpenCV before 5 turns in steps of 1/32 pixel."""
    width, height = SIDES
    y, x = np.mgrid[:height, :width]
    return np.stack((x // 3, y // 2, np.full_like(x, 24)), axis=-1).astype(np.uint8)


def slot_with(pixel_format: PixelFormat) -> Segment:
    """The noise in memory as producers have it.

    Raises:
        RequestError: OUT_OF_MEM.
        OSError: the kernel refuses the memory for another reason.
    """
    noise = _noise() if pixel_format is PixelFormat.NV12 else bgr_from_nv12(_noise(), Scratch())
    geometry = geometry_for(*SIDES, pixel_format)
    rows = np.zeros((geometry.rows, geometry.stride), np.uint8)
    rows[:, : geometry.row_bytes] = noise.reshape(geometry.rows, geometry.row_bytes)
    segment = make_segment("proof", geometry, 1, SegmentBudget(MIB, dict))
    try:
        os.pwrite(segment.fd, rows.tobytes(), 0)
    except BaseException:
        segment.close()
        raise
    return segment


def frame_in(slot: Segment) -> Frame:
    """The picture of a slot_with."""
    pixels = slot.geometry.shape(slot.in_place(0))
    is_nv12 = slot.geometry.pixel_format is PixelFormat.NV12
    return Frame(pixels, 0, RawPixels(pixels, is_nv12=is_nv12, block=slot))


def specimens(spec: InputTensor, in_place: Sequence[Frame]) -> Iterator[tuple[Cut, np.ndarray]]:
    """Cuts of drawn frames with what the CPU makes of them."""
    (width, height), noise = SIDES, _noise()
    scratch, plain = Scratch(), _free(spec)
    bgr = bgr_from_nv12(noise, scratch)
    own = cut_input(plain, takes_copies=True)
    letterbox = plan_letterbox(width, height, Letterbox(multiple_of=32), width // 2)
    for raw in (None, RawPixels(noise, is_nv12=True), *(frame.raw for frame in in_place)):
        frame = Frame(bgr, 0, raw)
        expected = tensor_from_letterbox(frame, letterbox, plain, 7, scratch, "prove")
        yield Cut(frame, letterbox, own, 7), expected
    sized = _free(spec, (48, 40))
    region = CropPlan(3, 5, 70, 61)
    expected = tensor_from_crop(Frame(bgr, 0), region, sized, scratch, "prove")
    yield Cut(Frame(bgr, 0), region, sized), expected
    frame = Frame(_smooth(), 0)
    expected = tensor_from_turned(frame, TURNED, sized, TURNED_PAD, scratch, "prove")
    yield Cut(frame, TURNED, sized, TURNED_PAD), expected


def _free(spec: InputTensor, sides: tuple[int, int] = (0, 0)) -> InputTensor:
    """A manifest's input in another size; 0 where the plan says it."""
    width, height = sides
    shape = (1, height, width, 3) if spec.is_picture else (1, 3, height, width)
    return InputTensor(
        name=spec.name,
        shape=shape,
        layout=spec.layout,
        dtype=spec.dtype,
        colour=spec.colour,
        mean=spec.mean,
        scale=spec.scale,
    )


def limit_of(spec: InputTensor, like: np.ndarray) -> np.ndarray:
    """How far tensors may be apart, for each channel."""
    if spec.is_picture:
        return np.full(like.shape, LEVELS)
    scale = np.abs(np.array(spec.scale, np.float64)).reshape(1, 3, 1, 1)
    return np.broadcast_to(LEVELS * scale + ROUNDING, like.shape)
