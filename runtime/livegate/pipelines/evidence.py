"""What one picture tells of a person's movements: head pose, how far the mouth and the eyes are open.

Ratios of lengths inside one face, so that distance to the camera does not matter. The eye's ratio is
that of T. Soukupova and J. Cech, "Real-Time Eye Blink Detection using Facial Landmarks" (2016), over
as many pairs of lids as the landmarks have, two or three; the mouth's is the same over the inner lips.

The head pose comes from the networks; the same from six landmarks and a general head (perspective
n points) is a cross-check: where the two differ wildly, neither is believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from livegate.core.results import FacePoints, FaceSample, HeadPose, Point

# Of a general head, in millimetres: x to the image's right, y down, z away from the camera.
HEAD = np.array(
    [
        (0.0, 0.0, 0.0),  # nose tip
        (0.0, 63.6, 12.5),  # chin
        (-43.3, -32.7, 26.0),  # outer corner of the eye at the image's left
        (43.3, -32.7, 26.0),  # ... right
        (-28.9, 28.9, 24.1),  # mouth corner at the image's left
        (28.9, 28.9, 24.1),  # ... right
    ]
)
MAX_APART_DEG = 40.0
"""Measured: up to 29 on rendered heads, where an open mouth tilts the general head."""


def sample_from_findings(
    pts_ms: int, points: FacePoints, pose: HeadPose, width: int, height: int
) -> FaceSample:
    """What the findings of a picture of that size tell."""
    other = pose_from_points(points, width, height)
    is_sure = other is None or abs(other.yaw_deg - pose.yaw_deg) < MAX_APART_DEG
    return FaceSample(
        pts_ms,
        pose.yaw_deg if is_sure else None,
        pose.pitch_deg if is_sure else None,
        openness(points.inner_lips),
        (openness(points.image_left_eye) + openness(points.image_right_eye)) / 2,
    )


def openness(ring: Sequence[Point]) -> float:
    """Mean distance of the facing pairs of a ring, over the distance of its corners."""
    half = len(ring) // 2
    width = math.dist(ring[0], ring[half])
    if width < 1e-6:
        return 0.0
    return sum(math.dist(ring[i], ring[-i]) for i in range(1, half)) / (half - 1) / width


def pose_from_points(points: FacePoints, width: int, height: int) -> HeadPose | None:
    """Head pose from landmarks alone; None when there is no solution.

    The camera is taken to see about 53 degrees across (focal length = the longer side).
    """
    seen = np.array(
        [
            points.nose_tip,
            points.chin,
            points.image_left_eye[0],
            points.image_right_eye[0],
            *points.mouth_corners,
        ]
    )
    focal = float(max(width, height))
    camera = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    try:
        is_solved, turn, _ = cv2.solvePnP(HEAD, seen, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:
        return None
    if not is_solved:
        return None
    matrix, _ = cv2.Rodrigues(turn)
    # Where the face looks: the head's -z axis, seen by the camera.
    x, y, z = -matrix[:, 2]
    roll = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
    return HeadPose(math.degrees(math.atan2(x, -z)), math.degrees(math.atan2(y, math.hypot(x, z))), roll)
