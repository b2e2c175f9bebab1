"""From the bytes of one picture to an upright Frame.

JPEG goes through simplejpeg (libjpeg-turbo): bit-exact to OpenCV with the accurate transforms and
faster; its fast flags move boxes by pixels and stay off. PNG, BMP and WebP go through OpenCV.
"""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import simplejpeg

from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.frame import Frame, Pixels
from livegate.ingest.headers import ImageHeader, read_header, without_stray_bytes

FORMATS = "JPEG, PNG, BMP or WebP"
# Cheap cameras leave stray bytes between segments; the picture itself is whole.
HARMLESS = "extraneous bytes before marker"
END_OF_IMAGE, START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
MAX_SCANS = 100
"""A progressive JPEG has about ten. Each costs a pass over all pixels, however few bytes it has."""

# Exif 2.3, tag 274: what brings a stored picture upright: transpose or not, then OpenCV's flip code.
UPRIGHT: dict[int, tuple[bool, int | None]] = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def frame_from_bytes(content: bytes, limits: LimitsConfig, *, name: str = "the picture") -> Frame:
    """Decode one picture after its header has passed the limits.

    Raises:
        RequestError: OUT_OF_RANGE (bytes, pixels), PARAM_FAILURE (too small), DECODE_FAIL.
    """
    return decode_frame(content, checked_header(content, limits, name=name), name=name)


def decode_frame(content: bytes, header: ImageHeader, *, name: str) -> Frame:
    """Decode a picture whose header was checked.

    Raises:
        RequestError: DECODE_FAIL when it is damaged, or not what its header says.
    """
    pixels = _jpeg(content, name) if header.format == "jpeg" else _opencv(content, name)
    if pixels.shape[:2] != (header.height, header.width):
        raise _damaged(name, f"its header says {header.width}x{header.height}, it is not")
    pixels = _upright(pixels, header.orientation)
    return Frame(pixels, captured_ns=time.time_ns())


def checked_header(content: bytes, limits: LimitsConfig, *, name: str) -> ImageHeader:
    """The header of a picture that is within the limits; nothing is decoded.

    Raises:
        RequestError: as `frame_from_bytes`.
    """
    if not content:
        raise RequestError(
            ErrorCode.DECODE_FAIL, f"{name} is empty", hint=f"send the bytes of a {FORMATS} file"
        )
    if len(content) > limits.max_image_bytes:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"{name} has {len(content)} bytes, the limit is {limits.max_image_bytes}",
            hint="send a smaller picture, or raise limits.max_image_bytes",
        )
    header = read_header(content)
    if header is None:
        raise RequestError(
            ErrorCode.DECODE_FAIL, f"{name} is not a {FORMATS} file", hint="check what is sent"
        )
    scans = content.count(START_OF_SCAN) if header.format == "jpeg" else 1
    if scans > MAX_SCANS:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"{name} has {scans} scans, the limit is {MAX_SCANS}",
            hint="save it as a baseline JPEG",
        )
    require_size(header.width, header.height, limits, name=name)
    return header


def require_size(width: int, height: int, limits: LimitsConfig, *, name: str) -> None:
    """Hold a picture's size against the limits, before memory is taken for it.

    Raises:
        RequestError: OUT_OF_RANGE above the most pixels, PARAM_FAILURE below the shortest side.
    """
    if width * height > limits.max_pixels:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"{name} is {width}x{height}, the limit is {limits.max_pixels} pixels",
            hint="send a smaller picture, or raise limits.max_pixels",
        )
    if min(width, height) < limits.min_side:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"{name} is {width}x{height}, the shortest side allowed is {limits.min_side}",
            hint="send the picture as the camera took it",
        )


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    if orientation == 1:
        return pixels
    is_transposed, flip = UPRIGHT[orientation]
    turned: Any = cv2.transpose(pixels) if is_transposed else pixels
    upright: Pixels = turned if flip is None else cv2.flip(turned, flip)
    return upright


def _jpeg(content: bytes, name: str) -> Pixels:
    try:
        return simplejpeg.decode_jpeg(content, "BGR", strict=True)  # type: ignore[no-any-return]
    except ValueError as error:
        reason = str(error)
    if HARMLESS in reason:
        # libjpeg's header reader refuses them whatever it is told; without them it stays strict.
        tidy = without_stray_bytes(content)
        return _jpeg(tidy, name) if tidy != content else _lenient_jpeg(content, name)
    if "olorspace" in reason or "color" in reason:  # CMYK, which libjpeg-turbo does not turn to BGR
        return _opencv(content, name)
    raise _damaged(name, reason)


def _lenient_jpeg(content: bytes, name: str) -> Pixels:
    """Decode in spite of stray bytes between scans; a file without its end stays refused."""
    if content.rfind(END_OF_IMAGE) < content.rfind(START_OF_SCAN):
        raise _damaged(name, "it ends before its last scan does")
    try:
        return simplejpeg.decode_jpeg(content, "BGR", strict=False)  # type: ignore[no-any-return]
    except ValueError as error:
        raise _damaged(name, str(error)) from error


def _opencv(content: bytes, name: str) -> Pixels:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise _damaged(name, error.err) from error
    if pixels is None:
        raise _damaged(name, "the decoder gave up")
    return pixels  # type: ignore[return-value]


def _damaged(name: str, why: str) -> RequestError:
    return RequestError(
        ErrorCode.DECODE_FAIL, f"{name} cannot be decoded: {why}", hint="send the whole file again"
    )
