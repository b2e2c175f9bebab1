"""How sure a ratio is: bootstrap intervals with a fixed seed, of windows or of a latency histogram.

Source: Efron, Tibshirani, An Introduction to the Bootstrap (1993), for the percentile interval;
Hesterberg, What Teachers Should Know About the Bootstrap (2014), for its widening at small counts;
Kish, Survey Sampling (1965), for the design effect. Windows of one run tell nothing of how runs differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

CONFIDENCE = 0.95
LEAST_CONFIDENCE = 0.9
"""Of an interval that is told at all: three windows against three, or five pairs."""
LEAST_WINDOWS = 3
DRAWS = 10_000
SEED = 20
# Student's t, two-sided 95 %, for 1..30 degrees of freedom; beyond, the normal 1.96 is near enough.
STUDENT_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true ratio is, and how sure that is: 0.95, or less where there are few windows."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Latencies: the part `heights` (0..1, rising) of all is at most `knots_ms` (rising, above zero).

    `effective` is how many independent requests would vary as much as these.
    """

    knots_ms: Values
    heights: Values
    effective: float


def ratio_interval(base: Sequence[float], other: Sequence[float]) -> Interval | None:
    """Of median(other) / median(base), the windows of each drawn anew by themselves.

    None when there are too few windows, or one is not above zero.
    """
    least = min(len(base), len(other))
    sure = 1 - 2 / math.comb(len(base) + len(other), len(base)) if least >= LEAST_WINDOWS else 0.0
    if sure < LEAST_CONFIDENCE or min(*base, *other) <= 0:
        return None
    draws = np.random.default_rng(SEED)
    ratios = _medians(draws, other) / _medians(draws, base)
    return _interval(ratios, least, sure)


def paired_interval(base: Sequence[float], other: Sequence[float]) -> Interval | None:
    """Of the median of other/base window by window, the pairs drawn anew together."""
    if len(base) != len(other):
        raise ValueError(f"{len(base)} windows cannot be paired with {len(other)}")
    sure = 1 - 2.0 ** (1 - len(base)) if base else 0.0
    if sure < LEAST_CONFIDENCE or min(*base, *other) <= 0:
        return None
    ratios = [b / a for a, b in zip(base, other, strict=True)]
    return _interval(_medians(np.random.default_rng(SEED), ratios), len(base), sure)


def quantile_interval(base: Histogram, other: Histogram, part: float) -> Interval | None:
    """Of the ratio of one percentile (`part`: 0..1) of two histograms; None with too few requests."""
    if not (has_tails(base.effective, part) and has_tails(other.effective, part)):
        return None
    draws = np.random.default_rng(SEED)
    ratios = quantile_draws(draws, other, part) / quantile_draws(draws, base, part)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high), CONFIDENCE)


def has_tails(count: float, part: float) -> bool:
    """Whether so many requests lie on both sides of the percentile but once in 40 times."""
    return float(max(part, 1 - part) ** count) <= (1 - CONFIDENCE) / 2


def quantile_draws(draws: np.random.Generator, found: Histogram, part: float) -> Values:
    """The percentile of resampled requests, without resampling them.

    The rank of an order statistic of n draws is Beta(k, n + 1 - k) in the whole they are drawn from.
    """
    rank = part * (found.effective + 1)
    rank = min(max(rank, 0.5), found.effective + 0.5)
    return quantiles(found, draws.beta(rank, found.effective + 1 - rank, DRAWS))


def quantiles(found: Histogram, parts: Values) -> Values:
    """Percentiles (0..1); between the knots straight in the logarithm."""
    return np.asarray(np.exp(np.interp(parts, found.heights, np.log(found.knots_ms))))


def design_effect(found: Histogram, part: float, windows: Sequence[float], requests: float) -> float:
    """How many times more a percentile varies from window to window than chance alone would have it.

    `windows` hold that percentile in ms, each of about `requests`. At least 1.
    """
    alone = replace(found, effective=requests)
    by_chance = np.var(np.log(quantile_draws(np.random.default_rng(SEED), alone, part)))
    seen = np.var(np.log(windows), ddof=1)
    return max(1.0, float(seen / by_chance)) if by_chance > 0 else 1.0


def _medians(draws: np.random.Generator, values: Sequence[float]) -> Values:
    picked = draws.integers(0, len(values), (DRAWS, len(values)))
    return np.asarray(np.median(np.asarray(values, np.float64)[picked], axis=1))


def _interval(ratios: Values, count: int, sure: float) -> Interval:
    tail = _tail(count)
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Interval(float(low), float(high), min(CONFIDENCE, sure))


def _tail(count: int) -> float:
    """What to cut off on each side: 2.5 %, less for few windows, whose bootstrap is too narrow."""
    student = STUDENT_T[count - 2] if count - 2 < len(STUDENT_T) else 1.96
    return 0.5 * math.erfc(student * math.sqrt(count / (count - 1) / 2))
