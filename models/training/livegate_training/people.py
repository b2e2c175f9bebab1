"""Where persons come from: portraits, turned or as they are, and heads from the bank."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livegate_training.folders import Folders
from livegate_training.heads import HeadMesh, look_from
from livegate_training.identity import Split
from livegate_training.lifting import turned_person
from livegate_training.person import Person
from livegate_training.portraits import PortraitPack
from livegate_training.pose import Pose
from livegate_training.seeds import between, chance, seeded
from livegate_training.shards import Maker, Sample, make_shards

Array = NDArray[Any]
BANK_HEIGHT, BANK_SIDE = 230, 240
"""Pixels of a banked head and of the square that holds it."""
REVISION = 2
"""Counts up when drawn heads change."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How often a person is a drawn head, and how far portraits are turned (degrees)."""

    heads: float
    turned: float
    yaw: float = 42.0
    pitch: float = 22.0


class People:
    """Persons of one split."""

    def __init__(self, pack: PortraitPack, bank: dict[str, Array], mix: Mix) -> None:
        """Draw from these portraits and these heads."""
        self._pack = pack
        self._bank = bank
        self._mix = mix

    def make(self, rng: np.random.Generator) -> Person:
        """One person: mirrored half of the time, a portrait turned as often as the mix says."""
        person = self.head(rng) if chance(rng, self._mix.heads) else self.portrait(rng)
        return person.mirrored() if chance(rng, 0.5) else person

    def whole(self, rng: np.random.Generator) -> Person:
        """A portrait with the wall behind it, as it was taken: hair and shoulders without a seam."""
        portrait = self._pack[int(rng.integers(len(self._pack)))]
        rows, columns = portrait.pixels.any(axis=(1, 2)), portrait.pixels.any(axis=(0, 2))
        part = portrait.pixels[: np.flatnonzero(rows)[-1] + 1, : np.flatnonzero(columns)[-1] + 1]
        rgba = np.dstack((part, np.full(part.shape[:2], 255, np.uint8)))
        person = Person(rgba, portrait.points, portrait.pose, portrait.name)
        return person.mirrored() if chance(rng, 0.5) else person

    def head(self, rng: np.random.Generator) -> Person:
        """One of the bank."""
        number = int(rng.integers(len(self._bank["pixels"])))
        pose = Pose(*(float(angle) for angle in self._bank["pose"][number]))
        return Person(self._bank["pixels"][number], self._bank["points"][number], pose, "heads3d")

    def portrait(self, rng: np.random.Generator) -> Person:
        """A cut-out portrait; its body goes on below the picture's edge."""
        portrait = self._pack[int(rng.integers(len(self._pack)))]
        rgba = np.dstack((portrait.pixels, portrait.cover))
        person = Person(rgba, portrait.points, portrait.pose, portrait.name)
        if chance(rng, self._mix.turned):
            yaw = between(rng, (-self._mix.yaw, self._mix.yaw))
            pitch = between(rng, (-self._mix.pitch, self._mix.pitch))
            person = turned_person(person, portrait.depth, yaw, pitch)
        return person


def open_bank(folders: Folders, split: Split, heads: int) -> Path:
    """The folder of a split's drawn heads; makes those that are missing."""
    folder = folders.work / f"heads-{REVISION}-{split}"
    return make_shards(folder, heads, head_maker, (folders.heads, split))


def head_maker(mesh: Path, split: Split) -> Maker:
    """Draws head n of a split."""
    heads = HeadMesh(mesh)

    def make(number: int) -> Sample:
        rng = seeded("head", split, number)
        person = heads.person(look_from(rng), BANK_HEIGHT, rng)
        pixels = np.zeros((BANK_SIDE, BANK_SIDE, 4), np.uint8)
        height, width = (min(BANK_SIDE, side) for side in person.pixels.shape[:2])
        pixels[:height, :width] = person.pixels[:height, :width]
        pose = np.array((person.pose.yaw_deg, person.pose.pitch_deg, person.pose.roll_deg), np.float32)
        return {"pixels": pixels, "points": person.points, "pose": pose}

    return make
