"""Scales: round ticks, and no value that breaks them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate_bench.report.axes import linear, log_ticks, logarithmic, nice_step, tick_word


@pytest.mark.parametrize(("least", "step"), [(0.3, 0.5), (1, 1), (1.2, 2), (6, 10), (0.07, 0.1)])
def test_nice_step_is_the_next_of_1_2_5(least: float, step: float) -> None:
    """Heckbert's numbers."""
    assert nice_step(least) == pytest.approx(step)


def test_linear_scale_begins_at_zero_and_ends_above_all() -> None:
    """A bar's length is its value."""
    scale = linear([3, 97], 0, 100)
    assert (scale.low, scale.high) == (0, 100)
    assert scale.ticks() == [0, 20, 40, 60, 80, 100]
    assert scale.at(50) == 50


def test_log_ticks_are_1_2_5_or_powers_where_the_range_is_wide() -> None:
    """Not more than people read."""
    assert [tick for tick in log_ticks(10, 100) if tick <= 100] == [10, 20, 50, 100]
    assert all(math.log10(tick) == round(math.log10(tick)) for tick in log_ticks(1e-6, 1e9))


@given(st.lists(st.floats(), max_size=5), st.sampled_from([linear, logarithmic]))
def test_scale_of_any_values_keeps_them_inside_and_has_ticks(values: list[float], make: object) -> None:
    """Zeros, infinities, NaN, the smallest and the largest."""
    scale = make(values, 0.0, 100.0)  # type: ignore[operator]
    assert 1 <= len(scale.ticks()) <= 20
    for value in [value for value in values if math.isfinite(value)]:
        assert -1e-6 <= scale.at(value) <= 100 + 1e-6


@pytest.mark.parametrize(("value", "word"), [(0, "0"), (0.05, "0.05"), (20000, "20k"), (3e7, "3e+07")])
def test_tick_word_is_short(value: float, word: str) -> None:
    """It stands below a tick."""
    assert tick_word(value) == word
