"""The frozen test of silent liveness: a recipe, its digest, and how it is made.

Written down before the first network was trained. People and places of the test split, attacks outside
the training ranges. Slices: genuine, print, replay, weak (faint artefacts), borderless (the medium fills
the picture: no edge, no hand, no room).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from livegate_training.attackranges import TEST, WEAK, AttackRanges
from livegate_training.backgrounds import read_backgrounds
from livegate_training.camera import CameraRanges
from livegate_training.folders import Folders
from livegate_training.people import Mix, People, open_bank
from livegate_training.portraits import PortraitPack, pack_portraits
from livegate_training.presentation import Kind, Stage
from livegate_training.shards import Maker, Sample, make_shards, read_shards
from livegate_training.silentviews import presented

Array = NDArray[Any]
FROZEN = "0bfe1619eff36c9191290502aaf291143f373f3d827ea52ddd40277331a57385"
"""The digest that `recipe_digest` must give; a change of the test is a change of this line."""
SEED = "frozen silent test 1"
HEADS = 200
SIDE = 800
"""Every picture lies in the top left of a square of this side; its own size is stored beside it."""
CAMERA = CameraRanges(
    gain=(0.6, 1.45), gamma=(0.65, 1.5), noise=(0.0, 8.5), jpeg=(40, 97), grey_odds=0.15
)
MIX = Mix(heads=0.1, turned=0.4)


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the test: its name, the kinds in it, how many pictures, the attacks' ranges."""

    name: str
    kinds: tuple[Kind, ...]
    count: int
    attacks: AttackRanges


_BORDERLESS = replace(TEST, borderless_odds=1.0, turn=(0.0, 10.0), tilt=(0.0, 0.05))
SLICES = (
    Slice("genuine", ("genuine",), 300, TEST),
    Slice("print", ("print",), 200, TEST),
    Slice("replay", ("replay",), 200, TEST),
    Slice("weak", ("print", "replay"), 100, WEAK),
    Slice("borderless", ("print", "replay"), 100, _BORDERLESS),
)


def recipe_digest() -> str:
    """sha256 of everything that the test is made by, but for the code."""
    told = (SEED, HEADS, asdict(CAMERA), asdict(MIX), [asdict(one) for one in SLICES])
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def frozen_test(folders: Folders, *, counts: int | None = None) -> list[tuple[str, Array, Array]]:
    """(slice, picture (H, W, 3), landmarks (68, 2)) of every presentation; `counts` shortens slices."""
    pack, bank = pack_portraits(folders), open_bank(folders, "test", HEADS)
    made: list[tuple[str, Array, Array]] = []
    for one in SLICES:
        count = min(one.count, counts or one.count)
        folder = folders.work / f"silent-test-{recipe_digest()[:12]}-{one.name}"
        make_shards(folder, count, slice_maker, (one, folders, pack, bank))
        made += [_row(one.name, sample) for sample in _each(read_shards(folder, count))]
    return made


def slice_maker(one: Slice, folders: Folders, pack: Path, bank: Path) -> Maker:
    """Makes presentation n of a slice."""
    people = People(PortraitPack(pack, "test"), read_shards(bank, HEADS), MIX)
    stage = Stage(people, read_backgrounds(folders.photographs, "test"), one.attacks)

    def make(number: int) -> Sample:
        kind = one.kinds[number % len(one.kinds)]
        picture, points = presented(kind, stage, CAMERA, f"{SEED} {one.name}", number)
        square = np.zeros((SIDE, SIDE, 3), np.uint8)
        height, width = picture.shape[:2]
        square[:height, :width] = picture
        return {"pixels": square, "size": np.array((height, width)), "points": points}

    return make


def _each(samples: dict[str, Array]) -> list[Sample]:
    return [{key: array[n] for key, array in samples.items()} for n in range(len(samples["pixels"]))]


def _row(name: str, sample: Sample) -> tuple[str, Array, Array]:
    height, width = sample["size"]
    return name, sample["pixels"][:height, :width], sample["points"]
