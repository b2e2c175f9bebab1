"""Turning a portrait: the head mesh is laid onto its landmarks and lends its depth to the pixels.

Portraits look ahead; within +-13 degrees of yaw there is little to learn from. With a depth for each
pixel the head is turned about its own middle, and pixels and landmarks move by the same rule.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.heads import HeadMesh
from livegate_training.person import Person
from livegate_training.pose import Pose, pose_of, rotation_of

Array = NDArray[Any]
STEADY = np.array([27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45, 48, 51, 54, 57, 8, 0, 16])
"""Landmarks whose places on skin and mesh agree best; lids and inner lips move too much."""
SHOULDERS = 1.2
"""Face heights below the chin at which a turned head no longer moves its body."""

FINE = 0.7
"""Pixels between the points that are moved: closer than one, so that a stretched cheek has no holes."""


def fit_depth(mesh: HeadMesh, points: Array, size: tuple[int, int]) -> tuple[Array, Pose]:
    """Lay the mean head onto landmarks.

    Returns:
        (H, W) float32 depth towards the camera in pixels, 0 at the head's middle, and the pose.
    """
    marks = mesh.base[mesh.landmarks[STEADY]].astype(np.float64)
    seen = points[STEADY].astype(np.float64) * (1, -1)
    rotation, scale, shift = _scaled_orthographic(marks, seen)
    turned = mesh.base @ rotation.T * scale
    flat = (turned[:, :2] + shift) * (1, -1)
    middle = (marks @ rotation.T * scale)[-2:, 2].mean()
    depth = _drawn_depth(flat, turned[:, 2] - middle, mesh.triangles, size)
    return _filled(depth, scale), pose_of(rotation)


def turned_person(person: Person, depth: Array, yaw_deg: float, pitch_deg: float) -> Person:
    """The same person, the head turned further to the image's right and down."""
    height, width = depth.shape
    extra = rotation_of(Pose(yaw_deg, pitch_deg, 0.0))
    middle = np.array((person.points[:, 0].mean(), person.points[(0, 16), 1].mean()))
    chin = person.points[:, 1].max()
    reach = np.ptp(person.points[:, 1]) * SHOULDERS
    y, x = np.mgrid[0:height:FINE, 0:width:FINE].astype(np.float32)
    deep = cv2.resize(depth, (x.shape[1], x.shape[0]), interpolation=cv2.INTER_LINEAR)
    follows = np.clip(1 - (y - chin) / reach, 0, 1)
    new_x, new_y, new_z = _turned(x, y, deep, middle, extra, follows)
    source = _splat(x, y, new_x, new_y, new_z, (width, height))
    pixels = cv2.remap(person.pixels, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
    px, py = person.points[:, 0], person.points[:, 1]
    on = depth[np.clip(py.astype(int), 0, height - 1), np.clip(px.astype(int), 0, width - 1)]
    moved_x, moved_y, _ = _turned(px, py, on, middle, extra, np.ones_like(px))
    points = np.stack((moved_x, moved_y), axis=1).astype(np.float32)
    return Person(pixels, points, pose_of(extra @ rotation_of(person.pose)), person.identity)


def _turned(
    x: Array, y: Array, z: Array, middle: Array, turn: Array, follows: Array
) -> tuple[Array, ...]:
    dx, dy = x - middle[0], middle[1] - y
    to_x = turn[0, 0] * dx + turn[0, 1] * dy + turn[0, 2] * z
    to_y = turn[1, 0] * dx + turn[1, 1] * dy + turn[1, 2] * z
    to_z = turn[2, 0] * dx + turn[2, 1] * dy + turn[2, 2] * z
    return x + follows * (to_x - dx), y - follows * (to_y - dy), to_z


def _splat(x: Array, y: Array, new_x: Array, new_y: Array, new_z: Array, size: tuple[int, int]) -> Array:
    """(H, W, 2) float32: which pixel of the old picture is seen at each of the new one, nearest wins."""
    width, height = size
    to_x, to_y = np.round(new_x).astype(np.int32).ravel(), np.round(new_y).astype(np.int32).ravel()
    # Whole eighths of a pixel: a stable sort of short integers is a radix sort, many times faster.
    order = np.argsort(np.clip(new_z.ravel() * 8, -32000, 32000).astype(np.int16), kind="stable")
    order = order[
        (to_x[order] >= 0) & (to_x[order] < width) & (to_y[order] >= 0) & (to_y[order] < height)
    ]
    source = np.full((height, width, 2), np.nan, np.float32)
    source[to_y[order], to_x[order], 0] = x.ravel()[order]
    source[to_y[order], to_x[order], 1] = y.ravel()[order]
    known = ~np.isnan(source[..., 0])
    values = np.where(known[..., None], source, 0).astype(np.float32)
    weight = known.astype(np.float32)
    for sigma in (1.0, 3.0, 9.0):
        soft = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(values, (0, 0), sigma) / np.maximum(soft, 1e-6)[..., None]
        gap = (weight == 0) & (soft > 1e-3)
        values[gap], weight[gap] = mean[gap], 1.0
    values[weight == 0] = -10.0
    return values


def _drawn_depth(flat: Array, deep: Array, triangles: Array, size: tuple[int, int]) -> Array:
    """(H, W) depth of the front of a mesh, painted from the farthest to the nearest; -1e6 beside it."""
    corners = flat[triangles]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    front = np.flatnonzero(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0)
    mean = deep[triangles].mean(axis=1)
    order = front[np.argsort(mean[front])]
    canvas = np.full(size[::-1], -1e6, np.float32)
    shapes = np.round(corners * 16).astype(np.int32)
    for number in order.tolist():
        cv2.fillConvexPoly(canvas, shapes[number], float(mean[number]), cv2.LINE_8, 4)
    return canvas


def _scaled_orthographic(marks: Array, seen: Array) -> tuple[Array, float, Array]:
    """Rotation, scale, shift with seen = scale * (rotation @ marks)[:2] + shift, least squares."""
    centre, seen_centre = marks.mean(axis=0), seen.mean(axis=0)
    affine, *_ = np.linalg.lstsq(marks - centre, seen - seen_centre, rcond=None)
    first, second = affine[:, 0], affine[:, 1]
    scale = float((np.linalg.norm(first) + np.linalg.norm(second)) / 2)
    rough = np.stack((first, second, np.cross(first, second) / scale)) / scale
    left, _, right = np.linalg.svd(rough)
    rotation = left @ np.diag((1, 1, np.linalg.det(left @ right))) @ right
    return rotation, scale, seen_centre - (rotation @ centre)[:2] * scale


def _filled(depth: Array, scale: float) -> Array:
    """Gaps between vertices closed from the nearest ones, far ones by a gentle slope to the back."""
    known = (depth > -1e5).astype(np.float32)
    values = np.where(known > 0, depth, 0).astype(np.float32)
    for sigma in (1.0, 2.0, 6.0, 20.0, 80.0):
        soft = cv2.GaussianBlur(known, (0, 0), sigma)
        mean = cv2.GaussianBlur(values, (0, 0), sigma) / np.maximum(soft, 1e-9)
        gap = (known == 0) & (soft > 1e-4)
        values[gap], known[gap] = mean[gap], 1.0
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 0.08 * scale * 2))
