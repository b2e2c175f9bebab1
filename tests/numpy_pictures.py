"""What preprocessing means, read from its definition: NumPy, in double precision."""

from __future__ import annotations

import numpy as np

from livegate.manifests.schema import InputTensor
from livegate.preprocess.ops import LetterboxPlan, TurnedPlan


def read_at(pixels: np.ndarray, x: np.ndarray, y: np.ndarray, pad: int | None) -> np.ndarray:
    """(H, W, 3) float64: bilinear at places in the frame; without `pad` the edge goes on for ever."""
    height, width = pixels.shape[:2]
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = (x - left)[..., None], (y - top)[..., None]

    def tap(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        found = pixels[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)].astype(np.float64)
        if pad is not None:
            found[(columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)] = pad
        return found

    above = tap(left, top) * (1 - across) + tap(left + 1, top) * across
    below = tap(left, top + 1) * (1 - across) + tap(left + 1, top + 1) * across
    return above * (1 - down) + below * down


def read_stretched(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width, 3) float64: the whole picture, resized."""
    columns = (np.arange(width) + 0.5) * pixels.shape[1] / width - 0.5
    rows = (np.arange(height) + 0.5) * pixels.shape[0] / height - 0.5
    return read_at(pixels, *np.meshgrid(columns, rows), None)


def read_turned(pixels: np.ndarray, plan: TurnedPlan, width: int, height: int, pad: int) -> np.ndarray:
    """(height, width, 3) float64: a turned rectangle."""
    (xx, xy, x0), (yx, yy, y0) = plan.frame_from_input(width, height)
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    return read_at(pixels, xx * u + xy * v + x0, yx * u + yy * v + y0, pad)


def as_tensor(picture: np.ndarray, spec: InputTensor) -> np.ndarray:
    """(H, W, 3) BGR levels to (1, 3, H, W) in the tensor's colour order, scaled, less the mean."""
    ordered = picture if spec.colour == "BGR" else picture[..., ::-1]
    return (ordered * np.array(spec.scale) - np.array(spec.mean)).transpose(2, 0, 1)[None]


def read_letterbox(pixels: np.ndarray, plan: LetterboxPlan, spec: InputTensor, pad: int) -> np.ndarray:
    """The letterboxed tensor in float64."""
    canvas = np.full((plan.input_height, plan.input_width, 3), float(pad))
    canvas[: plan.height, : plan.width] = read_stretched(pixels, plan.width, plan.height)
    return as_tensor(canvas, spec)


def levels_apart(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of two tensors of bytes."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())
