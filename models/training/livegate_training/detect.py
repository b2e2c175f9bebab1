"""lg_detect: an anchor-free detector whose outputs follow YuNet's rule.

Which cell answers for a face: cells near its centre, on the strides whose span of sizes holds it; the
spans overlap. The score's target is the overlap that the cell's own box reaches (X. Li et al.,
"Generalized Focal Loss", 2020), so that the score ranks boxes by how well they fit. Boxes learn by
1 - DIoU (Z. Zheng et al., 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from livegate_training.course import Export, batch_at
from livegate_training.networks import STRIDES, DetectNetwork
from livegate_training.recipe import Recipe
from livegate_training.training import in_parts

Array = NDArray[Any]
SPANS = ((0.0, 44.0), (26.0, 96.0), (64.0, 1e9))
"""Pixels of the longer side that each stride answers for."""


class DetectCourse:
    """Boxes, scores, five landmarks."""

    def __init__(self, recipe: Recipe) -> None:
        """Of that recipe."""
        self._recipe = recipe

    def network(self, samples: Mapping[str, Array]) -> nn.Module:
        """A detector with random weights."""
        return DetectNetwork(self._recipe.width)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], rng: np.random.Generator) -> Tensor:
        """Score by quality focal loss, box by DIoU, landmarks by smooth absolute error."""
        pixels, faces = varied(batch["pixels"], batch["faces"], rng)
        height, width = pixels.shape[1:3]
        grids = network(pixels)
        cells = torch.cat([cells_of(height, width, s) for s in STRIDES]).to(pixels.device)
        raw = torch.cat(grids, dim=1)
        owner = owners(cells, faces)
        has_face = owner >= 0
        truth = faces.gather(1, owner.clamp(min=0)[..., None].expand(-1, -1, 14))[has_face]
        boxes, points = decoded(raw, cells)
        overlap, distance = overlaps(boxes[has_face], truth[:, :4])
        target = torch.zeros_like(raw[..., 0])
        target[has_face] = overlap.detach().clamp(0, 1)
        count = has_face.sum().clamp(min=1)
        score = _quality_focal(raw[..., 0], target).sum() / count
        size = truth[:, 2:4].amax(dim=1).clamp(min=4)[:, None]
        off = (points[has_face] - truth[:, 4:]) / size
        placed = nn.functional.smooth_l1_loss(off * 10, torch.zeros_like(off), beta=0.5, reduction="sum")
        return score + 2.0 * (1 - overlap + distance).sum() / count + 0.15 * placed / count

    def report(self, network: nn.Module, samples: Mapping[str, Array]) -> dict[str, float]:
        """Faces found at IoU 0.5 and score 0.5, boxes of nobody per picture."""
        found, wanted, false = 0, 0, 0
        for numbers in in_parts(len(samples["pixels"]), 50):
            batch = batch_at(samples, numbers)
            with torch.no_grad():
                raw = torch.cat(network(batch["pixels"]), dim=1)
            height, width = batch["pixels"].shape[1:3]
            cells = torch.cat([cells_of(height, width, s) for s in STRIDES])
            boxes, _ = decoded(raw, cells)
            for one, scores, faces in zip(boxes, raw[..., 0].sigmoid(), batch["faces"], strict=True):
                hits, misses, wrong = _matched(one[scores > 0.5], faces[faces[:, 2] > 0, :4])
                found, wanted, false = found + hits, wanted + hits + misses, false + wrong
        return {"found": found / max(1, wanted), "false": false / len(samples["pixels"])}

    def exported(self, network: nn.Module) -> list[Export]:
        """One graph; height and width are free, multiples of 32."""
        names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
        free = {"pixels": {0: "batch", 1: "height", 2: "width"}}
        free.update({name: {0: "batch", 1: f"cells_{name.rsplit('_', 1)[1]}"} for name in names})
        example = torch.zeros((1, 64, 96, 3), dtype=torch.uint8)
        return [Export("lg_detect", Decoded(network), example, tuple(names), free)]


class Decoded(nn.Module):
    """The raw grids as the outputs that yunet_grid reads."""

    def __init__(self, network: nn.Module) -> None:
        """Around a detector."""
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """class and object (the same score), box, landmarks of each stride."""
        grids = self.network(pixels)
        scores = [grid[..., :1].sigmoid() for grid in grids]
        boxes = [torch.cat((grid[..., 2:4], grid[..., 4:6].clamp(-4, 4)), dim=2) for grid in grids]
        # Twice the score under two names: sqrt(class * object) is the score again.
        return (*scores, *(score * 1.0 for score in scores), *boxes, *(grid[..., 6:] for grid in grids))


def cells_of(height: int, width: int, stride: int) -> Tensor:
    """(cells, 3): column, row, stride of a grid, row by row."""
    rows, columns = torch.meshgrid(
        torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
    )
    step = torch.full_like(rows, stride)
    return torch.stack((columns, rows, step), dim=2).reshape(-1, 3).float()


def decoded(raw: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """(N, M, 4) boxes as left, top, width, height and (N, M, 10) landmarks, input pixels."""
    step = cells[:, 2:]
    centre = (cells[:, :2] + raw[..., 2:4]) * step
    size = raw[..., 4:6].clamp(-4, 4).exp() * step
    points = (cells[:, :2].repeat(1, 5) + raw[..., 6:]) * step
    return torch.cat((centre - size / 2, size), dim=2), points


def owners(cells: Tensor, faces: Tensor) -> Tensor:
    """(N, M) the face that each cell answers for, the smallest of several; -1 for none."""
    centre = faces[..., :2] + faces[..., 2:4] / 2
    size = faces[..., 2:4].amax(dim=2)
    place = (cells[:, :2]) * cells[:, 2:]
    far = (place[None, :, None] - centre[:, None]).abs().amax(dim=3)
    low = torch.zeros_like(cells[:, 2])
    high = torch.zeros_like(cells[:, 2])
    for stride, (least, most) in zip(STRIDES, SPANS, strict=True):
        low[cells[:, 2] == stride], high[cells[:, 2] == stride] = least, most
    fits = (size[:, None] > low[None, :, None]) & (size[:, None] < high[None, :, None])
    reach = torch.maximum(0.22 * size[:, None], 0.75 * cells[None, :, 2:])
    reach = torch.minimum(reach, 1.6 * cells[None, :, 2:])
    is_own = fits & (far < reach) & (faces[:, None, :, 2] > 0)
    ranked = torch.where(is_own, size[:, None].expand_as(far), torch.inf)
    least_size, owner = ranked.min(dim=2)
    return torch.where(least_size.isinf(), torch.full_like(owner, -1), owner)


def overlaps(boxes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(M,) IoU of pairs, and the squared centre distance over the squared diagonal of both."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    true_low, true_high = truth[:, :2], truth[:, :2] + truth[:, 2:]
    shared = (torch.minimum(high, true_high) - torch.maximum(low, true_low)).clamp(min=0).prod(dim=1)
    union = boxes[:, 2:].prod(dim=1) + truth[:, 2:].prod(dim=1) - shared
    around = torch.maximum(high, true_high) - torch.minimum(low, true_low)
    apart = ((low + high - true_low - true_high) / 2).square().sum(dim=1)
    return shared / union.clamp(min=1e-6), apart / around.square().sum(dim=1).clamp(min=1e-6)


def varied(pixels: Tensor, faces: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Another exposure for each picture; half of the batches mirrored."""
    count, width = len(pixels), pixels.shape[2]
    gain = torch.from_numpy(rng.uniform(0.7, 1.35, (count, 1, 1, 1)).astype(np.float32)).to(
        pixels.device
    )
    colour = torch.from_numpy(rng.normal(1, 0.06, (count, 1, 1, 3)).astype(np.float32)).to(pixels.device)
    changed = (pixels.float() * gain * colour).clamp(0, 255)
    if rng.random() < 0.5:
        return changed, faces
    flipped = faces.clone()
    flipped[..., 0] = width - 1 - faces[..., 0] - faces[..., 2]
    points = faces[..., 4:].reshape(*faces.shape[:2], 5, 2)[:, :, [1, 0, 2, 4, 3]].clone()
    points[..., 0] = width - 1 - points[..., 0]
    flipped[..., 4:] = points.flatten(2)
    return changed.flip(2), torch.where(faces[..., 2:3] > 0, flipped, faces)


def _quality_focal(raw: Tensor, target: Tensor) -> Tensor:
    odds = raw.sigmoid()
    each = nn.functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
    return each * (odds - target).abs().square()


def _matched(boxes: Tensor, faces: Tensor) -> tuple[int, int, int]:
    """Faces met by a box, faces that are not, boxes that meet none (IoU 0.5 and 0.3)."""
    if not len(boxes) or not len(faces):
        return 0, len(faces), int(len(boxes) > 0)
    pairs = torch.cartesian_prod(torch.arange(len(boxes)), torch.arange(len(faces)))
    overlap, _ = overlaps(boxes[pairs[:, 0]], faces[pairs[:, 1]])
    table = overlap.reshape(len(boxes), len(faces))
    hits = int((table.amax(dim=0) > 0.5).sum())
    return hits, len(faces) - hits, int(bool((table.amax(dim=1) < 0.3).any()))
