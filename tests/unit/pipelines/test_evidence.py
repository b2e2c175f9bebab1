"""What landmarks tell: openness, head pose from points, and when a pose is not believed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from livegate.core.results import FacePoints, HeadPose, Point
from livegate.pipelines.evidence import HEAD, openness, pose_from_points, sample_from_findings

WIDTH, HEIGHT, FOCAL = 640, 480, 640.0
FLAT: tuple[Point, ...] = ((0, 0), (1, -1), (2, -2), (3, -1), (4, 0), (3, 1), (2, 2), (1, 1))


def seen(yaw_deg: float, pitch_deg: float) -> FacePoints:
    """The general head, turned so, half a metre before the camera."""
    yaw, pitch = math.radians(-yaw_deg), math.radians(pitch_deg)
    about_y = np.array(
        [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    )
    points = HEAD @ (about_y @ about_x).T + (0, 0, 500)
    x = points[:, 0] / points[:, 2] * FOCAL + WIDTH / 2
    y = points[:, 1] / points[:, 2] * FOCAL + HEIGHT / 2
    nose, chin, left, right, mouth_left, mouth_right = (
        (float(a), float(b)) for a, b in zip(x, y, strict=True)
    )
    return FacePoints((left, *FLAT[1:]), (right, *FLAT[1:]), FLAT, (mouth_left, mouth_right), nose, chin)


def test_openness_by_hand() -> None:
    """Gaps of 2, 4 and 2 over a width of 4."""
    assert openness(FLAT) == pytest.approx((2 + 4 + 2) / 3 / 4)
    six = ((0, 0), (1, -1), (3, -2), (4, 0), (3, 2), (1, 1))
    assert openness(six) == pytest.approx((2 + 4) / 2 / 4)


def test_openness_without_a_width_is_0() -> None:
    """No division by nothing."""
    assert openness([(1.0, 1.0)] * 8) == 0.0


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (30, 0), (-30, 0), (0, 20), (0, -20), (20, 10)])
def test_pose_from_points_is_the_turn_that_was_drawn(yaw: float, pitch: float) -> None:
    """Yaw to the image's right and pitch down are positive."""
    pose = pose_from_points(seen(yaw, pitch), WIDTH, HEIGHT)
    assert pose is not None
    assert (pose.yaw_deg, pose.pitch_deg) == pytest.approx((yaw, pitch), abs=1.0)


def test_pose_that_the_landmarks_contradict_is_not_believed() -> None:
    """A network that sees a profile where the points are frontal."""
    assert sample_from_findings(7, seen(0, 0), HeadPose(60, 5, 0), WIDTH, HEIGHT).yaw_deg is None
    sample = sample_from_findings(7, seen(20, 0), HeadPose(30, 5, 0), WIDTH, HEIGHT)
    assert (sample.pts_ms, sample.yaw_deg, sample.pitch_deg) == (7, 30, 5)
