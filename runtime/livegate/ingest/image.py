"""From the bytes of one picture to an upright Frame.

JPEG goes through simplejpeg (libjpeg-turbo): bit-exact to OpenCV with the accurate transforms and
faster; its fast flags move boxes by pixels and stay off. PNG, BMP and WebP go through OpenCV.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import simplejpeg

from livegate.core.config import LimitsConfig
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.frame import Frame, Pixels
from livegate.ingest.headers import ImageHeader, read_header

FORMATS = "JPEG, PNG, BMP or WebP"
# Cheap cameras leave stray bytes between segments; the picture itself is whole.
HARMLESS = "extraneous bytes before marker"

# Exif 2.3, tag 274: what brings a stored picture upright.
UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda p: cv2.flip(p, 1),  # type: ignore[return-value]
    3: lambda p: cv2.rotate(p, cv2.ROTATE_180),  # type: ignore[return-value]
    4: lambda p: cv2.flip(p, 0),  # type: ignore[return-value]
    5: lambda p: cv2.transpose(p),  # type: ignore[return-value]
    6: lambda p: cv2.rotate(p, cv2.ROTATE_90_CLOCKWISE),  # type: ignore[return-value]
    7: lambda p: cv2.rotate(cv2.transpose(p), cv2.ROTATE_180),  # type: ignore[return-value]
    8: lambda p: cv2.rotate(p, cv2.ROTATE_90_COUNTERCLOCKWISE),  # type: ignore[return-value]
}


def frame_from_bytes(content: bytes, limits: LimitsConfig, *, name: str = "the picture") -> Frame:
    """Decode one picture after its header has passed the limits.

    Raises:
        RequestError: OUT_OF_RANGE (bytes, pixels), PARAM_FAILURE (too small), DECODE_FAIL.
    """
    header = checked_header(content, limits, name=name)
    pixels = _jpeg(content, name) if header.format == "jpeg" else _opencv(content, name)
    if pixels.shape[:2] != (header.height, header.width):
        raise _damaged(name, f"its header says {header.width}x{header.height}, it is not")
    if header.orientation != 1:
        pixels = UPRIGHT[header.orientation](pixels)
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
    if header.width * header.height > limits.max_pixels:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"{name} is {header.width}x{header.height}, the limit is {limits.max_pixels} pixels",
            hint="send a smaller picture, or raise limits.max_pixels",
        )
    if min(header.width, header.height) < limits.min_side:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"{name} is {header.width}x{header.height}, the shortest side allowed is {limits.min_side}",
            hint="send the picture as the camera took it",
        )
    return header


def _jpeg(content: bytes, name: str) -> Pixels:
    try:
        return simplejpeg.decode_jpeg(content, "BGR", strict=True)  # type: ignore[no-any-return]
    except ValueError as error:
        reason = str(error)
    if HARMLESS in reason:
        return _lenient_jpeg(content, name)
    if "olorspace" in reason or "color" in reason:  # CMYK, which libjpeg-turbo does not turn to BGR
        return _opencv(content, name)
    raise _damaged(name, reason)


def _lenient_jpeg(content: bytes, name: str) -> Pixels:
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
