"""When requests are due."""

from __future__ import annotations

import numpy as np
import pytest

from livegate_bench.generator.schedule import constant, poisson


def test_constant_schedule_is_even() -> None:
    """One every 1 / rate, beginning at once."""
    assert constant(4.0, 1.0).tolist() == [0.0, 0.25, 0.5, 0.75]


def test_poisson_schedule_is_that_of_its_seed() -> None:
    """The same seed draws the same, another another."""
    assert np.array_equal(poisson(50, 2, seed=3), poisson(50, 2, seed=3))
    assert not np.array_equal(poisson(50, 2, seed=3), poisson(50, 2, seed=4))


def test_poisson_schedule_has_exponential_pauses_of_the_asked_mean() -> None:
    """Mean and deviation of an exponential distribution are the same."""
    pauses = np.diff(poisson(100, 200, seed=5))
    assert len(pauses) == 19_999
    assert pauses.mean() == pytest.approx(0.01, rel=0.03)
    assert pauses.std() == pytest.approx(0.01, rel=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_poisson_schedule_of_few_requests_is_of_the_asked_rate(seed: int) -> None:
    """All of them within the time that so many take."""
    due = poisson(20, 4, seed=seed)
    assert len(due) == 80
    assert 0 <= due[0] < due[-1] <= 4


@pytest.mark.parametrize("schedule", [constant(0.1, 1.0), poisson(0.1, 1.0, 1)])
def test_schedule_has_one_request_at_least(schedule: np.ndarray) -> None:
    """Also where the rate would give none."""
    assert len(schedule) == 1
