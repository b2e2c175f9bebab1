"""The portraits, packed once: pixels, cut-out masks, labels, the depth of the head.

A pack is a cache outside the repository. Its name holds the digest of what it depends on, so that a
changed recipe makes a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate_training.cutout import cover_of
from livegate_training.folders import Folders
from livegate_training.heads import HeadMesh
from livegate_training.identity import Split, person_of, split_of
from livegate_training.lifting import fit_depth
from livegate_training.pose import Pose

if TYPE_CHECKING:
    from livegate_training.teachers import Teachers

Array = NDArray[Any]
WIDTH, HEIGHT = 200, 244
"""Every portrait is brought to this size, the face's place kept; bytes are cheap, warps are not."""
MIN_FACE = 30.0
"""Pixels of face width; below that the teachers guess."""
PITCH_BIAS = 1.5
"""Degrees by which both witnesses see frontal heads look up too far (mean head 2.3, reference 0.9)."""
REVISION = 2
"""Counts up when the code below changes what is packed."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One packed portrait, pixels (H, W, 3), cover (H, W) 0..255, points (68, 2), depth (H, W)."""

    name: str
    pixels: Array
    cover: Array
    points: Array
    depth: Array
    pose: Pose


class PortraitPack:
    """All portraits of one split."""

    def __init__(self, path: Path, split: Split) -> None:
        """Read the pack's file and keep what belongs to the split."""
        packed = np.load(path)
        names = [str(name) for name in packed["names"]]
        chosen = [n for n, name in enumerate(names) if split_of(person_of(name)) == split]
        self.names = [names[n] for n in chosen]
        self._arrays = {
            key: packed[key][chosen] for key in ("pixels", "cover", "points", "depth", "pose")
        }

    def __len__(self) -> int:
        """How many."""
        return len(self.names)

    def __getitem__(self, number: int) -> Portrait:
        """One of them."""
        own = {key: array[number] for key, array in self._arrays.items()}
        yaw, pitch, roll = (float(angle) for angle in own["pose"])
        pose = Pose(yaw, pitch + PITCH_BIAS, roll)
        depth = own["depth"].astype(np.float32)
        return Portrait(self.names[number], own["pixels"], own["cover"], own["points"], depth, pose)


def pack_portraits(folders: Folders, *, processes: int = 2, limit: int | None = None) -> Path:
    """Make the pack, unless it is there. `limit` keeps the first so many portraits (tiny runs).

    Raises:
        MissingMaterial: portraits, mesh or reference models are absent.
    """
    files = sorted(folders.portraits.glob("*.jpg"))[:limit]
    teachers, heads = folders.teachers, folders.heads
    key = f"{REVISION} {WIDTH} {HEIGHT} " + " ".join(file.name for file in files)
    path = folders.work / f"portraits-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [files[n::processes] for n in range(processes)]
    with get_context("spawn").Pool(processes) as pool:
        rows = pool.starmap(_pack_some, [(part, teachers, heads) for part in parts])
    found = sorted((row for part in rows for row in part), key=lambda row: str(row["names"]))
    waiting = path.with_suffix(".part.npz")
    stacked: dict[str, Any] = {key: np.stack([row[key] for row in found]) for key in found[0]}
    np.savez(waiting, **stacked)
    waiting.rename(path)
    return path


def _pack_some(files: list[Path], teachers: Path, heads: Path) -> list[dict[str, Array]]:
    from livegate_training.teachers import Teachers  # engines, which only those who pack need

    cv2.setNumThreads(1)
    return list(_packed(files, Teachers(teachers), HeadMesh(heads)))


def _packed(files: list[Path], teachers: Teachers, mesh: HeadMesh) -> Iterator[dict[str, Array]]:
    for file in files:
        pixels = cv2.imread(str(file))
        if pixels is None or min(pixels.shape[:2]) < 100:
            continue
        reading = teachers.read(pixels)
        if reading is None or reading.box[2] < MIN_FACE:
            continue
        scale = np.array((WIDTH / pixels.shape[1], HEIGHT / pixels.shape[0]))
        points = (reading.points * scale.min()).astype(np.float32)
        size = tuple(int(side * scale.min()) for side in pixels.shape[1::-1])
        small = cv2.resize(
            pixels, size, interpolation=cv2.INTER_AREA if scale.min() < 1 else cv2.INTER_CUBIC
        )
        canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        cover = np.zeros((HEIGHT, WIDTH), np.uint8)
        canvas[: size[1], : size[0]] = small
        cover[: size[1], : size[0]] = cover_of(small, points)
        depth, laid = fit_depth(mesh, points, (WIDTH, HEIGHT))
        pose = (
            (reading.pose.yaw_deg + laid.yaw_deg) / 2,
            (reading.pose.pitch_deg + laid.pitch_deg) / 2,
            laid.roll_deg,
        )
        yield {
            "names": np.array(file.name),
            "pixels": canvas,
            "cover": cover,
            "points": points,
            "depth": depth.astype(np.float16),
            "pose": np.array(pose, np.float32),
            "poses": np.array(
                (reading.pose.yaw_deg, reading.pose.pitch_deg, laid.yaw_deg, laid.pitch_deg)
            ),
        }
