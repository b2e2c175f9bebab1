"""Uploads in memory: who finds what, for how long, and how much of it there is."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from livegate.gateway.shelf import Shelf
from support import HANG_S


class Time:
    """Seconds that pass when told, and what was to be called later."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now_s

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.calls.append((self.now_s + delay_s, call))

    def pass_s(self, seconds: float) -> None:
        """Let time pass, and call what is due."""
        self.now_s += seconds
        due = [call for at_s, call in self.calls if at_s <= self.now_s]
        self.calls = [one for one in self.calls if one[0] > self.now_s]
        for call in due:
            call()


def shelf(max_bytes: int = 10, ttl_s: float = 60) -> tuple[Shelf, Time]:
    time = Time()
    return Shelf(max_bytes, ttl_s, now_s=time, later=time.later), time


def test_owner_finds_a_file_by_its_id() -> None:
    """And by no other id."""
    own, _ = shelf()
    name = own.put("me", b"file")
    assert own.get("me", name) == b"file"
    assert own.get("me", "other") is None


def test_somebody_elses_file_is_not_found() -> None:
    """An id that leaked opens nothing."""
    own, _ = shelf()
    assert own.get("you", own.put("me", b"file")) is None


def test_closed_shelf_gives_fresh_ids_and_keeps_nothing() -> None:
    """Off is the default: clients get an id all the same."""
    own, time = shelf(max_bytes=0)
    names = {own.put("me", content) for content in (b"", b"file", b"file")}
    assert len(names) == 3
    assert not own.is_open
    assert [own.get("me", name) for name in names] == [None] * 3
    assert own.used_bytes == 0
    assert time.calls == []


def test_file_is_gone_after_its_time_without_being_asked_for() -> None:
    """Nothing outlives its time because nobody asks any more."""
    own, time = shelf()
    first = own.put("me", b"one")
    time.pass_s(40)
    second = own.put("me", b"two")
    time.pass_s(20)
    assert own.used_bytes == 3
    assert own.get("me", first) is None
    assert own.get("me", second) == b"two"
    time.pass_s(40)
    assert own.used_bytes == 0
    assert time.calls == []


def test_expired_file_is_not_found_even_before_it_is_swept() -> None:
    """A late timer changes nothing."""
    own, time = shelf()
    name = own.put("me", b"one")
    time.now_s = 60
    assert own.get("me", name) is None


def test_oldest_makes_room() -> None:
    """Full is never an error."""
    own, _ = shelf(max_bytes=10)
    names = [own.put("me", bytes(4)) for _ in range(3)]
    assert [own.get("me", name) is not None for name in names] == [False, True, True]


def test_file_larger_than_the_shelf_displaces_nobody() -> None:
    """It is not kept, and what is there stays."""
    own, _ = shelf(max_bytes=10)
    kept, large = own.put("me", bytes(4)), own.put("me", bytes(11))
    assert own.get("me", kept) is not None
    assert own.get("me", large) is None


@given(st.lists(st.tuples(st.integers(0, 12), st.floats(0, 50)), max_size=30))
def test_bytes_kept_never_exceed_the_bound(steps: list[tuple[int, float]]) -> None:
    """Whatever comes, whenever."""
    own, time = shelf(max_bytes=20)
    for size, seconds in steps:
        own.put("me", bytes(size))
        assert 0 <= own.used_bytes <= 20
        time.pass_s(seconds)
    time.pass_s(61)
    assert own.used_bytes == 0


def test_default_timer_sweeps() -> None:
    """The real one, with no time to wait for."""
    before = set(threading.enumerate())
    own = Shelf(10, 1e-9)
    own.put("me", b"file")
    for thread in set(threading.enumerate()) - before:
        thread.join(HANG_S)
    assert own.used_bytes == 0
