"""Liveness data as one file, for the Linkface dialect: what `livegate pack` does, to be called."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from livegate.ingest.envelope import DeviceKey, key_from_text
from livegate.ingest.liveness_data import (
    LivenessData,
    Motion,
    container_from_liveness_data,
    motions_from_text,
)

__all__ = ["DeviceKey", "Motion", "key_from_text", "motions_from_text", "pack_liveness_data"]
NONCE_BYTES = 16


def pack_liveness_data(
    *,
    device_id: str,
    images: Sequence[bytes] = (),
    video: bytes = b"",
    motions: Sequence[Motion] = (),
    key: DeviceKey | None = None,
    nonce: bytes | None = None,
    now_s: Callable[[], float] = time.time,
) -> bytes:
    """Picture files of one resolution, or a video file, as a container; sealed where there is a key.

    `nonce`: 16 to 64 bytes that the box is to see once; random unless told.

    Raises:
        RequestError: PARAM_FAILURE for pictures and a video, neither, or a bad device id.
    """
    told = LivenessData(
        device_id=device_id,
        created_ms=int(now_s() * 1000),
        nonce=os.urandom(NONCE_BYTES) if nonce is None else nonce,
        images=tuple(images),
        video=video,
        motions=tuple(motions),
    )
    return container_from_liveness_data(told, key)
