"""Buffers that one worker thread fills again and again, so that a request allocates no tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MAX_SHAPES = 64
"""Kept buffers for each thread; letterboxed inputs have about a dozen shapes."""
MAX_BYTES = 128 << 20
"""Of all of them, or of one that is larger: whole pictures are turned and converted here, too."""


class Scratch:
    """Named buffers of one thread. A buffer's content is only good until its name is asked again."""

    def __init__(self) -> None:
        """Own nothing yet."""
        self._arrays: dict[tuple[str, tuple[int, ...], DTypeLike], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A C-contiguous buffer, with whatever it held last time; zeros at first."""
        key = (name, shape, dtype)
        array = self._arrays.get(key)
        if array is None:
            array = np.zeros(shape, dtype)
            self._make_room(array.nbytes)
            self._arrays[key] = array
        return array

    def _make_room(self, nbytes: int) -> None:
        """Let the oldest buffers go, so that one of that size may join."""
        kept = sum(array.nbytes for array in self._arrays.values())
        while self._arrays and (kept + nbytes > MAX_BYTES or len(self._arrays) >= MAX_SHAPES):
            kept -= self._arrays.pop(next(iter(self._arrays))).nbytes
