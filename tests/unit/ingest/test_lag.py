"""How late a live camera's pictures come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.ingest.lag import Lag

MS = 1_000_000
START_NS = 10**13
UNTOLD = 3_600_000
"""The age of a picture whose age cannot be told."""
LEAD = 26
"""Pictures at 25 a second until the first whose age can be told, and that one."""


def ages_ms(*pictures: tuple[int | None, int]) -> list[int]:
    """How old each (stamp, arrival), both in ms, is when it arrives."""
    lag = Lag(15_000 * MS)
    made = []
    for pts_ms, read_ms in pictures:
        read_ns = START_NS + read_ms * MS
        captured_ns = lag.captured_ns(None if pts_ms is None else pts_ms * MS, read_ns)
        made.append(round((read_ns - captured_ns) / MS))
    return made


def ages_of_told_ms(*pictures: tuple[int | None, int]) -> list[int]:
    """`ages_ms` of pictures after a second of others, which came as they were taken."""
    begin_pts_ms, begin_read_ms = pictures[0]
    before = [((begin_pts_ms or 0) - 40 * n, begin_read_ms - 40 * n) for n in range(LEAD - 1, 0, -1)]
    return ages_ms(*before, *pictures)[LEAD - 1 :]


def test_pictures_that_come_as_they_are_taken_are_new_once_that_is_known() -> None:
    """Whatever the camera's clock says, and however long the way is."""
    ages = ages_ms(*((90_000 + 40 * n, 300 + 40 * n) for n in range(50)))
    assert ages == [UNTOLD] * (LEAD - 1) + [0] * (51 - LEAD)


@pytest.mark.parametrize("speed", [1.3, 1.4, 2, 40])
@pytest.mark.parametrize("stall_ms", [0, 100, 200, 700])
@pytest.mark.parametrize("kept", [50, 200])
def test_pictures_that_the_camera_had_kept_are_never_called_younger(
    kept: int, speed: float, stall_ms: int
) -> None:
    """Seconds of them, as fast as the link takes them, until it has caught up; in one go or two."""
    pictures, read_ms = [], 0.0
    for n in range(-kept, 1200):
        read_ms = max(read_ms + 40 / speed, 40 * n) + stall_ms * (n == -25)
        pictures.append((40 * n, round(read_ms)))
    ages = ages_ms(*pictures)
    late_ms = [read_ms - pts_ms for pts_ms, read_ms in pictures]
    assert all(age >= late - 50 for age, late in zip(ages, late_ms, strict=True))
    caught_up = next(n for n, late in enumerate(late_ms) if late < 20)
    assert max(ages[caught_up + LEAD + 1 :]) < 50


def test_pictures_that_come_unevenly_are_told_apart_from_kept_ones() -> None:
    """A radio link that gives three at a time, and a camera that is slow from the start."""
    in_threes = ages_ms(*((40 * n, 120 * (n // 3 + 1)) for n in range(60)))
    assert set(in_threes[30::3]) == {76}
    assert set(in_threes[32::3]) == {0}
    slowly = ages_ms(*((1000 * n, 1000 * n) for n in range(4)))
    assert slowly == [UNTOLD, 0, 0, 0]


def test_camera_whose_clock_is_fast_is_believed_in_the_end() -> None:
    """Nobody keeps ten seconds of pictures: a fifth too fast has gained them after forty."""
    ages = ages_ms(*((50 * n, 40 * n) for n in range(1050)))
    assert ages == [UNTOLD] * 1000 + [0] * 50


def test_age_that_cannot_be_told_is_none_of_now_also_after_a_start_of_the_box() -> None:
    """CLOCK_MONOTONIC begins there, and a capture at 0 would be taken for one of now."""
    lag = Lag(15_000 * MS)
    assert [lag.captured_ns(40 * n * MS, 40 * n * MS) for n in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("begin_ms", [0, 900_000])
def test_pictures_of_a_camera_that_counts_anew_are_told_anew(begin_ms: int) -> None:
    """A recorder keeps our connection while its camera connects again, and gives what that has kept.

    Captures rise, so they are as old as the last picture whose age could be told.
    """
    kept = [(begin_ms + 40 * n, 400 + n) for n in range(100)]
    assert ages_of_told_ms((500_000, 0), *kept) == [0, *range(400, 500)]


def test_picture_without_a_stamp_makes_no_other_one_young() -> None:
    """Captures rise, so what comes after it inherits its own."""
    kept = [(40 * n, 5 * n) for n in range(50)]
    assert set(ages_ms((None, 0), *kept)) == {UNTOLD}
    assert set(ages_ms(*kept[:10], (None, 48), *kept[10:])) == {UNTOLD}


def test_pictures_that_waited_on_the_way_are_as_old_as_they_are() -> None:
    """The link stands still for four seconds, then all comes at once; then it is as before."""
    before = [(40 * n, 40 * n) for n in range(25)]
    waited = [(1000 + 40 * n, 5000 + n) for n in range(100)]
    after = [(5000 + 40 * n, 5100 + 40 * n) for n in range(3)]
    ages = ages_of_told_ms(*before, *waited, *after)
    assert ages[:25] == [0] * 25
    assert 3850 < ages[25] < 4000
    assert ages[26:125] == sorted(ages[26:125], reverse=True)
    assert ages[124] < 150
    assert all(age < 110 for age in ages[125:])


def test_pictures_that_are_decoded_too_slowly_grow_old() -> None:
    """A starved process never catches up."""
    ages = ages_ms(*((40 * n, 50 * n) for n in range(200)))
    assert ages[-1] > 1000


@pytest.mark.parametrize("part", [0.98, 1.0, 1.02])
def test_camera_whose_clock_is_off_stays_young(part: float) -> None:
    """Some count frames in place of time."""
    assert max(ages_of_told_ms(*((round(40 * n * part), 40 * n) for n in range(5000)))) < 100


@pytest.mark.parametrize("again_ms", [0, 900_000])
def test_camera_that_counts_from_somewhere_else_is_told_anew(again_ms: int) -> None:
    """Back to nothing, or forward; a wait longer than any that is waited for is none."""
    before = [(500_000 + 40 * n, 40 * n) for n in range(10)]
    after = [(again_ms + 40 * n, 400 + 40 * n) for n in range(LEAD)]
    assert ages_of_told_ms(*before, *after) == [0] * 10 + [40 * n for n in range(1, LEAD)] + [0]
    assert ages_of_told_ms((0, 0), (40, 30_000), (80, 30_040)) == [0, 30_000, 30_040]


def test_pictures_without_a_stamp_are_as_old_as_their_arrival() -> None:
    """There is nothing else to go by."""
    assert ages_ms((None, 0), (None, 40), (None, 4000)) == [UNTOLD, UNTOLD, 0]
    assert ages_of_told_ms((0, 0), (None, 40), (80, 80)) == [0, 0, 0]


stamps = st.none() | st.integers(-(10**9), 10**9)


@given(st.lists(st.tuples(stamps, st.integers(0, 10**6)), min_size=1))
def test_any_stamps_give_captures_that_rise_and_are_past(steps: list[tuple[int | None, int]]) -> None:
    """Never in the future, never before the one before."""
    lag, read_ns, last_ns = Lag(15_000 * MS), START_NS, 0
    for pts_ms, step_ms in steps:
        read_ns += step_ms * MS
        captured_ns = lag.captured_ns(None if pts_ms is None else pts_ms * MS, read_ns)
        assert last_ns <= captured_ns <= read_ns
        last_ns = captured_ns
