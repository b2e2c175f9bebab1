"""How good a picture of a face is: how large, how sharp, how bright the face is, and where it looks.

Measured on the face's box, brought to one size, so that distance to the camera does not matter.
Sharpness is the variance of the Laplacian (J. L. Pech-Pacheco et al., "Diatom autofocusing in
brightfield microscopy", 2000) over the variance of the brightness itself: light and contrast cancel.
"""

from __future__ import annotations

import cv2

from livegate.core.config import QualityConfig
from livegate.core.frame import Frame
from livegate.core.results import Box, Face, FaceQuality, Flaw, HeadPose
from livegate.core.telemetry import StageClock
from livegate.pipelines.pipeline import Pipeline
from livegate.preprocess.scratch import Scratch

POSE = "head_pose"
SIDE = 64
"""Pixels; smaller faces are enlarged, which does not make them sharper."""
FLAT = 1.0
"""Variance below which there is no contrast to speak of, in squared grey levels."""
GOOD_SIDE_PX, GOOD_SHARPNESS, GOOD_BRIGHTNESS = 120.0, 0.2, 0.3
"""From here on more is no better."""


def measure(
    pipeline: Pipeline, frame: Frame, face: Face, clock: StageClock, scratch: Scratch
) -> FaceQuality:
    """The quality of one face; without a pose on a box that has no model for it.

    Raises:
        EngineError: the network failed.
    """
    pose: HeadPose | None = None
    if pipeline.has_tasks((POSE,)):
        known = {"face_detection": (face,)}
        pose = pipeline.run(frame, pipeline.plan_tasks((POSE,)), clock, scratch, known)[POSE]
    sharpness, brightness = light(frame, face.box)
    return FaceQuality(min(face.box.width, face.box.height), sharpness, brightness, pose)


def flaws(quality: FaceQuality, limits: QualityConfig) -> tuple[Flaw, ...]:
    """What a picture of that quality is to be warned of."""
    pose = quality.pose
    is_turned = pose is not None and (
        abs(pose.yaw_deg) > limits.max_yaw_deg
        or abs(pose.pitch_deg) > limits.max_pitch_deg
        or abs(pose.roll_deg) > limits.max_roll_deg
    )
    found = {
        Flaw.LOW_QUALITY: overall(quality) < limits.min_overall,
        Flaw.BLURRED: quality.sharpness < limits.min_sharpness,
        Flaw.TURNED_AWAY: is_turned,
        Flaw.DARK: quality.brightness < limits.min_brightness,
    }
    return tuple(flaw for flaw, is_so in found.items() if is_so)


def overall(quality: FaceQuality) -> float:
    """0..1, the product of size, sharpness and brightness, each in parts of a good one's."""
    return (
        min(1.0, quality.side_px / GOOD_SIDE_PX)
        * min(1.0, quality.sharpness / GOOD_SHARPNESS)
        * min(1.0, quality.brightness / GOOD_BRIGHTNESS)
    )


def light(frame: Frame, box: Box) -> tuple[float, float]:
    """Sharpness and brightness of the part of a picture in a box, see FaceQuality; 0 outside it."""
    left, top = max(0, int(box.x)), max(0, int(box.y))
    right, bottom = max(0, int(box.x + box.width) + 1), max(0, int(box.y + box.height) + 1)
    view = frame.pixels[top:bottom, left:right]
    if not view.size:
        return 0.0, 0.0
    grey = cv2.cvtColor(cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    edges = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return edges / (float(grey.var()) + FLAT), float(grey.mean()) / 255
