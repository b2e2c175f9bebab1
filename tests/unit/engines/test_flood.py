"""How many may wait while more comes than can be done."""

from __future__ import annotations

import pytest

from livegate.engines.flood import FIRST_NS, LONGEST_NS, Flood

START_NS = 1_000 * LONGEST_NS


def test_flood_all_places_are_for_a_burst() -> None:
    """Nobody was refused yet."""
    assert [Flood(8).places(waiting, START_NS) for waiting in (0, 7, 8)] == [8, 8, 8]


def test_flood_after_a_refusal_half_of_the_places_hold_for_a_while() -> None:
    """Then all of them do, however many wait: it may have been a burst."""
    flood = Flood(8)
    flood.refused(START_NS)
    told = [flood.places(8, START_NS + after) for after in (0, FIRST_NS - 1, FIRST_NS)]
    assert told == [4, 4, 8]


def test_flood_refusals_in_it_do_not_make_it_longer() -> None:
    """Clients that try again at once cannot keep it up."""
    flood = Flood(8)
    flood.refused(START_NS)
    flood.refused(START_NS + FIRST_NS - 1)
    assert flood.places(8, START_NS + FIRST_NS) == 8


def test_flood_is_over_when_a_quarter_waits() -> None:
    """Before its time, too, and it stays over."""
    flood = Flood(8)
    flood.refused(START_NS)
    assert [flood.places(waiting, START_NS + 1) for waiting in (3, 2, 8)] == [4, 8, 8]


def test_flood_that_comes_back_lasts_twice_as_long_up_to_a_bound() -> None:
    """Each time that all places are filled again; one after a long calm is the first again."""
    flood, now_ns, lasted = Flood(8), START_NS, []
    for _ in range(7):
        flood.refused(now_ns)
        begun_ns = now_ns
        while flood.places(8, now_ns) == 4:
            now_ns += FIRST_NS
        lasted.append((now_ns - begun_ns) // FIRST_NS)
    assert lasted == [1, 2, 4, 8, 16, 16, 16]
    now_ns += LONGEST_NS + 1
    flood.refused(now_ns)
    assert flood.places(8, now_ns + FIRST_NS) == 8


@pytest.mark.parametrize(("capacity", "places"), [(1, 1), (2, 1), (3, 2)])
def test_flood_of_a_short_queue_leaves_a_place(capacity: int, places: int) -> None:
    """Half of one is one."""
    flood = Flood(capacity)
    flood.refused(START_NS)
    assert flood.places(capacity, START_NS) == places
