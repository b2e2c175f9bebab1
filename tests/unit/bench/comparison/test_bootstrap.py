"""Intervals: against truths that are known."""

from __future__ import annotations

import numpy as np
import pytest

from livegate_bench.comparison.bootstrap import (
    Histogram,
    design_effect,
    has_tails,
    paired_interval,
    quantile_draws,
    quantile_interval,
    quantiles,
    ratio_interval,
)

TRIALS = 200


def coverage(count: int, truth: float, *, is_paired: bool) -> float:
    """How often the interval of noisy windows holds the true ratio."""
    draws = np.random.default_rng(5)
    held = 0
    for _ in range(TRIALS):
        drift = np.exp(draws.normal(0, 0.1, count)) if is_paired else np.ones(count)
        base = list(100 * drift * np.exp(draws.normal(0, 0.02, count)))
        other = list(100 * truth * drift * np.exp(draws.normal(0, 0.02, count)))
        found = paired_interval(base, other) if is_paired else ratio_interval(base, other)
        assert found is not None
        held += found.low <= truth <= found.high
    return held / TRIALS


@pytest.mark.parametrize(("count", "is_paired"), [(4, False), (8, False), (6, True), (8, True)])
def test_interval_of_noisy_windows_holds_the_true_ratio_as_often_as_it_says(
    count: int, is_paired: bool
) -> None:
    """19 times in 20, to within what 200 trials tell; the plain bootstrap holds 8 pairs 183 times."""
    assert coverage(count, 1.3, is_paired=is_paired) >= 0.935


def test_paired_interval_of_windows_that_drift_together_is_narrower() -> None:
    """A machine that slows down does it to both: the pairs know, the medians do not."""
    drift = np.linspace(1, 2, 8)
    base, other = list(100 * drift), list(110 * drift)
    paired, free = paired_interval(base, other), ratio_interval(base, other)
    assert paired is not None
    assert free is not None
    assert paired.low == pytest.approx(1.1)
    assert paired.high == pytest.approx(1.1)
    assert free.low < 0.9
    assert free.high > 1.3


def test_interval_same_windows_twice_is_the_same() -> None:
    """The seed is fixed: a gate does not change its mind."""
    base, other = [1.0, 1.1, 1.2, 0.9], [2.0, 2.1, 1.9, 2.2]
    assert ratio_interval(base, other) == ratio_interval(base, other)


@pytest.mark.parametrize(
    ("count", "is_paired", "sure"),
    [
        (2, False, None),
        (3, False, 0.9),
        (4, False, 0.95),
        (4, True, None),
        (5, True, 0.9375),
        (6, True, 0.95),
    ],
)
def test_interval_of_few_windows_says_how_sure_it_can_be(
    count: int, is_paired: bool, sure: float | None
) -> None:
    """Three windows of two runs are in one order in two of C(6,3) cases; n pairs agree in 2 of 2^n."""
    values = [float(number) for number in range(1, count + 1)]
    found = paired_interval(values, values) if is_paired else ratio_interval(values, values)
    assert (found.confidence if found else None) == (pytest.approx(sure) if sure else None)


@pytest.mark.parametrize("values", [[], [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]])
def test_interval_of_nothing_or_of_zero_is_none(values: list[float]) -> None:
    """A ratio to zero is no number."""
    assert ratio_interval(values, values) is None
    assert paired_interval(values, values) is None


def test_paired_interval_of_unequal_counts_is_refused() -> None:
    """Windows that have no partner are no pairs."""
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_interval([1.0], [1.0, 2.0])


def histogram(values: np.ndarray, effective: float | None = None) -> Histogram:
    edges = 0.5 * 1.02 ** np.arange(400)
    counts, _ = np.histogram(values, edges)
    heights = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    return Histogram(edges, heights, effective or float(counts.sum()))


def test_quantiles_of_a_histogram_are_those_of_its_values() -> None:
    """To the width of a bin."""
    values = np.exp(np.random.default_rng(1).normal(3, 0.3, 20_000))
    found = quantiles(histogram(values), np.array([0.5, 0.9, 0.99]))
    assert found == pytest.approx(np.quantile(values, [0.5, 0.9, 0.99]), rel=0.02)


def test_quantile_draws_vary_as_resampled_requests_do() -> None:
    """The Beta shortcut against the long way."""
    values = np.exp(np.random.default_rng(1).normal(3, 0.3, 500))
    draws = np.random.default_rng(2)
    long_way = [np.quantile(draws.choice(values, 500), 0.9) for _ in range(2000)]
    short_cut = quantile_draws(np.random.default_rng(3), histogram(values), 0.9)
    assert np.mean(short_cut) == pytest.approx(np.mean(long_way), rel=0.02)
    assert np.std(short_cut) == pytest.approx(np.std(long_way), rel=0.25)


def test_quantile_interval_of_two_runs_holds_the_true_ratio() -> None:
    """19 times in 20, so at least 9 in 10 of seeded trials."""
    draws, held = np.random.default_rng(4), 0
    for _ in range(TRIALS):
        base, other = np.exp(draws.normal(3, 0.3, (2, 2000)))
        found = quantile_interval(histogram(base), histogram(other * 1.2), 0.99)
        assert found is not None
        held += found.low <= 1.2 <= found.high
    assert held / TRIALS >= 0.9


def test_quantile_interval_of_fewer_independent_requests_is_wider() -> None:
    """Requests that are slow together tell less."""
    values = np.exp(np.random.default_rng(1).normal(3, 0.3, 4000))
    many = quantile_interval(histogram(values), histogram(values), 0.5)
    few = quantile_interval(histogram(values, 40), histogram(values, 40), 0.5)
    assert many is not None
    assert few is not None
    assert few.high - few.low > 5 * (many.high - many.low)


@pytest.mark.parametrize(("part", "least"), [(0.5, 6), (0.99, 368)])
def test_percentile_needs_requests_on_both_sides(part: float, least: int) -> None:
    """0.99^367 is above 2.5 %: so few requests may all lie below their 99th percentile."""
    assert has_tails(least, part)
    assert not has_tails(least - 1, part)


def test_design_effect_of_independent_windows_is_small_and_of_drifting_ones_large() -> None:
    """Windows that differ by a half when chance gives a part in fifty are no independent requests."""
    draws = np.random.default_rng(1)
    values = np.exp(draws.normal(3, 0.3, 8000))
    steady = [float(np.quantile(part, 0.9)) for part in values.reshape(8, 1000)]
    drifting = [ms * (1 + 0.5 * (number % 2)) for number, ms in enumerate(steady)]
    assert design_effect(histogram(values), 0.9, steady, 1000) < 4
    assert design_effect(histogram(values), 0.9, drifting, 1000) > 50
