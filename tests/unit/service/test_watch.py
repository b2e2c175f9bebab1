"""A queue for one who watches: bounded, words last to go, OPEN never late."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from challenge_kit import FakeLive
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


def test_nothing_follows_the_last_answer() -> None:
    """A frame that was judged meanwhile comes too late; so does a second end."""
    watch = Watch("door", lambda: None, 1000)
    watch.put(answer(0))
    watch.end(LiveGateError(ErrorCode.EXIT, "over"), answer(1))
    watch.put(answer(2, GateDecision.OPEN))
    watch.end(LiveGateError(ErrorCode.EXIT, "again"), answer(3))
    assert [watch.take(), watch.take()] == [answer(0), answer(1)]
    with pytest.raises(LiveGateError, match="over"):
        watch.take()


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


# --- challenges ---------------------------------------------------------------------------------


def watching(live: FakeLive | None) -> Watch:
    return Watch("door", lambda: None, 1000, live)  # type: ignore[arg-type]


def test_watcher_who_answers_hears_the_challenge_in_the_gates_place() -> None:
    """The gate's OPEN is for others; an error stays one, and opens nothing."""
    live = FakeLive()
    watch = watching(live)
    watch.put(replace(answer(1, GateDecision.OPEN), news=live.prompt(GateDecision.HOLD)))
    watch.put(answer(2, GateDecision.OPEN))
    failed = LiveGateError(ErrorCode.DECODE_FAIL, "x")
    watch.put(replace(answer(3, GateDecision.HOLD), error=failed, reasons=(Reason.FAILURE,)))
    told = [watch.take() for _ in range(3)]
    assert [one.gate for one in told if one] == [GateDecision.HOLD, None, None]
    assert [one.reasons for one in told if one] == [
        (Reason.CHALLENGE_OPEN,),
        (Reason.CHALLENGE_OPEN,),
        (Reason.FAILURE,),
    ]
    assert [bool(one.news and one.news.prompt) for one in told if one] == [True, False, False]


def test_news_of_one_challenge_reach_neither_other_watchers_nor_another_challenge() -> None:
    """A prompt is for one person, and OPEN even more so."""
    mine, plain, other = watching(FakeLive("a")), watching(None), watching(FakeLive("b"))
    frame = replace(answer(1, GateDecision.DENY), news=FakeLive("a").prompt(GateDecision.OPEN))
    for watch in (mine, plain, other):
        watch.put(frame)
    assert (one := mine.take())
    assert one.gate is GateDecision.OPEN
    assert (one := plain.take())
    assert (one.gate, one.news) == (GateDecision.DENY, None)
    assert (one := other.take())
    assert one.gate is None
    assert one.news == FakeLive("b").silence


def test_prompts_are_kept_as_words_are() -> None:
    """A kiosk that was busy for a second still hears what it must show."""
    live = FakeLive()
    watch = watching(live)
    watch.put(replace(answer(0), news=live.prompt()))
    for number in range(1, 100):
        watch.put(answer(number))
    assert taken(watch)[0] == 0


def test_open_of_a_challenge_that_nobody_reads_in_time_is_hold() -> None:
    """As the gate's own."""
    clock, live = FakeClock(), FakeLive()
    watch = Watch("door", lambda: None, 1000, live, now_ns=clock)  # type: ignore[arg-type]
    watch.put(replace(answer(1), news=live.prompt(GateDecision.OPEN)))
    clock.now_ns += 1001 * MS
    assert (one := watch.take())
    assert one.gate is GateDecision.HOLD


def test_deadline_is_told_without_a_frame() -> None:
    """Once, and only to who answers."""
    live = FakeLive()
    watch = watching(live)
    assert watch.left_s == 9.0
    watch.expire()
    assert watch.take() is None
    live.ends = live.prompt(GateDecision.DENY)
    watch.expire()
    assert (one := watch.take())
    assert (one.frame_id, one.gate) == (0, GateDecision.DENY)
    nobody = watching(None)
    nobody.expire()
    assert (nobody.left_s, nobody.take()) == (None, None)
