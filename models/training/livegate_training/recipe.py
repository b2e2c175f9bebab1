"""A training run as data: one TOML file, whose digest travels with the weights that it made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from livegate.core.tomlfile import read_toml
from livegate_training.identity import Split

CONFIGS = Path(__file__).parent / "configs"


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a recipe."""


class DataPlan(Table, frozen=True):
    """What is made before training. `portraits` = 0 means all; shares are parts 0..1."""

    samples: int
    validation: int
    heads: int
    portraits: int = 0
    head_share: float = 0.3
    turned_share: float = 0.6
    edgeless: int = 0
    """Samples on top, where a model has a maker of them."""

    def heads_of(self, split: Split) -> int:
        """How many heads are drawn for a split; those that only judge need no more than 200."""
        return self.heads if split == "train" else min(self.heads, 200)


class TrainingPlan(Table, frozen=True):
    """How weights are found. `average` is the decay of the running mean of the weights.

    With `bfloat16` convolutions multiply in that type, which takes about half the time on a processor
    that has it; weights, sums and everything after the network stay float32.
    """

    batch: int
    steps: int
    learning_rate: float
    weight_decay: float = 1e-4
    warm_up: int = 100
    average: float = 0.998
    save_every: int = 250
    bfloat16: bool = False


class Recipe(Table, frozen=True):
    """One configuration of one model."""

    model: str
    name: str
    seed: int
    width: float
    data: DataPlan
    training: TrainingPlan
    begins_with: str = ""
    """The configuration whose finished graphs give the first weights; random ones without it."""

    @property
    def digest(self) -> str:
        """sha256 of everything above, defaults included; the order of a file's lines does not count."""
        told = msgspec.to_builtins(self)
        if not self.begins_with:
            del told["begins_with"]  # digests are older than this field
        if not self.data.edgeless:
            del told["data"]["edgeless"]  # and than this one
        return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()

    @property
    def data_digest(self) -> str:
        """sha256 of what decides over the samples."""
        plan = msgspec.to_builtins(msgspec.structs.replace(self.data, samples=0, validation=0))
        del plan["edgeless"]
        made_from = (self.model, self.seed, plan)
        return hashlib.sha256(msgspec.json.encode(made_from, order="sorted")).hexdigest()[:12]


def read_recipe(model: str, name: str, folder: Path = CONFIGS) -> Recipe:
    """The configuration `name` of a model.

    Raises:
        SetupError: there is no such file, or it is not TOML.
        msgspec.ValidationError: a field is unknown, missing or of the wrong type.
    """
    tables = read_toml(folder / f"{model}.{name}.toml")
    return msgspec.convert({"model": model, "name": name, **tables}, Recipe)
