"""Pictures for requests: noise, so that nothing compresses away."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import numpy as np
import simplejpeg

PATH = "/aipaas/live/v1/detection/silent"


def jpeg(width: int = 64, height: int = 64, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return simplejpeg.encode_jpeg(pixels, quality=90, colorspace="BGR")


def smooth(width: int, height: int) -> bytes:
    """A gradient: few bytes, many pixels."""
    rows = np.linspace(0, 255, height, dtype=np.uint8)[:, None, None]
    pixels = np.ascontiguousarray(np.broadcast_to(rows, (height, width, 3)))
    return simplejpeg.encode_jpeg(pixels, quality=90, colorspace="BGR")


def png_bomb(side: int = 20_000) -> bytes:
    """A PNG of a few bytes that claims side x side pixels, with honest checksums."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def message(*images: bytes, **changes: Any) -> dict[str, Any]:
    """A good AIPaaS message; `changes` replace fields of data, or `code`."""
    code = changes.pop("code", 1019)
    data: dict[str, Any] = {
        "taskId": "task_1",
        "algoTasks": [{"algoTask": 1031, "algoConfig": {"silentface": {"algoType": 1031}}}],
        "imageList": [{"image": base64.b64encode(image).decode()} for image in images],
    }
    return {"code": code, "data": {**data, **changes}}


def body(*images: bytes, **changes: Any) -> bytes:
    return json.dumps(message(*images, **changes)).encode()
