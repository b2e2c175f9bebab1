"""Samples made once, by several processes, and kept on disk outside the repository.

Sample n depends on the seed and on n alone, so that it does not matter who makes it or when; a run
that was stopped goes on with the shards that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sample = dict[str, Array]
Maker = Callable[[int], Sample]
SHARD = 200
"""Samples in a file."""


def make_shards(
    folder: Path, count: int, factory: Callable[..., Maker], keys: tuple[Any, ...], *, processes: int = 2
) -> Path:
    """Fill `folder` with samples 0..count of the maker that `factory(*keys)` returns in each process."""
    folder.mkdir(parents=True, exist_ok=True)
    spans = [(start, min(count, start + SHARD)) for start in range(0, count, SHARD)]
    jobs = [(folder, start, end) for start, end in spans if not _path(folder, start, end).exists()]
    if not jobs:
        return folder
    with get_context("spawn").Pool(min(processes, len(jobs)), _begin, (factory, keys)) as pool:
        for done, _ in enumerate(pool.imap_unordered(_make, jobs), 1):
            print(f"\rsamples: {done * SHARD} of {len(jobs) * SHARD}", end="", flush=True)
    print()
    return folder


def read_shards(folder: Path, count: int) -> dict[str, Array]:
    """The first `count` samples, each array stacked along N."""
    parts = list(_read(folder, count))
    return {key: np.concatenate([part[key] for part in parts])[:count] for key in parts[0]}


def _read(folder: Path, count: int) -> Iterator[dict[str, Array]]:
    for start in range(0, count, SHARD):
        with np.load(_path(folder, start, min(count, start + SHARD))) as stored:
            yield {key: stored[key] for key in stored.files}


def _path(folder: Path, start: int, end: int) -> Path:
    return folder / f"samples-{start:07d}-{end:07d}.npz"


_MAKERS: list[Maker] = []
"""The maker of this process; a worker has one for its whole life."""


def _begin(factory: Callable[..., Maker], keys: tuple[Any, ...]) -> None:
    cv2.setNumThreads(1)
    _MAKERS[:] = [factory(*keys)]


def _make(job: tuple[Path, int, int]) -> int:
    folder, start, end = job
    made = [_MAKERS[0](number) for number in range(start, end)]
    path = _path(folder, start, end)
    waiting = path.with_suffix(".part.npz")
    stacked: dict[str, Any] = {key: np.stack([one[key] for one in made]) for key in made[0]}
    np.savez(waiting, **stacked)
    waiting.rename(path)
    return start
