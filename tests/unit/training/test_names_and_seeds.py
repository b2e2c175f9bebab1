"""Splits, seeds, recipes: the same words give the same result for ever."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from livegate_training.folders import Folders, MissingMaterial
from livegate_training.identity import person_of, split_of
from livegate_training.recipe import CONFIGS, Recipe, read_recipe
from livegate_training.seeds import seeded

RECIPES = sorted(path.stem for path in CONFIGS.glob("*.toml"))


def test_split_of_names_is_fixed_and_of_the_told_sizes() -> None:
    """Of ten thousand names about 15 % are for the test, 10 % for validation; known names never move."""
    splits = [split_of(f"person {number}") for number in range(10_000)]
    parts = {name: splits.count(name) / 10_000 for name in ("train", "validation", "test")}
    assert parts["test"] == pytest.approx(0.15, abs=0.015)
    assert parts["validation"] == pytest.approx(0.10, abs=0.015)
    assert [split_of(name) for name in ("A000370", "000633", "W000437")] == ["train"] * 3


def test_person_of_is_the_same_for_both_collections() -> None:
    """A person who is in both collections under one number is in one split."""
    assert person_of("usc_W000437.jpg") == person_of("bio_W000437.jpg") == "W000437"


def test_seeded_depends_on_every_name_and_on_nothing_else() -> None:
    """The same names give the same numbers; names that only join to the same text do not."""
    first = seeded("shot", "a", 1).random(4)
    np.testing.assert_array_equal(first, seeded("shot", "a", 1).random(4))
    for other in (("shot", "a", 2), ("shot", "a1"), ("shota", 1), ("shot", "b", 1)):
        assert not np.array_equal(first, seeded(*other).random(4))


@pytest.mark.parametrize("stem", RECIPES)
def test_shipped_recipe_reads(stem: str) -> None:
    """Every recipe of the folder is one; each model has a full and a tiny one."""
    model, name = stem.split(".")
    recipe = read_recipe(model, name)
    assert (recipe.model, recipe.name) == (model, name)
    assert {f"{model}.full", f"{model}.tiny"} <= set(RECIPES)


def test_recipe_digest_changes_with_every_number() -> None:
    """A digest is the recipe's: any other number is another recipe, the order of lines is not."""
    recipe = read_recipe("lg_face", "full")
    assert recipe.digest == read_recipe("lg_face", "full").digest
    changed = [
        msgspec.structs.replace(recipe, seed=recipe.seed + 1),
        msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, samples=1)),
        msgspec.structs.replace(recipe, training=msgspec.structs.replace(recipe.training, batch=1)),
    ]
    assert len({recipe.digest, *(one.digest for one in changed)}) == 4


def test_recipe_unknown_field_is_refused(tmp_path: Path) -> None:
    """A misspelt line does not silently train something else."""
    text = (CONFIGS / "lg_face.tiny.toml").read_text().replace("[training]", "[training]\nspeed = 2")
    (tmp_path / "lg_face.odd.toml").write_text(text)
    with pytest.raises(msgspec.ValidationError, match="speed"):
        read_recipe("lg_face", "odd", tmp_path)


def test_recipe_data_digest_is_of_the_samples_alone() -> None:
    """More samples or other training steps use the samples that are there; another mix does not."""
    recipe = read_recipe("lg_face", "full")

    def with_data(**keys: float) -> Recipe:
        return msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, **keys))

    assert with_data(samples=7).data_digest == recipe.data_digest
    assert with_data(edgeless=7).data_digest == recipe.data_digest
    assert with_data(head_share=0.9).data_digest != recipe.data_digest


def test_missing_material_is_named_with_the_way_out(tmp_path: Path) -> None:
    """The message says which folder is not there and how to name another."""
    folders = Folders(tmp_path, tmp_path / "models", tmp_path)
    with pytest.raises(MissingMaterial, match=r"portraits is not there.*DATA=DIR"):
        _ = folders.portraits
    with pytest.raises(MissingMaterial, match="MODELS_FROM=DIR"):
        _ = folders.teachers
