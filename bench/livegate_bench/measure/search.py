"""The most that still holds, by trying: doubled while it holds, then halved in between.

What is tried is a machine: it may hold at more than it failed at before. Each number is tried once, and
how often is bounded, so a search ends on anything; what it finds is then measured for itself.
"""

from __future__ import annotations

from collections.abc import Callable


def highest_number(holds: Callable[[int], bool], *, most: int) -> int:
    """The highest of 1..most that holds, if all below it do; 0 when 1 does not."""
    good, bad = 0, most + 1
    trial = 1
    while trial < bad and holds(trial):
        good, trial = trial, min(trial * 2, most)
        if good == most:
            return most
    bad = trial
    while bad - good > 1:
        middle = (good + bad) // 2
        if holds(middle):
            good = middle
        else:
            bad = middle
    return good


def highest_rate(holds: Callable[[float], bool], *, guess: float, part: float, trials: int) -> float:
    """The highest rate that holds, to within `part` of it; 0 when none of the trials did.

    Args:
        holds: whether a rate does.
        guess: where to begin.
        part: how near is near enough: 0.02 is 2 %.
        trials: how many at most.
    """
    good, bad, trial = 0.0, 0.0, guess
    for _ in range(trials):
        if holds(trial):
            good = trial
        else:
            bad = trial
        if not bad:
            trial = good * 2
        elif not good:
            trial = bad / 2
        elif bad <= good * (1 + part):
            break
        else:
            trial = (good * bad) ** 0.5
    return good
