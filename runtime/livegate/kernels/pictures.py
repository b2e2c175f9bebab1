"""Parameters of the kernels that make tensors of frames: letterbox, and all crops of all faces.

The structures are those of kernels/frame.cuh and kernels/crop.cuh, field by field. The geometry is
that of preprocess/ops.py; here it becomes integers in steps of 2^-40 pixel, as crop.cuh explains.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from livegate.core.errors import EngineError
from livegate.kernels.launch import BLOCK, Launch, blocks_over
from livegate.manifests.schema import InputTensor
from livegate.preprocess.ops import CropPlan, LetterboxPlan, TurnedPlan

PLACE_BITS = 40
MAX_PLACE = 1 << 21
"""Pixels; further from the frame's corner a place does not fit the kernel's integers."""

Matrix = tuple[int, int, int, int, int, int]


class FrameFormat(IntEnum):
    """How a frame's bytes lie."""

    BGR = 0
    NV12 = 1


class TensorFormat(IntEnum):
    """How a tensor's numbers lie. The two of bytes are the picture as it is: no scale, no mean."""

    NCHW_FLOAT32 = 0
    NCHW_FLOAT16 = 1
    NCHW_UINT8 = 2
    NHWC_UINT8 = 3


class _Border(IntEnum):
    REPLICATE = 0
    PAD = 1


class DeviceFrame(ctypes.Structure):
    """A frame in memory that the GPU reads. Pitches are bytes from one row to the next."""

    _fields_ = (
        ("pixels", ctypes.c_void_p),
        ("chroma", ctypes.c_void_p),
        ("pitch", ctypes.c_int),
        ("chroma_pitch", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("format", ctypes.c_int),
    )
    width: int
    height: int

    @classmethod
    def bgr(cls, address: int, width: int, height: int, pitch: int) -> DeviceFrame:
        """Three bytes a pixel, blue first."""
        return cls(address, 0, pitch, 0, width, height, FrameFormat.BGR)

    @classmethod
    def nv12(
        cls, address: int, chroma_address: int, width: int, height: int, pitch: int, chroma_pitch: int
    ) -> DeviceFrame:
        """A plane of brightness and one of pairs (Cb, Cr); both sides are even."""
        return cls(address, chroma_address, pitch, chroma_pitch, width, height, FrameFormat.NV12)


class DeviceCrop(ctypes.Structure):
    """One part of a frame and the tensor it becomes."""

    _fields_ = (
        ("frame_from_input", ctypes.c_longlong * 6),
        ("tensor", ctypes.c_void_p),
        ("scale", ctypes.c_float * 3),
        ("mean", ctypes.c_float * 3),
        ("left", ctypes.c_int),
        ("top", ctypes.c_int),
        ("right", ctypes.c_int),
        ("bottom", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("inner_width", ctypes.c_int),
        ("inner_height", ctypes.c_int),
        ("border", ctypes.c_int),
        ("pad", ctypes.c_int),
        ("format", ctypes.c_int),
        ("is_rgb", ctypes.c_int),
    )
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Target:
    """The tensor that a crop is written to: where it lies, and the manifest's word on its numbers.

    `format` may be another than the manifest's, for an engine that was built for halves.
    """

    address: int
    spec: InputTensor
    format: TensorFormat


def format_of(spec: InputTensor) -> TensorFormat:
    """The format that a manifest's input asks for."""
    return TensorFormat.NHWC_UINT8 if spec.is_picture else TensorFormat.NCHW_FLOAT32


def crop_of_letterbox(frame: DeviceFrame, plan: LetterboxPlan, pad: int, target: Target) -> DeviceCrop:
    """A whole frame in the top left of the input."""
    whole = CropPlan(0, 0, frame.width, frame.height)
    inner = (plan.width, plan.height)
    matrix = _stretch(whole, *inner)
    return _crop(matrix, whole, (plan.input_width, plan.input_height), inner, target, pad=pad)


def crop_of_region(plan: CropPlan, target: Target) -> DeviceCrop:
    """A region of a frame, stretched; what lies beside the region is not looked at."""
    size = (int(target.spec.width), int(target.spec.height))
    return _crop(_stretch(plan, *size), plan, size, size, target)


def crop_of_turned(frame: DeviceFrame, plan: TurnedPlan, pad: int, target: Target) -> DeviceCrop:
    """A turned rectangle of a frame; beside the frame it has the value `pad`.

    Raises:
        EngineError: the rectangle is not finite, or MAX_PLACE pixels away: no face is there.
    """
    size = (int(target.spec.width), int(target.spec.height))
    whole = CropPlan(0, 0, frame.width, frame.height)
    return _crop(_turn(plan, size), whole, size, size, target, border=_Border.PAD, pad=pad)


def require_reach(plan: TurnedPlan, spec: InputTensor) -> None:
    """Hold that a rectangle is one that `crop_of_turned` takes; raises as it."""
    size = (int(spec.width), int(spec.height))
    _require_reach(_turn(plan, size), size)


def launch_letterbox(frame: DeviceFrame, crop: DeviceCrop) -> Launch:
    """Write one letterboxed tensor."""
    return Launch("livegate_letterbox", blocks_over(crop.width, crop.height), BLOCK, (frame, crop))


def launch_face_crops(frame: DeviceFrame, crops: Sequence[DeviceCrop], crops_address: int) -> Launch:
    """Write the tensors of all crops.

    Args:
        frame: what they are cut from.
        crops: at least one, at most 65535.
        crops_address: where the same structures lie one behind the other in device memory.
    """
    widest, highest = max(crop.width for crop in crops), max(crop.height for crop in crops)
    grid = blocks_over(widest, highest, len(crops))
    return Launch("livegate_face_crops", grid, BLOCK, (frame, ctypes.c_void_p(crops_address)))


def _turn(plan: TurnedPlan, size: tuple[int, int]) -> Matrix:
    numbers = [number for row in plan.frame_from_input(*size) for number in row]
    if not all(abs(number) < MAX_PLACE for number in numbers):  # nor is what is not a number
        raise _out_of_reach()
    # Scaling by a power of two is exact.
    xx, xy, x0, yx, yy, y0 = (round(math.ldexp(number, PLACE_BITS)) for number in numbers)
    return xx, xy, x0, yx, yy, y0


def _stretch(region: CropPlan, width: int, height: int) -> Matrix:
    """Resize's own rule, exactly: pixel centres at (u + 0.5) * size / new size - 0.5."""
    step_x, first_x = _axis(region.left, region.right, width)
    step_y, first_y = _axis(region.top, region.bottom, height)
    return (step_x, 0, first_x, 0, step_y, first_y)


def _axis(start: int, end: int, length: int) -> tuple[int, int]:
    """The step and the first place of `length` input pixels over [start, end)."""
    size = end - start
    first = ((size - length) << (PLACE_BITS - 1)) // length
    return (size << PLACE_BITS) // length, (start << PLACE_BITS) + first


def _crop(
    matrix: Matrix,
    region: CropPlan,
    size: tuple[int, int],
    inner: tuple[int, int],
    target: Target,
    *,
    border: _Border = _Border.REPLICATE,
    pad: int = 0,
) -> DeviceCrop:
    _require_reach(matrix, size)
    spec = target.spec
    return DeviceCrop(
        (ctypes.c_longlong * 6)(*matrix),
        target.address,
        (ctypes.c_float * 3)(*spec.scale),
        (ctypes.c_float * 3)(*spec.mean),
        region.left,
        region.top,
        region.right,
        region.bottom,
        *size,
        *inner,
        border,
        pad,
        target.format,
        int(spec.colour == "RGB"),
    )


def _require_reach(matrix: Matrix, size: tuple[int, int]) -> None:
    """Every place of the input fits the kernel's integers: a plane is furthest out at a corner."""
    limit = MAX_PLACE << PLACE_BITS
    xx, xy, x0, yx, yy, y0 = matrix
    for u in (0, size[0] - 1):
        for v in (0, size[1] - 1):
            if abs(x0 + xx * u + xy * v) >= limit or abs(y0 + yx * u + yy * v) >= limit:
                raise _out_of_reach()


def _out_of_reach() -> EngineError:
    return EngineError(
        f"a face reaches {MAX_PLACE} pixels or more from the frame's corner: its numbers are nonsense"
    )
