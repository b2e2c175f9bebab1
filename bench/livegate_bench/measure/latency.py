"""Latencies as a row has them: percentiles of all of them, and a histogram on a fixed grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from livegate_bench.measure.early_stop import early_stop
from livegate_bench.rows import Latency

STEPS_A_DECADE = 20
"""Edges are powers of 10**(1/20), whatever was measured: histograms can be laid over each other."""
LEAST_MS = 1e-4


def percentile_of(rising: Sequence[float] | Any, part: float) -> float:
    """The least value that at least this part of all does not exceed."""
    return float(rising[max(0, math.ceil(len(rising) * part) - 1)])


def latency_from(latencies_s: Any, percentile: float) -> Latency | None:
    """All of it from seconds, (N,) float64; None of nothing.

    `percentile` is the one that early stopping speaks of.
    """
    if len(latencies_s) == 0:
        return None
    rising = np.sort(latencies_s) * 1e3
    edges, counts = histogram(rising)
    return Latency(
        count=len(rising),
        mean_ms=float(rising.mean()),
        min_ms=float(rising[0]),
        p50_ms=percentile_of(rising, 0.5),
        p90_ms=percentile_of(rising, 0.9),
        p95_ms=percentile_of(rising, 0.95),
        p99_ms=percentile_of(rising, 0.99),
        p99_9_ms=percentile_of(rising, 0.999),
        max_ms=float(rising[-1]),
        edges_ms=edges,
        counts=counts,
        early_stop=early_stop(rising, percentile),
    )


def histogram(rising_ms: Any) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges and the counts between them, from the edge below the least to the one above the greatest."""
    bounded = np.maximum(rising_ms, LEAST_MS)
    first = math.floor(_step(bounded[0]))
    last = max(first + 1, math.floor(_step(bounded[-1])) + 1)
    edges = 10.0 ** (np.arange(first, last + 1) / STEPS_A_DECADE)
    # Rounding may put a value a hair outside of the edges that were made from it.
    found = np.clip(np.searchsorted(edges, bounded, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(found, minlength=len(edges) - 1)
    return tuple(map(float, edges)), tuple(map(int, counts))


def _step(value_ms: float) -> float:
    return math.log10(value_ms) * STEPS_A_DECADE
