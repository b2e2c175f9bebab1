"""The best picture of a face: large, frontal, sharp, eyes open."""

from __future__ import annotations

import cv2
import simplejpeg

from livegate.core.frame import Frame
from livegate.core.results import Box
from livegate.pipelines.evidence import FaceSample

LARGE_PX = 300.0
SHARP = 60.0
"""Half marks: variance of the Laplacian of a face of 112 pixels."""
OPEN = 0.25
SIDE = 112
QUALITY = 92


def grade(frame: Frame, box: Box, sample: FaceSample, frontal_deg: float) -> float:
    """0..1, higher = better; 0 for a face that is not frontal."""
    if sample.yaw_deg is None or sample.pitch_deg is None:
        return 0.0
    away = max(abs(sample.yaw_deg), abs(sample.pitch_deg)) / (2 * frontal_deg)
    large = min(1.0, min(box.width, box.height) / LARGE_PX)
    eyes = min(1.0, sample.eyes / OPEN)
    return max(0.0, 1 - away) * large * eyes * sharpness(frame, box)


def sharpness(frame: Frame, box: Box) -> float:
    """0..1 of the part of a picture in a box."""
    left, top = max(0, int(box.x)), max(0, int(box.y))
    view = frame.pixels[top : int(box.y + box.height) + 1, left : int(box.x + box.width) + 1]
    if not view.size:
        return 0.0
    grey = cv2.cvtColor(cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    variance = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return variance / (variance + SHARP)


def jpeg_from_frame(frame: Frame) -> bytes:
    """A whole picture as a JPEG file."""
    content: bytes = simplejpeg.encode_jpeg(frame.pixels, QUALITY, "BGR")
    return content
