"""How large the numbers of a tensor are: a histogram that grows, and where to cut it for int8.

Bins are powers of two wide and merge in pairs when a larger number comes, so that the order in which
numbers come changes nothing. Zeros are not counted: whatever the scale, int8 has them exactly, and after
a ReLU half of all numbers are zeros.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 2048
LEAST_EXPONENT = -40
"""Numbers below 2 ** -40 count as zeros."""
LEVELS = 127
"""Steps of int8 on each side of zero."""
TRIED_EVERY = 8
"""Bins between two reaches that are tried: less than a hundredth of them."""
LEAST_PART = 4
"""A reach is at least this part of the greatest number."""
Reals = NDArray[np.float64]


class Magnitudes:
    """Counts of absolute values of one tensor, over any number of runs."""

    def __init__(self) -> None:
        """Nothing was seen."""
        self._counts = np.zeros(BINS, np.int64)
        self._exponent = LEAST_EXPONENT
        """The last bin ends at 2 ** this."""

    def add(self, numbers: NDArray[np.float32]) -> None:
        """Count the numbers of one run; those that are not finite are an error of the network.

        Raises:
            ValueError: there is one that is not finite.
        """
        sizes = np.abs(numbers.astype(np.float64)).ravel()
        greatest = float(sizes.max(initial=0.0))
        if not math.isfinite(greatest):
            raise ValueError("it has numbers that are not finite")
        while greatest >= 2.0**self._exponent:
            merged = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.concatenate((merged, np.zeros_like(merged)))
            self._exponent += 1
        sizes = sizes[sizes >= 2.0**LEAST_EXPONENT]
        places = (sizes * (BINS / 2.0**self._exponent)).astype(np.int64)
        self._counts += np.bincount(places, minlength=BINS)

    def reach(self) -> float:
        """Where to cut, so that int8 strays least from the numbers, in the mean of squares.

        A greater reach makes each step coarser, a smaller one cuts off more; 0 when all were zeros.
        """
        filled = np.flatnonzero(self._counts)
        if not filled.size:
            return 0.0
        last, width = int(filled[-1]) + 1, 2.0**self._exponent / BINS
        middles = (filled.astype(np.float64) + 0.5) * width
        counts = self._counts[filled].astype(np.float64)
        # Of two that are as good the greater one: it cuts off less.
        tried = (end * width for end in range(last, last // LEAST_PART, -TRIED_EVERY))
        return min(tried, key=lambda reach: _loss(reach, middles, counts))


def _loss(reach: float, middles: Reals, counts: Reals) -> float:
    """The sum of squares that the steps and the cut cost."""
    step = reach / LEVELS
    levels = np.minimum(np.rint(middles / step), LEVELS)
    return float(((middles - levels * step) ** 2 * counts).sum())
