"""The most that holds."""

from __future__ import annotations

import pytest

from livegate_bench.measure.search import highest_number, highest_rate


@pytest.mark.parametrize("capacity", [0, 1, 2, 3, 7, 8, 9, 31, 63, 64, 100])
def test_number_of_a_known_capacity_is_found(capacity: int) -> None:
    """Each number is tried once at most, and few of them."""
    tried: list[int] = []

    def holds(number: int) -> bool:
        tried.append(number)
        return number <= capacity

    assert highest_number(holds, most=64) == min(capacity, 64)
    assert len(tried) == len(set(tried)) <= 13


def test_number_of_a_moody_machine_is_one_that_held() -> None:
    """What it holds at is not monotone: the search ends all the same."""
    found = highest_number(lambda number: number % 3 != 0, most=64)
    assert found % 3 != 0


@pytest.mark.parametrize("capacity", [0.4, 5.0, 93.0, 100.0, 1234.5])
def test_rate_of_a_known_capacity_is_found(capacity: float) -> None:
    """From a guess that is far too high or far too low."""
    found = highest_rate(lambda rate: rate <= capacity, guess=100.0, part=0.02, trials=40)
    assert capacity / 1.021 <= found <= capacity


def test_rate_of_a_system_that_never_holds_is_zero() -> None:
    """After as many trials as were allowed."""
    tried: list[float] = []
    assert highest_rate(lambda rate: bool(tried.append(rate)), guess=8, part=0.02, trials=6) == 0
    assert tried == [8, 4, 2, 1, 0.5, 0.25]


def test_rate_of_a_system_that_always_holds_ends() -> None:
    """Doubling has an end, too."""
    assert highest_rate(lambda _: True, guess=1, part=0.02, trials=5) == 16


def test_rate_of_a_moody_machine_ends_with_one_that_held() -> None:
    """It holds by turns, whatever is asked."""
    held: list[float] = []

    def holds(rate: float) -> bool:
        if len(held) % 2:
            held.append(0)
            return False
        held.append(rate)
        return True

    assert highest_rate(holds, guess=10, part=0.02, trials=20) in held
