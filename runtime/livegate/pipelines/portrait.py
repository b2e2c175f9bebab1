"""The best picture of a face: large, frontal, sharp, eyes open, mouth shut."""

from __future__ import annotations

import simplejpeg

from livegate.core.frame import Frame
from livegate.core.results import Box, FaceSample
from livegate.pipelines.quality import light

LARGE_PX = 300.0
SHARP = 0.15
"""Half marks, see FaceQuality."""
OPEN = 0.25
QUALITY = 92


def grade(frame: Frame, box: Box, sample: FaceSample, frontal_deg: float) -> float:
    """0..1, higher = better; 0 for a face that is not frontal."""
    if sample.yaw_deg is None or sample.pitch_deg is None:
        return 0.0
    away = max(abs(sample.yaw_deg), abs(sample.pitch_deg)) / (2 * frontal_deg)
    large = min(1.0, min(box.width, box.height) / LARGE_PX)
    eyes = min(1.0, sample.eyes / OPEN)
    sharpness, _ = light(frame, box)
    return (
        max(0.0, 1 - away) * large * eyes * max(0.0, 1 - sample.mouth) * sharpness / (sharpness + SHARP)
    )


def jpeg_from_frame(frame: Frame) -> bytes:
    """A whole picture as a JPEG file."""
    content: bytes = simplejpeg.encode_jpeg(frame.pixels, QUALITY, "BGR")
    return content
