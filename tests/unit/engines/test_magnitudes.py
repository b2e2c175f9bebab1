"""Counts of absolute values, and where int8 cuts them."""

from __future__ import annotations

import numpy as np
import pytest

from livegate.engines.magnitudes import Magnitudes


def reach_of(*runs: np.ndarray) -> float:
    """After these runs."""
    seen = Magnitudes()
    for numbers in runs:
        seen.add(numbers.astype(np.float32))
    return seen.reach()


def test_reach_of_even_numbers_is_the_largest() -> None:
    """Nothing is gained by cutting; signs do not matter."""
    assert reach_of(np.linspace(-3, 2, 5001)) == pytest.approx(3, rel=0.01)


def test_reach_leaves_out_a_few_that_are_far_away() -> None:
    """One number of a hundred thousand does not make all steps coarse."""
    numbers = np.append(np.random.default_rng(1).normal(size=100_000), 40)
    assert 4 < reach_of(numbers) < 30


def test_reach_does_not_depend_on_the_order() -> None:
    """The same numbers in whatever runs give the same digits: so the same pictures, the same engine."""
    runs = [np.random.default_rng(n).normal(scale=10.0**n, size=1000) for n in range(4)]
    assert reach_of(*runs) == reach_of(*reversed(runs)) == reach_of(np.concatenate(runs))


def test_reach_counts_no_zeros() -> None:
    """A tensor behind a ReLU is judged by what came through; one that was all zeros has none."""
    numbers = np.linspace(0.1, 1, 100)
    assert reach_of(numbers, np.zeros(10**5)) == reach_of(numbers)
    assert reach_of(np.zeros(3)) == 0


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_add_refuses_what_is_not_finite(odd: float) -> None:
    """A network that answers such numbers is measured by nobody."""
    with pytest.raises(ValueError, match="finite"):
        Magnitudes().add(np.array([1, odd], np.float32))
