"""How few requests say something about a percentile."""

from __future__ import annotations

import math

import numpy as np
import pytest

from livegate_bench.measure.early_stop import chance, early_stop, least_requests, most_overruns


@pytest.mark.parametrize(
    ("percentile", "overruns", "least"),
    [(0.9, 0, 44), (0.99, 0, 459), (0.9, 1, 64), (0.99, 1, 662), (0.95, 0, 90)],
)
def test_least_requests_are_the_published_counts(percentile: float, overruns: int, least: int) -> None:
    """64 and 662 are LoadGen's; without an overrun p**n <= 1 % says it."""
    assert least_requests(percentile, overruns) == least
    if overruns == 0:
        assert least == math.ceil(math.log(0.01) / math.log(percentile))


@pytest.mark.parametrize("overruns", [0, 1, 7, 40])
def test_least_requests_are_the_fewest_that_are_sure(overruns: int) -> None:
    """One request less, and 99 % are not reached."""
    least = least_requests(0.9, overruns)
    assert chance(least, overruns, 0.9) <= 0.01 < chance(least - 1, overruns, 0.9)
    assert most_overruns(least, 0.9) == overruns
    assert most_overruns(least - 1, 0.9) == (overruns - 1 if overruns else None)


def test_chance_is_the_binomial_tail() -> None:
    """Against the sum that is written out."""
    by_hand = sum(math.comb(30, k) * 0.1**k * 0.9 ** (30 - k) for k in range(4))
    assert chance(30, 3, 0.9) == pytest.approx(by_hand)


def test_early_stop_bounds_by_the_value_that_may_be_overrun() -> None:
    """64 requests may overrun once: the bound is the second greatest."""
    found = early_stop(np.arange(1.0, 65.0), 0.9)
    assert (found.bound_ms, found.least_requests) == (63.0, 64)


def test_early_stop_of_too_few_says_nothing() -> None:
    """And how many it takes."""
    found = early_stop(np.arange(1.0, 44.0), 0.9)
    assert (found.bound_ms, found.least_requests) == (None, 44)


def test_early_stop_holds_as_often_as_it_claims() -> None:
    """The true p90 lies above the bound in at most 1 % of runs, whatever the distribution."""
    draw = np.random.default_rng(1)
    runs = 2000
    misses = sum(
        (bound := early_stop(np.sort(draw.exponential(1.0, 200)), 0.9).bound_ms) is None
        or bound < math.log(10)
        for _ in range(runs)
    )
    assert misses / runs < 0.02
