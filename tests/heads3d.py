"""Heads drawn from the project's meshes, one triangle after the other, the farthest first."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SKIN, DARK, WHITE, GUMS = (128, 160, 205), (40, 35, 30), (225, 228, 232), (80, 70, 150)
"""In BGR."""
COLOURS = {
    "M_Face": SKIN,
    "M_BackHead": SKIN,
    "M_GumsTongue": GUMS,
    "M_Teeth": WHITE,
    "M_IrisLeft": WHITE,
    "M_IrisRight": WHITE,
}
"""What is left out is transparent."""
WALL = (150, 140, 130)
IRIS = 0.62
LIGHT = np.array([0.3, 0.4, 0.87])


class Head:
    """One head of ICT-FaceKit. x to its own left (the image's right), y up, z towards the camera."""

    def __init__(self, path: Path) -> None:
        """Read the mesh."""
        mesh = np.load(path)
        self._base = mesh["base"].astype(np.float64)
        self._deltas = {
            name: mesh[name].astype(np.float64) for name in ("jawOpen", "eyeBlink_L", "eyeBlink_R")
        }
        names = [str(mesh["materials"][number]) for number in mesh["tri_material"]]
        shown = np.array([name in COLOURS for name in names])
        self._triangles = mesh["tri"][shown]
        self._colours = np.array([COLOURS[name] for name in names if name in COLOURS], np.float64)
        # The iris' mesh is the whole inner eyeball; its front is dark.
        for side in ("M_IrisLeft", "M_IrisRight"):
            eye = np.array([name == side for name in names if name in COLOURS])
            centres = self._base[self._triangles].mean(axis=1)[:, :2]
            middle = (centres[eye].max(axis=0) + centres[eye].min(axis=0)) / 2
            self._colours[eye & (np.linalg.norm(centres - middle, axis=1) < IRIS)] = DARK

    def picture(self, *, blink: float = 0.0, jaw: float = 0.0, size: int = 480) -> np.ndarray:
        """The head from the front, (size, size, 3) BGR; `blink` and `jaw` 0..1."""
        deltas = self._deltas
        points = (
            self._base + blink * (deltas["eyeBlink_L"] + deltas["eyeBlink_R"]) + jaw * deltas["jawOpen"]
        )
        middle = (self._base.max(axis=0) + self._base.min(axis=0)) / 2
        scale = 0.9 * size / np.ptp(self._base[:, 1])
        flat = (points - middle)[:, :2] * (scale, -scale) + (size / 2, size * 0.62)
        corners = points[self._triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        front = np.flatnonzero(normals[:, 2] > 0)
        order = front[np.argsort(corners[front, :, 2].mean(axis=1))]
        shade = 0.35 + 0.65 * np.clip(normals @ LIGHT, 0, 1)
        canvas = np.full((size, size, 3), WALL, np.uint8)
        shapes = np.round(flat[self._triangles] * 16).astype(np.int32)
        for number in order:
            colour = self._colours[number] * shade[number]
            cv2.fillConvexPoly(canvas, shapes[number], colour.tolist(), cv2.LINE_AA, 4)
        return cv2.GaussianBlur(canvas, (0, 0), 0.7)
