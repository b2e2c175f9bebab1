"""Counting later what was written down now."""

from __future__ import annotations

import threading

from livegate.core.ledger import MOST, Ledger


def test_ledger_counts_in_order_when_asked() -> None:
    """Nothing is counted before, and nothing twice."""
    counted: list[int] = []
    ledger = Ledger(counted.append)
    for number in range(3):
        ledger.note(number)
    assert counted == []
    ledger.settle()
    ledger.settle()
    assert counted == [0, 1, 2]


def test_ledger_nobody_asks_counts_before_it_grows() -> None:
    """A box that nobody scrapes must not keep a note of each frame."""
    counted: list[int] = []
    ledger = Ledger(counted.append)
    for number in range(10 * MOST + 1):
        ledger.note(number)
    assert counted == list(range(10 * MOST))


def test_ledger_settled_holds_what_comes_meanwhile() -> None:
    """Who reads sees one state; what is written during that is counted at the next time."""
    counted: list[int] = []
    ledger = Ledger(counted.append)
    ledger.note(1)
    with ledger.settled():
        other = threading.Thread(target=ledger.note, args=(2,))
        other.start()
        other.join()
        assert counted == [1]
    ledger.settle()
    assert counted == [1, 2]


def test_ledger_many_threads_lose_nothing() -> None:
    """Each note is counted once, whoever counts it, while somebody asks all the time."""
    seen: list[tuple[int, int]] = []
    ledger = Ledger(seen.append)

    def write(thread: int) -> None:
        for number in range(5000):
            ledger.note((thread, number))

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ledger.settle()
    for thread in threads:
        thread.join()
    ledger.settle()
    assert sorted(seen) == [(thread, number) for thread in range(4) for number in range(5000)]
    for thread in range(4):
        assert [number for who, number in seen if who == thread] == list(range(5000))
