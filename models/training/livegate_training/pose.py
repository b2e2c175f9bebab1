"""Head pose as angles and as a rotation.

Axes: x to the image's right, y up, z towards the camera. LiveGate's signs: yaw > 0 faces the image's
right, pitch > 0 down, roll > 0 clockwise as seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pose:
    """Three angles in degrees, in LiveGate's signs."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def rotation_of(pose: Pose) -> NDArray[Any]:
    """(3, 3): first the nod, then the turn, then the roll in the picture."""
    yaw, pitch, roll = (math.radians(a) for a in (pose.yaw_deg, pose.pitch_deg, -pose.roll_deg))
    about_x = _about(0, pitch)
    about_y = _about(1, yaw)
    return _about(2, roll) @ about_y @ about_x


def pose_of(rotation: NDArray[Any]) -> Pose:
    """The angles of a rotation; the inverse of `rotation_of` within +-90 degrees."""
    # R = Rz Ry Rx: the third row and the first column hold one angle each.
    yaw = math.asin(float(np.clip(-rotation[2, 0], -1, 1)))
    pitch = math.atan2(rotation[2, 1], rotation[2, 2])
    roll = -math.atan2(rotation[1, 0], rotation[0, 0])
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))


def rolled(pose: Pose, angle_deg: float) -> Pose:
    """The same head in a picture that was turned clockwise by an angle."""
    return pose_of(_about(2, -math.radians(angle_deg)) @ rotation_of(pose))


def _about(axis: int, angle: float) -> NDArray[Any]:
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix
