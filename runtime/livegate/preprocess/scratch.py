"""Buffers that one worker thread fills again and again, so that a request allocates no tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MAX_SHAPES = 64
"""Kept buffers for each thread; letterboxed inputs have about a dozen shapes."""


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
            if len(self._arrays) >= MAX_SHAPES:
                self._arrays.pop(next(iter(self._arrays)))
            array = self._arrays[key] = np.zeros(shape, dtype)
        return array
