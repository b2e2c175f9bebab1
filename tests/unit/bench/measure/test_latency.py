"""Percentiles and histograms."""

from __future__ import annotations

import numpy as np
import pytest

from livegate_bench.measure.latency import histogram, latency_from, percentile_of


def test_percentile_is_the_least_value_that_enough_do_not_exceed() -> None:
    """Nearest rank: of 1..100 the 99th percentile is 99."""
    values = list(range(1, 101))
    assert [percentile_of(values, part) for part in (0.01, 0.5, 0.9, 0.99, 0.999)] == [
        *(1, 50, 90, 99, 100)
    ]
    assert percentile_of([7.0], 0.5) == 7.0


def test_latency_is_in_milliseconds_with_every_count() -> None:
    """The counts of the histogram are those of all requests."""
    found = latency_from(np.array([0.004, 0.001, 0.002, 0.003]), 0.9)
    assert found is not None
    assert (found.count, found.min_ms, found.p50_ms, found.max_ms) == (4, 1.0, 2.0, 4.0)
    assert found.mean_ms == pytest.approx(2.5)
    assert sum(found.counts) == 4
    assert found.early_stop is not None
    assert found.early_stop.bound_ms is None


def test_latency_of_nothing_is_none() -> None:
    """Not zero."""
    assert latency_from(np.empty(0), 0.9) is None


@pytest.mark.parametrize("values", [[1.0], [0.001, 1.0, 1000.0], [10.0, 10.0], [0.0, 5.0]])
def test_histogram_holds_every_value_between_its_edges(values: list[float]) -> None:
    """Also values on an edge, and zero."""
    edges, counts = histogram(np.array(values))
    assert len(edges) == len(counts) + 1
    assert sum(counts) == len(values)
    assert edges[-1] > max(values)
    factors = np.divide(edges[1:], edges[:-1])
    assert np.allclose(factors, factors[0])
    assert counts[-1] > 0


def test_histograms_of_two_runs_share_their_edges() -> None:
    """The grid does not depend on what was measured."""
    first, _ = histogram(np.array([1.3, 20.0]))
    second, _ = histogram(np.array([2.9, 7.0]))
    assert set(second) <= set(first)
