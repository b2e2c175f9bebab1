"""Heads drawn from the mesh: exact landmarks, pose, jaw and lids in any skin and light.

Painter's algorithm over flat-shaded triangles, the farthest first. Source of the mesh and of its
shapes: ICT-FaceKit (USC Institute for Creative Technologies, MIT licence).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.person import Person
from livegate_training.pose import Pose, rotation_of
from livegate_training.seeds import between, chance

Array = NDArray[Any]
SKINNED = ("M_Face", "M_BackHead")
EYES = ("M_IrisLeft", "M_IrisRight")
SHOWN = (*SKINNED, "M_GumsTongue", "M_Teeth", *EYES)
"""What is left out is transparent."""
IDENTITIES = 10
CELL = 0.75
"""Mesh units; vertices that share a cell of the skin are merged, since a pixel is not much finer."""
NECK = -11.0
"""Mesh units: what lies lower is cut off as clothes."""


@dataclass(frozen=True, slots=True)
class HeadLook:
    """Everything that makes one rendered head: shape, movement, colours, light."""

    identity: tuple[float, ...]
    pose: Pose
    jaw: float
    blink: float
    skin: tuple[float, float, float]
    hair: tuple[float, float, float] | None
    light: tuple[float, float, float]
    ambient: float
    iris: tuple[float, float, float]
    distance: float


class HeadMesh:
    """The mesh, thinned out, with its ten identities, the jaw and the lids."""

    def __init__(self, path: Path) -> None:
        """Read the mesh and merge vertices that no picture tells apart."""
        mesh = np.load(path)
        base = mesh["base"].astype(np.float32)
        names = np.array([str(mesh["materials"][number]) for number in mesh["tri_material"]])
        shown = np.isin(names, SHOWN)
        triangles, names = mesh["tri"][shown], names[shown]
        landmarks = mesh["lm68"]
        kept, merged = _merged(base, landmarks, triangles, names)
        triangles = merged[triangles]
        is_flat = (
            (triangles[:, 0] == triangles[:, 1])
            | (triangles[:, 1] == triangles[:, 2])
            | (triangles[:, 0] == triangles[:, 2])
        )
        self.triangles = triangles[~is_flat]
        self.materials = names[~is_flat]
        self.base = base[kept]
        self.landmarks = merged[landmarks]
        self._identities = np.stack(
            [mesh[f"identity{n:03d}"].astype(np.float32)[kept] for n in range(IDENTITIES)]
        )
        self._jaw = mesh["jawOpen"].astype(np.float32)[kept]
        self._blink = (mesh["eyeBlink_L"].astype(np.float32) + mesh["eyeBlink_R"])[kept]

    def shaped(self, look: HeadLook) -> Array:
        """(V, 3) vertices of a look, not yet turned."""
        weights = np.array(look.identity, np.float32)
        return np.asarray(
            self.base
            + np.tensordot(weights, self._identities, 1)
            + look.jaw * self._jaw
            + look.blink * self._blink
        )

    def person(self, look: HeadLook, height: int, rng: np.random.Generator) -> Person:
        """The head of that look, `height` pixels high, with a transparent surrounding."""
        rigid = self.shaped(look) @ rotation_of(look.pose).T
        rigid -= (0, 0, rigid[:, 2].mean())
        flat = rigid[:, :2] * (look.distance / (look.distance - rigid[:, 2:]))
        low, high = flat.min(axis=0), flat.max(axis=0)
        scale = height / float(high[1] - low[1])
        size = (int((high[0] - low[0]) * scale) + 3, height + 3)
        pixels = (flat - (low[0], high[1])) * (scale, -scale) + 1
        drawn = self._drawn(look, rigid, pixels, size, rng)
        return Person(drawn, pixels[self.landmarks].astype(np.float32), look.pose, "heads3d")

    def _drawn(
        self,
        look: HeadLook,
        rigid: Array,
        pixels: Array,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> Array:
        corners = rigid[self.triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        middle = corners.mean(axis=1)
        ray = np.array((0, 0, look.distance), np.float32) - middle
        front = np.flatnonzero((normals * ray).sum(axis=1) > 0)
        order = front[np.argsort(middle[front, 2])]
        light = np.array(look.light) / np.linalg.norm(look.light)
        shade = look.ambient + (1 - look.ambient) * np.clip(normals @ light, 0, 1)
        colours = np.clip(self._colours(look, rng) * shade[:, None], 0, 255)
        canvas = np.zeros((size[1], size[0], 3), np.uint8)
        mask = np.zeros((size[1], size[0]), np.uint8)
        shapes = np.round(pixels[self.triangles] * 16).astype(np.int32)
        paint = colours.tolist()
        for number in order.tolist():
            cv2.fillConvexPoly(canvas, shapes[number], paint[number], cv2.LINE_8, 4)
        for shape in shapes[order]:
            cv2.fillConvexPoly(mask, shape, 255, cv2.LINE_8, 4)
        return np.dstack((cv2.GaussianBlur(canvas, (0, 0), 0.8), cv2.GaussianBlur(mask, (0, 0), 0.8)))

    def _colours(self, look: HeadLook, rng: np.random.Generator) -> Array:
        """(T, 3) BGR of each triangle before the light falls on it."""
        skin = np.array(look.skin)
        middle = self.base[self.triangles].mean(axis=1)
        colours = np.tile(skin, (len(middle), 1)) * rng.normal(1, 0.03, (len(middle), 1))
        colours[self.materials == "M_GumsTongue"] = (60, 50, 110)
        colours[self.materials == "M_Teeth"] = (205, 215, 220)
        face = self.materials == "M_Face"
        marks = self.base[self.landmarks]
        self._paint_near(colours, face, middle, marks[17:22], 0.5, look.hair or skin * 0.5)
        self._paint_near(colours, face, middle, marks[22:27], 0.5, look.hair or skin * 0.5)
        lips = np.concatenate((marks[48:60], (marks[48:60] + marks[[60, 61, 61, 62, 63, 63] * 2]) / 2))
        self._paint_near(colours, face, middle, lips, 0.38, skin * (0.75, 0.62, 0.95))
        if look.hair is not None:
            self._paint_hair(colours, middle, np.array(look.hair), rng)
        colours[middle[:, 1] < NECK] = np.array(look.light) * 60 + 90
        for iris in EYES:  # the whole inner eyeball; the sclera's own mesh would hide it
            self._paint_iris(colours, middle, self.materials == iris, np.array(look.iris))
        return np.asarray(colours)

    @staticmethod
    def _paint_near(
        colours: Array, face: Array, middle: Array, line: Array, reach: float, colour: Any
    ) -> None:
        far = np.linalg.norm(middle[face][:, None] - line[None], axis=2).min(axis=1)
        colours[np.flatnonzero(face)[far < reach]] = colour

    @staticmethod
    def _paint_hair(colours: Array, middle: Array, hair: Array, rng: np.random.Generator) -> None:
        line = rng.uniform(7.5, 10.5)
        back = rng.uniform(0.0, 4.0)
        above = (middle[:, 1] > line) | ((middle[:, 2] < back) & (middle[:, 1] > rng.uniform(-6, 2)))
        colours[above] = hair * rng.normal(1, 0.15, (int(above.sum()), 1))

    @staticmethod
    def _paint_iris(colours: Array, middle: Array, eye: Array, colour: Array) -> None:
        centre = (middle[eye, :2].max(axis=0) + middle[eye, :2].min(axis=0)) / 2
        far = np.linalg.norm(middle[:, :2] - centre, axis=1)
        colours[eye] = (215, 218, 222)
        colours[eye & (far < 0.62)] = colour
        colours[eye & (far < 0.28)] = (15, 12, 10)


def _merged(base: Array, landmarks: Array, triangles: Array, names: Array) -> tuple[Array, Array]:
    """Which vertices stay, and for every vertex the number of the one that stands for it."""
    fine = np.ones(len(base), bool)
    fine[np.unique(triangles[np.isin(names, SKINNED)])] = False
    cell = np.round(base / CELL).astype(np.int64)
    marks = base[landmarks[17:]]
    near = np.linalg.norm(base[:, None] - marks[None, ::2], axis=2).min(axis=1) < 1.0
    cell[near] = np.round(base[near] / (CELL / 2)).astype(np.int64) + 10_000
    key = (cell[:, 0] * 40_009 + cell[:, 1]) * 40_009 + cell[:, 2]
    key[fine] = -1 - np.flatnonzero(fine)
    key[landmarks] = -10_000_000 - landmarks
    _, kept, merged = np.unique(key, return_index=True, return_inverse=True)
    return kept, merged


SKINS = ((175, 200, 232), (150, 178, 222), (128, 160, 205), (95, 130, 182), (70, 98, 150), (42, 62, 105))
HAIRS = ((20, 20, 24), (35, 45, 65), (60, 95, 140), (130, 130, 135), (40, 60, 120), (150, 180, 205))


def look_from(rng: np.random.Generator, *, spread: float = 1.0) -> HeadLook:
    """A random head: `spread` scales how far its identity lies from the mean head."""
    light = (rng.normal(0, 0.6), rng.normal(0.4, 0.5), between(rng, (0.4, 1.0)))
    hair = HAIRS[rng.integers(len(HAIRS))] if chance(rng, 0.6) else None
    skin = np.clip(np.array(SKINS[rng.integers(len(SKINS))]) * between(rng, (0.85, 1.12)), 0, 250)
    return HeadLook(
        identity=tuple(float(x) for x in rng.normal(0, spread, IDENTITIES)),
        pose=Pose(_turn(rng, 45), _turn(rng, 26), 0.0),
        jaw=between(rng, (0.05, 1)) if chance(rng, 0.45) else 0.0,
        blink=_lids(rng),
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
        hair=hair,
        light=light,
        ambient=between(rng, (0.25, 0.75)),
        iris=(90, 80, 60) if chance(rng, 0.3) else (35, 40, 55),
        distance=between(rng, (45, 160)),
    )


def _turn(rng: np.random.Generator, limit: float) -> float:
    return between(rng, (-limit, limit)) if chance(rng, 0.7) else float(rng.normal(0, limit / 6))


def _lids(rng: np.random.Generator) -> float:
    roll = rng.random()
    return 0.0 if roll < 0.5 else (1.0 if roll < 0.68 else float(rng.random()))
