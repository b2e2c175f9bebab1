"""lg_silent: three small networks over three views of a face, joined by the harmonic mean."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from livegate_training.course import Export, batch_at
from livegate_training.networks import SilentNetwork
from livegate_training.onward import FIRST, take_over
from livegate_training.recipe import Recipe
from livegate_training.seeds import between
from livegate_training.silentviews import KINDS, VIEWS
from livegate_training.training import in_parts

Array = NDArray[Any]
GENUINE = KINDS.index("genuine")
GENUINE_CLASS = 1
"""Class 0 is spoof."""
PEOPLE_PER_ATTACK = 1.2
"""At a door, for which scores are meant; in training both come alike."""
_VARIERS = ThreadPoolExecutor(2, "vary")
SHARES = {"face": 0.85, "context": 1.0, "detail": 0.9}
"""Of the width."""


@dataclass(frozen=True, slots=True)
class Moves:
    """How a view is seen anew. `nearer`: the part of its side that is left; `turn`: degrees each way;
    `shear`: how far its axes lean; `odds`: how often it is moved at all.
    """

    nearer: tuple[float, float]
    turn: float
    shear: float = 0.0
    odds: float = 1.0


MOVES: Mapping[str, Moves] = {
    "face": Moves(nearer=(0.72, 1.08), turn=6.0),
    "context": Moves(nearer=(0.86, 1.08), turn=10.0, shear=0.08),
    "detail": Moves(nearer=(0.56, 1.2), turn=25.0, shear=0.1, odds=0.5),
}
"""The context must keep its edges; what the detail shows is what scaling takes away or coarsens."""


class SilentViews(nn.Module):
    """One network for each view."""

    def __init__(self, width: float) -> None:
        """Channels grow with `width`; what a view has to tell decides over its share."""
        super().__init__()
        self.views = nn.ModuleDict(
            {name: SilentNetwork(width * SHARES[name], is_fine=name == "detail") for name in VIEWS}
        )

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Pixels of the views to (V, N, 2) logits."""
        return torch.stack([network(batch[name]) for name, network in self.views.items()])


class SilentCourse:
    """Print and replay against people."""

    def __init__(self, recipe: Recipe) -> None:
        """Of that recipe."""
        self._recipe = recipe

    def network(self, samples: Mapping[str, Array]) -> nn.Module:
        """Networks with random weights."""
        return SilentViews(self._recipe.width)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], rng: np.random.Generator) -> Tensor:
        """Cross entropy of the harmonic mean, which decides at run time, and a little of each network's.

        The odds against a person are averaged, so a network that sees nothing should call it a person
        and leave the attack to the one that shows it.
        """
        truth = (batch["kind"] == GENUINE).float()
        margins = _margins(network(_varied(batch, rng)))
        entropy = nn.functional.binary_cross_entropy_with_logits
        alone = sum(entropy(one, truth * 0.9 + 0.05) for one in margins)
        return entropy(_joined(margins), truth * 0.98 + 0.01) + 0.1 * alone

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
        """A graph for each view, the batch free; scores are those of a door."""
        return [
            Export(
                f"lg_silent_{name}",
                _at_a_door(cast(SilentNetwork, cast(SilentViews, network).views[name])),
                torch.zeros((2, side, side, 3), dtype=torch.uint8),
                ("logits",),
                {"pixels": {0: "batch"}, "logits": {0: "batch"}},
            )
            for name, (_, side) in VIEWS.items()
        ]


@torch.no_grad()
def begun(recipe: Recipe, graphs: Path, samples: Mapping[str, Array]) -> nn.Module:
    """Networks with the weights of finished graphs, whose scores are those of a door."""
    networks = SilentViews(recipe.width)
    first = batch_at(samples, np.arange(min(FIRST, len(samples["kind"]))))
    for name, (_, side) in VIEWS.items():
        network = cast(SilentNetwork, networks.views[name])
        take_over(network, graphs / f"lg_silent_{name}.onnx", _middle(first[name], side))
        network.classes.bias[GENUINE_CLASS] -= math.log(PEOPLE_PER_ATTACK)
    return networks


@torch.no_grad()
def scores_of(network: nn.Module, samples: Mapping[str, Array]) -> Array:
    """(N,) odds of the genuine class, at a door."""
    made = []
    for numbers in in_parts(len(samples["kind"])):
        views = {
            name: _middle(batch_at(samples, numbers)[name], side) for name, (_, side) in VIEWS.items()
        }
        margins = _margins(network(views)) + math.log(PEOPLE_PER_ATTACK)
        made.append(_joined(margins).sigmoid().cpu().numpy())
    return np.concatenate(made)


def _at_a_door(network: SilentNetwork) -> SilentNetwork:
    """A copy; what each of them is surer by, their harmonic mean is surer by, too."""
    made = copy.deepcopy(network)
    with torch.no_grad():
        made.classes.bias[GENUINE_CLASS] += math.log(PEOPLE_PER_ATTACK)
    return made


def _margins(logits: Tensor) -> Tensor:
    """(V, N, 2) logits to (V, N): how much surer each network is of a person than of an attack."""
    return logits[..., GENUINE_CLASS] - logits[..., 1 - GENUINE_CLASS]


def _joined(margins: Tensor) -> Tensor:
    """(V, N) to (N,): the logit of the harmonic mean of the probabilities."""
    return math.log(len(margins)) - torch.logsumexp(-margins, dim=0)


def _middle(pixels: Tensor, side: int) -> Tensor:
    """(N, S, S, 3) without what a sample has to spare."""
    spare = (pixels.shape[1] - side) // 2
    return pixels[:, spare : spare + side, spare : spare + side]


def _varied(batch: Mapping[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    """Another exposure, contrast and colour, nearer or beside, spoiled, half of the time mirrored.

    Nearer and beside give dots and stripes other periods than were drawn; paler and warmer give inks and
    screens that were not. Attacks outside the training ranges are what decides.
    """
    device = batch["kind"].device
    stored = {name: batch[name].cpu().numpy() for name in VIEWS}
    count = len(batch["kind"])
    made = {name: np.empty((count, side, side, 3), np.uint8) for name, (_, side) in VIEWS.items()}
    seeds = rng.integers(1 << 62, size=count)

    def vary(number: int) -> None:
        dice = np.random.default_rng(seeds[number])
        mixed, toned, is_mirrored = _colours(dice), _tones(dice), bool(dice.random() < 0.5)
        spoiled = _spoiling(dice)
        for name, pixels in stored.items():
            side, moves = VIEWS[name][1], MOVES[name]
            is_moved = dice.random() < moves.odds
            moved = (_moved if is_moved else _shifted)(pixels[number], side, moves, dice)
            if is_mirrored:
                moved = moved[:, ::-1]
            made[name][number] = spoiled(cv2.LUT(cv2.transform(moved, mixed), toned))

    list(_VARIERS.map(vary, range(count)))
    return {name: torch.from_numpy(pixels).to(device) for name, pixels in made.items()}


def _shifted(pixels: Array, side: int, _: Moves, rng: np.random.Generator) -> Array:
    """(side, side, 3) out of what a sample has to spare, pixel by pixel."""
    top, left = rng.integers(0, len(pixels) - side + 1, 2)
    return pixels[top : top + side, left : left + side]


def _moved(pixels: Array, side: int, moves: Moves, rng: np.random.Generator) -> Array:
    """(side, side, 3) from nearer or farther, beside, turned and leaning."""
    scale, angle = between(rng, moves.nearer), np.radians(between(rng, (-moves.turn, moves.turn)))
    lean = rng.uniform(-moves.shear, moves.shear, 2)
    turned = np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    matrix = scale * turned @ np.array(((1, lean[0]), (lean[1], 1)))
    aside = max(0.1 * side, len(pixels) - scale * side) / 2
    centre = len(pixels) / 2 + rng.uniform(-aside, aside, 2)
    corner = centre - matrix @ (side / 2, side / 2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = np.column_stack((matrix, corner))
    return np.asarray(
        cv2.warpAffine(pixels, whole, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT)
    )


def _spoiling(rng: np.random.Generator) -> Callable[[Array], Array]:
    """What another camera would do to every view alike, now and then: sharpen, blur, noise, JPEG."""
    edges = between(rng, (0.2, 1.5)) if rng.random() < 0.2 else 0.0
    blur = between(rng, (0.3, 0.8)) if rng.random() < 0.15 else 0.0
    noise = between(rng, (1.0, 7.0)) if rng.random() < 0.35 else 0.0
    quality = int(rng.integers(40, 95)) if rng.random() < 0.25 else 0
    seed = int(rng.integers(1 << 30))

    def spoil(pixels: Array) -> Array:
        if edges:
            soft = cv2.GaussianBlur(pixels, (0, 0), 1.0)
            pixels = cv2.addWeighted(pixels, 1 + edges, soft, -edges, 0)
        if blur:
            pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
        if noise:
            added = np.empty(pixels.shape, np.int16)
            cv2.setRNGSeed(seed)
            cv2.randn(added, 0, noise)  # type: ignore[call-overload]
            pixels = cv2.add(pixels.astype(np.int16), added, dtype=cv2.CV_8U)
        if quality:
            _, file = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))
            pixels = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))
        return pixels

    return spoil


def _colours(rng: np.random.Generator) -> Array:
    """(3, 3): paler or stronger colours."""
    strength = between(rng, (0.4, 1.35))
    return np.asarray(np.full((3, 3), (1 - strength) / 3) + np.eye(3) * strength)


def _tones(rng: np.random.Generator) -> Array:
    """(1, 256, 3) uint8: brightness, contrast, colour of the light."""
    steps = np.linspace(0, 1, 256)[:, None] ** between(rng, (0.75, 1.35))
    gain = between(rng, (0.75, 1.3)) * rng.normal(1, 0.08, 3)
    return np.asarray((255 * np.clip(steps * gain, 0, 1)).astype(np.uint8)[None])
