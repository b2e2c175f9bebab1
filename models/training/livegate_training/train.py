"""`make train MODEL=... CONFIG=...`: samples, training, export, in that order, each resumable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from livegate_training.course import Course
from livegate_training.detect import DetectCourse
from livegate_training.export import write_onnx
from livegate_training.face import FaceCourse
from livegate_training.folders import Folders, MissingMaterial
from livegate_training.identity import Split
from livegate_training.makers import detect_maker, edgeless_maker, face_maker, silent_maker
from livegate_training.networks import parameters_of
from livegate_training.people import open_bank
from livegate_training.portraits import pack_portraits
from livegate_training.recipe import Recipe
from livegate_training.shards import Maker, make_shards, read_shards
from livegate_training.silent import SilentCourse, begun
from livegate_training.training import Say, Training

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What belongs to a model: its course and the maker of its samples."""

    course: Callable[[Recipe], Course]
    maker: Callable[..., Maker]
    begun: Callable[[Recipe, Path, Mapping[str, Array]], nn.Module] | None = None
    """A network with the weights of the graphs in a folder, for recipes that go on from another."""
    edgeless: Callable[..., Maker] | None = None
    """The maker of what `DataPlan.edgeless` counts."""


KINDS: Mapping[str, Kind] = {
    "lg_face": Kind(FaceCourse, face_maker),
    "lg_silent": Kind(SilentCourse, silent_maker, begun, edgeless_maker),
    "lg_detect": Kind(DetectCourse, detect_maker),
}


def samples_of(recipe: Recipe, folders: Folders, split: Split, count: int) -> dict[str, Array]:
    """The first `count` samples of a split, made where they are missing."""
    return _made(recipe, folders, split, count, KINDS[recipe.model].maker, "")


def _trained_on(recipe: Recipe, folders: Folders) -> dict[str, Array]:
    maker, more = KINDS[recipe.model].edgeless, recipe.data.edgeless
    if more and maker is None:
        raise MissingMaterial(f"{recipe.model} has no samples without edges: leave data.edgeless out")
    usual = samples_of(recipe, folders, "train", recipe.data.samples)
    if not more or maker is None:
        return usual
    added = _made(recipe, folders, "train", more, maker, "-edgeless")
    return {key: np.concatenate((usual.pop(key), added.pop(key))) for key in list(usual)}


def _made(
    recipe: Recipe, folders: Folders, split: Split, count: int, maker: Callable[..., Maker], suffix: str
) -> dict[str, Array]:
    plan = recipe.data
    pack = pack_portraits(folders, limit=plan.portraits or None)
    bank = open_bank(folders, split, plan.heads_of(split))
    folder = folders.work / recipe.model / f"{split}-{recipe.data_digest}{suffix}"
    make_shards(folder, count, maker, (recipe, folders, split, pack, bank))
    return read_shards(folder, count)


def _graphs_before(recipe: Recipe, home: Path) -> Path | None:
    """The folder of the graphs that a recipe goes on from; None for one that begins."""
    if not recipe.begins_with:
        return None
    graphs = home / recipe.begins_with
    if KINDS[recipe.model].begun is None or not any(graphs.glob("*.onnx")):
        raise MissingMaterial(
            f"{graphs} holds no network: {recipe.model}.{recipe.name} goes on from those of "
            f"{recipe.begins_with}: run make train MODEL={recipe.model} CONFIG={recipe.begins_with}"
        )
    return graphs


def train(recipe: Recipe, folders: Folders, say: Say, *, device: str | None = None) -> list[Path]:
    """Make samples, train to the end, write the graphs; their paths.

    Raises:
        MissingMaterial: a folder of the material, or the networks that it goes on from, are not there.
    """
    home = folders.work / recipe.model
    before = _graphs_before(recipe, home)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    samples = _trained_on(recipe, folders)
    course, begun = KINDS[recipe.model].course(recipe), KINDS[recipe.model].begun
    checkpoint = home / f"{recipe.name}-{recipe.digest[:12]}.pt"
    training = Training(recipe, course, samples, checkpoint, device)
    if begun and before and not training.state.step:
        training.begin_with(begun(recipe, before, samples))
    say(f"{recipe.model}: {parameters_of(training.state.network)} parameters on {device}")
    network = training.run(say).cpu()
    held_out = samples_of(recipe, folders, "validation", recipe.data.validation)
    say("validation: " + ", ".join(f"{k} {v:.4f}" for k, v in course.report(network, held_out).items()))
    return [
        write_onnx(export, recipe, home / recipe.name / f"{export.name}.onnx")
        for export in course.exported(network)
    ]
