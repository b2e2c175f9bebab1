"""How late a live camera's pictures come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.ingest.lag import Lag

MS = 1_000_000
START_NS = 10**12


def ages_ms(*pictures: tuple[int | None, int]) -> list[int]:
    """How old each (stamp, arrival), both in ms, is when it arrives."""
    lag = Lag(15_000 * MS)
    made = []
    for pts_ms, read_ms in pictures:
        read_ns = START_NS + read_ms * MS
        captured_ns = lag.captured_ns(None if pts_ms is None else pts_ms * MS, read_ns)
        made.append(round((read_ns - captured_ns) / MS))
    return made


def test_pictures_that_come_as_they_are_taken_are_new() -> None:
    """Whatever the camera's clock says, and however long the way is."""
    assert ages_ms(*((90_000 + 40 * n, 300 + 40 * n) for n in range(50))) == [0] * 50


def test_pictures_that_waited_on_the_way_are_as_old_as_they_are() -> None:
    """The link stands still for four seconds, then all comes at once; then it is as before."""
    before = [(40 * n, 40 * n) for n in range(25)]
    waited = [(1000 + 40 * n, 5000 + n) for n in range(100)]
    after = [(5000 + 40 * n, 5100 + 40 * n) for n in range(3)]
    ages = ages_ms(*before, *waited, *after)
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
    assert max(ages_ms(*((round(40 * n * part), 40 * n) for n in range(5000)))) < 100


@pytest.mark.parametrize("again_ms", [0, 900_000])
def test_camera_that_counts_from_somewhere_else_is_young_at_once(again_ms: int) -> None:
    """Back to nothing, or forward; a wait longer than any that is waited for is none."""
    before = [(500_000 + 40 * n, 40 * n) for n in range(10)]
    after = [(again_ms + 40 * n, 400 + 40 * n) for n in range(10)]
    assert ages_ms(*before, *after) == [0] * 20
    assert ages_ms((0, 0), (40, 30_000), (80, 30_040)) == [0, 0, 0]


def test_pictures_without_a_stamp_are_as_old_as_their_arrival() -> None:
    """There is nothing else to go by."""
    assert ages_ms((None, 0), (None, 40), (None, 4000)) == [0, 0, 0]
    assert ages_ms((0, 0), (None, 40), (80, 80)) == [0, 0, 0]


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
