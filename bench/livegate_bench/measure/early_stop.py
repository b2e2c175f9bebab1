"""How much a percentile of few requests says: MLPerf's early stopping.

Of n requests t took longer than a bound. If only a part p of all requests, ever, stayed within it, so
few overruns would come with the probability P(Binomial(n, 1 - p) <= t). Where that is at most 1 - c,
the bound holds for the p-th percentile with confidence c, whatever the distribution is.

Source: MLPerf Inference rules, appendix Early Stopping Criterion, with a tolerance of 0. LoadGen begins
at one overrun (64 requests for p90, 662 for p99); we begin at none (44 and 459).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from livegate_bench.rows import EarlyStop

CONFIDENCE = 0.99


def chance(requests: int, overruns: int, percentile: float) -> float:
    """P(Binomial(requests, 1 - percentile) <= overruns), summed exactly."""
    if overruns >= requests:
        return 1.0
    log_within, log_over = math.log(percentile), math.log1p(-percentile)
    over = np.arange(overruns, dtype=np.float64)
    # Each term from the one before it: a logarithm, because the first ones are too small for a float.
    grows = np.log((requests - over) / (over + 1)) + log_over - log_within
    terms = requests * log_within + np.concatenate([[0.0], np.cumsum(grows)])
    return float(np.exp(terms).sum())


def least_requests(percentile: float, overruns: int, confidence: float = CONFIDENCE) -> int:
    """The fewest requests that may have so many overruns."""
    too_few, enough = overruns, 2 * overruns + 1
    while chance(enough, overruns, percentile) > 1 - confidence:
        too_few, enough = enough, enough * 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if chance(middle, overruns, percentile) > 1 - confidence:
            too_few = middle
        else:
            enough = middle
    return enough


def most_overruns(requests: int, percentile: float, confidence: float = CONFIDENCE) -> int | None:
    """How many overruns so many requests may have; None when they are too few for any."""
    if requests == 0 or chance(requests, 0, percentile) > 1 - confidence:
        return None
    holds, fails = 0, math.ceil(requests * (1 - percentile)) + 1
    while fails - holds > 1:
        middle = (holds + fails) // 2
        if chance(requests, middle, percentile) > 1 - confidence:
            fails = middle
        else:
            holds = middle
    return holds


def early_stop(sorted_ms: Any, percentile: float) -> EarlyStop:
    """What the percentile is at most, from all latencies in rising order."""
    overruns = most_overruns(len(sorted_ms), percentile)
    return EarlyStop(
        percentile=percentile,
        confidence=CONFIDENCE,
        bound_ms=None if overruns is None else float(sorted_ms[len(sorted_ms) - 1 - overruns]),
        least_requests=least_requests(percentile, overruns or 0),
    )
