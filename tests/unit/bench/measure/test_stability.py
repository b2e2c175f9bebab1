"""When a row stood still."""

from __future__ import annotations

import pytest

from livegate_bench.measure.stability import why_unstable
from livegate_bench.rows import Window

RATE = "the rate of the last 3 windows differs by a factor of "
LATENCY = "the latency of the last 3 windows differs by a factor of "


def window(rate: float, latency_ms: float | None = 5.0) -> Window:
    return Window(
        seconds=1, requests=1, rate_per_s=rate, latency_ms=latency_ms, core_ms_per_request=None
    )


def test_three_windows_within_a_tenth_are_stable() -> None:
    """What was before does not count; 10 % itself is within."""
    windows = [window(500), window(100, 5.0), window(110, 5.5), window(105, 5.2)]
    assert why_unstable(windows) == ""


def test_windows_without_any_latency_are_judged_by_rate() -> None:
    """Where no latency can be seen from outside."""
    assert why_unstable([window(100, None)] * 3) == ""


@pytest.mark.parametrize(
    ("windows", "why"),
    [
        ([window(100)] * 2, "2 windows, 3 are needed"),
        ([window(100), window(111), window(105)], RATE + "1.11"),
        ([window(100, 5), window(100, 6), window(100, 5)], LATENCY + "1.20"),
        ([window(0, 5), window(100, 5), window(100, 5)], RATE + "inf"),
        ([window(100, None), window(100, 5), window(100, 5)], "a window without a latency"),
    ],
)
def test_windows_that_differ_say_where(windows: list[Window], why: str) -> None:
    """In words that stand in the report."""
    assert why_unstable(windows) == why


def test_windows_in_which_nothing_was_answered_are_not_stable() -> None:
    """They agree, and tell of nothing."""
    window = Window(seconds=1, requests=0, rate_per_s=0.0, latency_ms=None, core_ms_per_request=None)
    assert why_unstable([window] * 3) == "nothing was answered"
