"""Makers of samples as worker processes open them: by recipe, folders and split."""

from __future__ import annotations

from pathlib import Path

from livegate_training.attackranges import COARSE, FINE, TRAINING, VARIED, edgeless
from livegate_training.backgrounds import read_backgrounds
from livegate_training.camera import CameraRanges
from livegate_training.detectscenes import scene_maker
from livegate_training.facecrops import crop_maker
from livegate_training.folders import Folders
from livegate_training.identity import Split
from livegate_training.people import Mix, People
from livegate_training.portraits import PortraitPack
from livegate_training.presentation import Kind, Stage
from livegate_training.recipe import Recipe
from livegate_training.shards import Maker, read_shards
from livegate_training.silentviews import view_maker

WHOLE = 0.35
"""Of lg_silent's settings: portraits that keep the wall they were taken before."""
SILENT_KINDS: tuple[Kind, ...] = ("genuine", "print", "genuine", "replay")


def face_maker(recipe: Recipe, folders: Folders, split: Split, pack: Path, bank: Path) -> Maker:
    """Of lg_face."""
    people, places = people_of(recipe, split, pack, bank), read_backgrounds(folders.photographs, split)
    return crop_maker(people, places, f"{recipe.seed} {split}", CameraRanges())


def silent_maker(recipe: Recipe, folders: Folders, split: Split, pack: Path, bank: Path) -> Maker:
    """Of lg_silent: as many people as attacks."""
    people, places = people_of(recipe, split, pack, bank), read_backgrounds(folders.photographs, split)
    # Half of the attacks are of the usual ranges.
    stage = Stage(people, places, TRAINING, WHOLE, VARIED, (TRAINING, FINE, COARSE))
    return view_maker(stage, CameraRanges(), f"{recipe.seed} {split}", SILENT_KINDS)


def edgeless_maker(recipe: Recipe, folders: Folders, split: Split, pack: Path, bank: Path) -> Maker:
    """Of lg_silent: near faces, and attacks that show little of an edge, in the same ranges."""
    people, places = people_of(recipe, split, pack, bank), read_backgrounds(folders.photographs, split)
    usual, *others = (edgeless(ranges) for ranges in (TRAINING, TRAINING, FINE, COARSE))
    stage = Stage(people, places, usual, WHOLE, VARIED, tuple(others))
    return view_maker(stage, CameraRanges(), f"{recipe.seed} {split} edgeless", SILENT_KINDS)


def detect_maker(recipe: Recipe, folders: Folders, split: Split, pack: Path, bank: Path) -> Maker:
    """Of lg_detect."""
    people, places = people_of(recipe, split, pack, bank), read_backgrounds(folders.photographs, split)
    return scene_maker(people, places, CameraRanges(), f"{recipe.seed} {split}")


def people_of(recipe: Recipe, split: Split, pack: Path, bank: Path) -> People:
    """The people of a split as the recipe mixes them."""
    plan = recipe.data
    mix = Mix(plan.head_share, plan.turned_share)
    return People(PortraitPack(pack, split), read_shards(bank, plan.heads_of(split)), mix)
