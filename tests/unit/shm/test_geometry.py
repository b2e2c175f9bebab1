"""Where the pixels of a slot are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError
from livegate.shm.geometry import MAX_SIDE, ROW_ALIGN, SLOT_ALIGN, geometry_for
from livegate.shm.layout import PixelFormat

SIDES = st.integers(2, 300)


@given(SIDES, SIDES)
def test_bgr_geometry_shapes_memory_without_a_copy(width: int, height: int) -> None:
    """(H, W, 3) over strided rows, every pixel inside the slot and none shared."""
    geometry = geometry_for(width, height, PixelFormat.BGR)
    memory = np.zeros(geometry.picture_bytes, np.uint8)
    pixels = geometry.shape(memory)
    assert pixels.shape == (height, width, 3)
    assert pixels.strides == (geometry.stride, 3, 1)
    assert np.shares_memory(pixels, memory)
    pixels[:] = 1
    assert int(memory.sum()) == width * height * 3
    assert geometry.stride % ROW_ALIGN == 0
    assert geometry.slot_bytes % SLOT_ALIGN == 0
    assert geometry.slot_bytes >= geometry.picture_bytes


@given(SIDES, SIDES)
def test_nv12_geometry_has_half_as_many_rows_again(width: int, height: int) -> None:
    """(H * 3 / 2, W), the colours where the grant says."""
    geometry = geometry_for(2 * width, 2 * height, PixelFormat.NV12)
    memory = np.zeros(geometry.picture_bytes, np.uint8)
    pixels = geometry.shape(memory)
    assert pixels.shape == (3 * height, 2 * width)
    assert np.shares_memory(pixels, memory)
    pixels[2 * height, 0] = 9
    assert memory[geometry.uv_offset] == 9
    assert geometry.uv_stride == geometry.stride


@pytest.mark.parametrize(
    ("width", "height", "pixel_format", "code"),
    [
        (64, 64, 3, ErrorCode.PARAM_FAILURE),
        (64, 64, 0, ErrorCode.PARAM_FAILURE),
        (63, 64, PixelFormat.NV12, ErrorCode.PARAM_FAILURE),
        (64, 63, PixelFormat.NV12, ErrorCode.PARAM_FAILURE),
        (1, 64, PixelFormat.BGR, ErrorCode.OUT_OF_RANGE),
        (64, 0, PixelFormat.BGR, ErrorCode.OUT_OF_RANGE),
        (MAX_SIDE + 1, 64, PixelFormat.BGR, ErrorCode.OUT_OF_RANGE),
        (64, (1 << 32) - 1, PixelFormat.BGR, ErrorCode.OUT_OF_RANGE),
    ],
)
def test_geometry_of_a_lie_is_refused(
    width: int, height: int, pixel_format: int, code: ErrorCode
) -> None:
    """Sizes that cannot be are refused before any memory is thought of."""
    with pytest.raises(RequestError) as caught:
        geometry_for(width, height, pixel_format)
    assert caught.value.code is code
