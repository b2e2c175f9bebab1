"""Pauses between tries, and when to give up."""

from __future__ import annotations

from livegate.app.backoff import Backoff, CrashCount


def test_backoff_doubles_up_to_its_limit_and_begins_anew() -> None:
    """0.5 s, 1, 2, 4, then the limit; short again after a success."""
    backoff = Backoff(3.0, chance=lambda: 1.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5
    for _ in range(2000):
        assert backoff.next_s() <= 3.0


def test_backoff_is_cut_by_chance_to_no_less_than_half() -> None:
    """Between half of the pause and all of it."""
    chances = iter((0.0, 0.5, 1.0))
    backoff = Backoff(0.5, chance=lambda: next(chances))
    assert [backoff.next_s() for _ in range(3)] == [0.25, 0.375, 0.5]


def test_crash_count_is_too_many_within_the_window_only() -> None:
    """The limit-th within the window; those before it are forgotten."""
    crashes = CrashCount(3, 10.0)
    assert [crashes.add(now_s) for now_s in (0.0, 5.0, 10.1, 15.0, 40.0, 41.0, 42.0)] == [
        *(False, False, False, True, False, False, True)
    ]
