"""Pixels into input tensors on the CPU, with OpenCV and NumPy.

One resize is the only pass over the frame's pixels. Everything after it works on the small input
picture, in buffers of the worker thread. An engine that makes its input of the frame itself (CutInput)
is told what to cut, and nothing is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.core.frame import Frame, Pixels
from livegate.manifests.schema import InputTensor
from livegate.preprocess.cut import Cut, CutInput, as_tensor
from livegate.preprocess.ops import CropPlan, LetterboxPlan, TurnedPlan
from livegate.preprocess.scratch import Scratch

Tensor = NDArray[Any]


def tensor_from_letterbox(
    frame: Frame, plan: LetterboxPlan, spec: InputTensor, pad: int, scratch: Scratch, name: str
) -> Tensor:
    """A letterboxed frame as the input tensor of `spec`, in a buffer of `scratch`."""
    if isinstance(spec, CutInput) and spec.takes(frame):
        return as_tensor(Cut(frame, plan, spec, pad))
    canvas = scratch.array(f"{name}.canvas", (plan.input_height, plan.input_width, 3), np.uint8)
    cv2.resize(
        frame.pixels,
        (plan.width, plan.height),
        dst=canvas[: plan.height, : plan.width],
        interpolation=cv2.INTER_LINEAR,
    )
    # The buffer may have held a picture of another height or width.
    canvas[plan.height :] = pad
    canvas[:, plan.width :] = pad
    return _tensor(canvas, spec, scratch, name)


def tensor_from_crop(
    frame: Frame, plan: CropPlan, spec: InputTensor, scratch: Scratch, name: str
) -> Tensor:
    """A crop of a frame, stretched, as the input tensor of `spec`, in a buffer of `scratch`."""
    if isinstance(spec, CutInput) and spec.takes(frame):
        return as_tensor(Cut(frame, plan, spec))
    height, width = int(spec.height), int(spec.width)
    canvas = scratch.array(f"{name}.canvas", (height, width, 3), np.uint8)
    view = frame.pixels[plan.top : plan.bottom, plan.left : plan.right]
    cv2.resize(view, (width, height), dst=canvas, interpolation=cv2.INTER_LINEAR)
    return _tensor(canvas, spec, scratch, name)


def tensor_from_turned(
    frame: Frame, plan: TurnedPlan, spec: InputTensor, pad: int, scratch: Scratch, name: str
) -> Tensor:
    """A turned rectangle of a frame as the input tensor of `spec`, in a buffer of `scratch`."""
    if isinstance(spec, CutInput) and spec.takes(frame):
        return as_tensor(Cut(frame, plan, spec, pad))
    height, width = int(spec.height), int(spec.width)
    canvas = scratch.array(f"{name}.canvas", (height, width, 3), np.uint8)
    matrix = np.array(plan.frame_from_input(width, height), np.float64)
    cv2.warpAffine(
        frame.pixels,
        matrix,
        (width, height),
        dst=canvas,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(pad, pad, pad),
    )
    return _tensor(canvas, spec, scratch, name)


def bgr_from_nv12(pixels: Pixels, scratch: Scratch) -> Pixels:
    """(H * 3 / 2, W) NV12 as (H, W, 3) BGR, in a buffer of `scratch`: one pass, one copy."""
    height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
    target = scratch.array("nv12.bgr", (height, width, 3), np.uint8)
    cv2.cvtColor(pixels, cv2.COLOR_YUV2BGR_NV12, dst=target)
    return target


def upright(pixels: Pixels, rotation: int, mirror: bool, scratch: Scratch) -> Pixels:
    """(H, W, 3) turned by 0, 90, 180 or 270 degrees clockwise, then mirrored left to right.

    The pixels themselves when there is nothing to do; else one pass (two for 270 mirrored) into a
    buffer of `scratch`.
    """
    for number, turn in enumerate(_TURNS[rotation, mirror]):
        height, width = pixels.shape[:2]
        shape = (width, height, 3) if turn in _SWAPPING else (height, width, 3)
        pixels = turn(pixels, scratch.array(f"upright.{number}", shape, np.uint8))
    return pixels


Turn = Callable[[Pixels, Pixels], Pixels]


def _clockwise(source: Pixels, target: Pixels) -> Pixels:
    return cv2.rotate(source, cv2.ROTATE_90_CLOCKWISE, dst=target)  # type: ignore[return-value]


def _anticlockwise(source: Pixels, target: Pixels) -> Pixels:
    return cv2.rotate(source, cv2.ROTATE_90_COUNTERCLOCKWISE, dst=target)  # type: ignore[return-value]


def _transposed(source: Pixels, target: Pixels) -> Pixels:
    return cv2.transpose(source, dst=target)  # type: ignore[return-value]


def _flipped(axis: int) -> Turn:
    return lambda source, target: cv2.flip(source, axis, dst=target)  # type: ignore[return-value]


_ABOUT, _LEFT_RIGHT, _UP_DOWN = _flipped(-1), _flipped(1), _flipped(0)
_SWAPPING = (_clockwise, _anticlockwise, _transposed)
_TURNS: dict[tuple[int, bool], tuple[Turn, ...]] = {
    (0, False): (),
    (90, False): (_clockwise,),
    (180, False): (_ABOUT,),
    (270, False): (_anticlockwise,),
    (0, True): (_LEFT_RIGHT,),
    (90, True): (_transposed,),
    (180, True): (_UP_DOWN,),
    (270, True): (_ABOUT, _transposed),
}


def _tensor(canvas: Pixels, spec: InputTensor, scratch: Scratch, name: str) -> Tensor:
    """(H, W, 3) BGR bytes as the tensor that the network reads; itself where it reads bytes."""
    return canvas[None] if spec.is_picture else _planar(canvas, spec, scratch, name)


def _planar(canvas: Pixels, spec: InputTensor, scratch: Scratch, name: str) -> Tensor:
    """(H, W, 3) BGR bytes to (1, 3, H, W) float32 in the tensor's own colour order and scale."""
    height, width = canvas.shape[:2]
    tensor = scratch.array(f"{name}.tensor", (1, 3, height, width), np.float32)
    planes = scratch.array(f"{name}.planes", (3, height, width), np.uint8)
    # Splitting bytes and converting plane by plane is twice as fast as converting a transposed view.
    cv2.split(canvas, list(planes))
    order = (0, 1, 2) if spec.colour == "BGR" else (2, 1, 0)
    for channel, plane in enumerate(order):
        target = tensor[0, channel]
        np.copyto(target, planes[plane], casting="unsafe")
        if spec.scale[channel] != 1.0:
            target *= spec.scale[channel]
        if spec.mean[channel] != 0.0:
            target -= spec.mean[channel]
    return tensor
