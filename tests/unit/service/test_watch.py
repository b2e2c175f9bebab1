"""A queue for one who watches: bounded, words last to go, OPEN never late."""

from __future__ import annotations

import pytest

from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import FrameAnswer, GateDecision, Reason
from livegate.service.watch import MAX_UNREAD, Watch
from support import FakeClock

MS = 1_000_000


def answer(number: int, gate: GateDecision | None = None) -> FrameAnswer:
    return FrameAnswer(number, 0, 0, gate=gate)


def taken(watch: Watch) -> list[int]:
    """Everything that waits."""
    numbers = []
    while (one := watch.take()) is not None:
        numbers.append(one.frame_id)
    return numbers


def test_watch_gives_answers_in_order_and_notifies() -> None:
    """One call of notify for each."""
    called: list[None] = []
    watch = Watch("door", lambda: called.append(None), 1000)
    for number in range(3):
        watch.put(answer(number))
    assert taken(watch) == [0, 1, 2]
    assert len(called) == 3
    assert watch.take() is None


def test_slow_reader_misses_the_oldest_but_no_word() -> None:
    """However many frames come."""
    watch = Watch("door", lambda: None, 1000)
    watch.put(answer(0, GateDecision.HOLD))
    watch.put(answer(1, GateDecision.DENY))
    for number in range(2, 100):
        watch.put(answer(number))
    kept = taken(watch)
    assert kept == [0, 1, *range(100 - MAX_UNREAD + 2, 100)]


def test_words_alone_are_bounded_too() -> None:
    """The oldest word goes when there is nothing else to give up."""
    watch = Watch("door", lambda: None, 1000)
    for number in range(100):
        watch.put(answer(number, GateDecision.HOLD))
    assert taken(watch) == list(range(100 - MAX_UNREAD, 100))


def test_open_that_waited_too_long_is_hold() -> None:
    """Old news lets nobody in; DENY stays what it is."""
    clock = FakeClock()
    watch = Watch("door", lambda: None, 1000, now_ns=clock)
    watch.put(answer(1, GateDecision.OPEN))
    watch.put(answer(2, GateDecision.DENY))
    clock.now_ns = 1001 * MS
    first, second = watch.take(), watch.take()
    assert first is not None
    assert (first.gate, first.reasons) == (GateDecision.HOLD, (Reason.STALE_FRAME,))
    assert second is not None
    assert second.gate is GateDecision.DENY


def test_open_that_is_read_in_time_is_open() -> None:
    """At the limit."""
    clock = FakeClock()
    watch = Watch("door", lambda: None, 1000, now_ns=clock)
    watch.put(answer(1, GateDecision.OPEN))
    clock.now_ns = 1000 * MS
    found = watch.take()
    assert found is not None
    assert found.gate is GateDecision.OPEN


def test_end_is_told_after_what_was_left() -> None:
    """The first reason counts."""
    watch = Watch("door", lambda: None, 1000)
    watch.put(answer(1))
    watch.end(LiveGateError(ErrorCode.EXIT, "removed"))
    watch.end(LiveGateError(ErrorCode.QUEUE_STOPED, "stopped"))
    assert watch.take() is not None
    with pytest.raises(LiveGateError) as caught:
        watch.take()
    assert caught.value.code is ErrorCode.EXIT
