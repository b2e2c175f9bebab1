"""lg_face: landmarks and head pose with one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from livegate_training.course import Export, batch_at
from livegate_training.facecrops import SIDE
from livegate_training.networks import FaceNetwork
from livegate_training.recipe import Recipe
from livegate_training.training import in_parts

Array = NDArray[Any]
FINE = np.r_[36:48, 60:68]
"""Lids and inner lips: small movements that decide over blinks and mouths count more."""
FACING = (
    ((37, 41), (38, 40)),
    ((43, 47), (44, 46)),
    ((61, 67), (62, 66), (63, 65)),
)
CORNERS = ((36, 39), (42, 45), (60, 64))
"""Of each eye and of the inner lips: points that face each other, and the corners."""


class FaceCourse:
    """Landmarks in parts of the crop, angles in degrees."""

    def __init__(self, recipe: Recipe) -> None:
        """Of that recipe."""
        self._recipe = recipe
        weights = np.ones(68, np.float32)
        weights[FINE] = 2.0
        weights[:17] = 0.6
        self._weights = torch.from_numpy(weights / weights.mean())[None, :, None]

    def network(self, samples: Mapping[str, Array]) -> nn.Module:
        """A network that begins at the samples' mean shape."""
        mean = torch.from_numpy(samples["points"].mean(axis=0).reshape(-1))
        return FaceNetwork(self._recipe.width, mean)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], rng: np.random.Generator) -> Tensor:
        """Smooth absolute errors: points by hundredths of the crop, angles by 5 degrees, gaps by tenths.

        Without the gaps a network learns where a mouth is long before it learns that it is open: a lid
        that is 2 pixels off costs little as a point and everything as a blink.
        """
        pixels, points = varied(batch["pixels"], batch["points"], rng)
        told, angles = network(pixels)
        far = nn.functional.smooth_l1_loss(
            told.reshape(-1, 68, 2) * 100, points * 100, beta=1.0, reduction="none"
        )
        turned = nn.functional.smooth_l1_loss(angles / 5, batch["angles"] / 5, beta=0.4)
        gaps = nn.functional.smooth_l1_loss(
            openness(told.reshape(-1, 68, 2), points) * 10, openness(points, points) * 10, beta=0.3
        )
        return (far * self._weights.to(far.device)).mean() + 2.0 * turned + 2.0 * gaps

    def report(self, network: nn.Module, samples: Mapping[str, Array]) -> dict[str, float]:
        """Mean landmark error in outer-eye distances, mean errors of yaw and pitch."""
        points, angles = predicted(network, samples)
        apart = np.linalg.norm(samples["points"][:, 36] - samples["points"][:, 45], axis=1)
        far = np.linalg.norm(points - samples["points"], axis=2)[:, 17:].mean(axis=1) / apart
        off = np.abs(angles - samples["angles"]).mean(axis=0)
        told = [torch.from_numpy(one) for one in (points, samples["points"])]
        gaps = (openness(told[0], told[1]) - openness(told[1], told[1])).abs().mean(dim=0)
        return {
            "landmarks": float(far.mean()),
            "yaw": float(off[0]),
            "pitch": float(off[1]),
            "eyes": float(gaps[:2].mean()),
            "lips": float(gaps[2]),
        }

    def exported(self, network: nn.Module) -> list[Export]:
        """One graph with both outputs; the runtime feeds one face at a time."""
        example = torch.zeros((1, SIDE, SIDE, 3), dtype=torch.uint8)
        return [Export("lg_face", network, example, ("points", "angles"), {})]


def openness(points: Tensor, truth: Tensor) -> Tensor:
    """(N, 3) of both eyes and the inner lips: mean gap over the true distance of the corners.

    The gap is signed along the face's own down, so that it has a slope where lids touch.
    """
    down = truth[:, 8] - truth[:, 27]
    down = down / down.norm(dim=1, keepdim=True).clamp(min=1e-4)
    made = []
    for pairs, (first, last) in zip(FACING, CORNERS, strict=True):
        wide = (truth[:, last] - truth[:, first]).norm(dim=1).clamp(min=0.02)
        gaps = [((points[:, low] - points[:, high]) * down).sum(dim=1) for high, low in pairs]
        made.append(torch.stack(gaps).mean(dim=0) / wide)
    return torch.stack(made, dim=1)


@torch.no_grad()
def predicted(network: nn.Module, samples: Mapping[str, Array]) -> tuple[Array, Array]:
    """(N, 68, 2) points and (N, 3) angles of all samples."""
    made = []
    for numbers in in_parts(len(samples["pixels"])):
        points, angles = network(batch_at(samples, numbers)["pixels"])
        made.append((points.cpu().numpy().reshape(-1, 68, 2), angles.cpu().numpy()))
    return np.concatenate([one[0] for one in made]), np.concatenate([one[1] for one in made])


def varied(pixels: Tensor, points: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Another exposure, another grain, the crop a little elsewhere: points go along."""
    count = len(pixels)
    scale = torch.from_numpy(rng.uniform(0.93, 1.07, (count, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.05, 0.05, (count, 1, 2)).astype(np.float32))
    scale, shift = scale.to(pixels.device), shift.to(pixels.device)
    matrix = torch.zeros((count, 2, 3), device=pixels.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale[:, 0, 0]
    matrix[:, :, 2] = shift[:, 0] * 2
    planes = pixels.permute(0, 3, 1, 2).float()
    grid = nn.functional.affine_grid(matrix, list(planes.shape), align_corners=False)
    planes = nn.functional.grid_sample(planes, grid, align_corners=False)
    gain = torch.from_numpy(rng.uniform(0.75, 1.3, (count, 1, 1, 1)).astype(np.float32)).to(
        pixels.device
    )
    lift = torch.from_numpy(rng.uniform(-20, 20, (count, 1, 1, 1)).astype(np.float32)).to(pixels.device)
    changed = (planes * gain + lift).clamp(0, 255).permute(0, 2, 3, 1)
    return changed, (points - 0.5 - shift) / scale + 0.5
