"""lg_silent: two small networks over two views of a face, whose odds are averaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from livegate_training.course import Export, batch_at
from livegate_training.networks import SilentNetwork
from livegate_training.recipe import Recipe
from livegate_training.silentviews import KINDS, VIEWS
from livegate_training.training import in_parts

Array = NDArray[Any]
GENUINE = KINDS.index("genuine")
GENUINE_CLASS = 1
"""Class 0 is spoof."""


class SilentPair(nn.Module):
    """One network for each view."""

    def __init__(self, width: float) -> None:
        """Both of the same width."""
        super().__init__()
        self.views = nn.ModuleDict({name: SilentNetwork(width) for name in VIEWS})

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Pixels of the views to (V, N, 2) logits."""
        return torch.stack([network(batch[name]) for name, network in self.views.items()])


class SilentCourse:
    """Print and replay against people."""

    def __init__(self, recipe: Recipe) -> None:
        """Of that recipe."""
        self._recipe = recipe

    def network(self, samples: Mapping[str, Array]) -> nn.Module:
        """Two networks with random weights."""
        return SilentPair(self._recipe.width)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], rng: np.random.Generator) -> Tensor:
        """Cross entropy of the averaged odds, and a little of each network's own.

        The average decides at run time; a view that shows nothing should say that it does not know.
        """
        truth = (batch["kind"] == GENUINE).long()
        logits = network(_varied(batch, rng))
        odds = logits.softmax(dim=2).mean(dim=0).clamp(1e-6, 1)
        together = nn.functional.nll_loss(odds.log(), truth)
        alone = sum(nn.functional.cross_entropy(one, truth, label_smoothing=0.02) for one in logits)
        return together + 0.3 * alone

    def report(self, network: nn.Module, samples: Mapping[str, Array]) -> dict[str, float]:
        """Errors at 0.5: attacks taken for genuine (of each kind), people taken for attacks."""
        scores, kind = scores_of(network, samples), samples["kind"]
        told = {
            f"APCER {name}": float((scores[kind == n] >= 0.5).mean())
            for n, name in enumerate(KINDS)
            if n != GENUINE and (kind == n).any()
        }
        return {**told, "BPCER": float((scores[kind == GENUINE] < 0.5).mean())}

    def exported(self, network: nn.Module) -> list[Export]:
        """A graph for each view, the batch free."""
        return [
            Export(
                f"lg_silent_{name}",
                cast(SilentPair, network).views[name],
                torch.zeros((2, side, side, 3), dtype=torch.uint8),
                ("logits",),
                {"pixels": {0: "batch"}, "logits": {0: "batch"}},
            )
            for name, (_, side) in VIEWS.items()
        ]


@torch.no_grad()
def scores_of(network: nn.Module, samples: Mapping[str, Array]) -> Array:
    """(N,) averaged odds of the genuine class."""
    made = []
    for numbers in in_parts(len(samples["kind"])):
        views = {key: values for key, values in batch_at(samples, numbers).items() if key in VIEWS}
        made.append(network(views).softmax(dim=2).mean(dim=0)[:, GENUINE_CLASS].cpu().numpy())
    return np.concatenate(made)


def _varied(batch: Mapping[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    """Another exposure and a little grain, the same for both views; mirrored half of the time."""
    count = len(batch["kind"])
    device = batch["kind"].device
    gain = torch.from_numpy(rng.uniform(0.8, 1.25, (count, 1, 1, 1)).astype(np.float32)).to(device)
    colour = torch.from_numpy(rng.normal(1, 0.05, (count, 1, 1, 3)).astype(np.float32)).to(device)
    is_mirrored = torch.from_numpy(rng.random((count, 1, 1, 1)) < 0.5).to(device)
    made = {}
    for name in VIEWS:
        pixels = (batch[name].float() * gain * colour).clamp(0, 255)
        made[name] = torch.where(is_mirrored, pixels.flip(2), pixels)
    return made
