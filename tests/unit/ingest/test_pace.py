"""When pictures of a file are due."""

from __future__ import annotations

from livegate.ingest.pace import MAX_LATE_S, MAX_STEP_MS, Pace


class Seconds:
    """A clock that passes when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def played(pace: Pace, clock: Seconds, stamps: list[int | None]) -> list[int]:
    """Play to the end, waiting as told; when each picture came, in ms since the clock's start."""
    times = []
    for pts_ms in stamps:
        clock.now_s += pace.wait_s(pts_ms)
        times.append(round((clock.now_s - 100.0) * 1000))
    return times


def test_pace_follows_the_stamps() -> None:
    """Pictures come as far from each other as their stamps are."""
    clock = Seconds()
    pace = Pace(clock)
    pace.begin(25)
    assert played(pace, clock, [5000, 5040, 5100, 5400]) == [0, 40, 100, 400]
    assert pace.played_ms == 400


def test_pace_goes_on_over_the_end_of_the_file() -> None:
    """The second round's first picture comes one picture's time after the last."""
    clock = Seconds()
    pace = Pace(clock)
    pace.begin(10)
    assert played(pace, clock, [0, 50]) == [0, 50]
    pace.begin(10)
    assert played(pace, clock, [0, 50]) == [150, 200]


def test_pace_mends_stamps_that_make_no_sense() -> None:
    """No stamp, a step back, a leap: one picture's time each."""
    clock = Seconds()
    pace = Pace(clock)
    pace.begin(10)
    stamps = [0, None, None, 40, 30, 30 + MAX_STEP_MS + 1, 30 + MAX_STEP_MS + 31]
    assert played(pace, clock, stamps) == [0, 100, 200, 300, 400, 500, 530]


def test_pace_that_was_held_up_does_not_rush() -> None:
    """After a long stop the rest comes in its own time; a short one is caught up with."""
    clock = Seconds()
    pace = Pace(clock)
    pace.begin(10)
    assert played(pace, clock, [0, 100]) == [0, 100]
    clock.now_s += 0.15
    assert played(pace, clock, [200, 300]) == [250, 300]
    clock.now_s += MAX_LATE_S + 0.2
    assert played(pace, clock, [400, 500]) == [1500, 1600]


def test_pace_of_a_rate_that_is_none_is_bounded() -> None:
    """A file may say any rate, or none."""
    for rate, step_ms in ((None, 40), (0.0, 40), (0.001, 1000), (90_000.0, 4)):
        clock = Seconds()
        pace = Pace(clock)
        pace.begin(rate)
        assert played(pace, clock, [None, None]) == [0, step_ms]
