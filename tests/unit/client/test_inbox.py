"""The state of streams and watches, step by step, without threads and without waiting."""

from __future__ import annotations

from typing import TypeVar

import pytest

from frame_queue_kit import refused
from livegate.client.answers import ChallengeResult, Prompt, StreamAnswer
from livegate.client.inbox import MAX_WORDS, FrameInbox, Inbox, NewestInbox, Steps
from livegate.core.challenge import PromptKind
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import GateDecision

T = TypeVar("T")
LOST = LiveGateError(ErrorCode.CONNECTION_FAILURE, "the box is gone")


class Seconds:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def answer(number: int, gate: GateDecision | None = None) -> StreamAnswer:
    return StreamAnswer(number, 0, 0, gate=gate)


def now(steps: Steps[T]) -> T:
    """What steps return that need not wait."""
    with pytest.raises(StopIteration) as done:
        next(steps)
    return done.value.value


def late(steps: Steps[T]) -> None:
    """Let the steps wait until they give up."""
    next(steps)
    steps.send(False)


def frames(max_unanswered: int = 2, clock: Seconds | None = None) -> FrameInbox:
    """A stream whose opening has gone out."""
    inbox = FrameInbox(b"open", max_unanswered, clock or Seconds())
    assert now(inbox.next_request()) == b"open"
    return inbox


def test_frames_go_out_and_answers_come_back_in_order() -> None:
    """First in, first out, both ways."""
    inbox = frames()
    now(inbox.send(b"1", 1))
    now(inbox.send(b"2", 1))
    assert [now(inbox.next_request()) for _ in range(2)] == [b"1", b"2"]
    inbox.put(answer(1))
    inbox.put(answer(2))
    assert [now(inbox.receive(1)).frame_id for _ in range(2)] == [1, 2]
    assert inbox.unanswered == 0


def test_stream_with_room_for_no_frame_is_refused() -> None:
    """It would time out with the first one."""
    with refused(ErrorCode.PARAM_FAILURE):
        FrameInbox(b"open", 0)


def test_send_waits_for_an_answer_to_be_taken() -> None:
    """An answer that came makes no room yet: it would pile up here instead."""
    inbox = frames(max_unanswered=1)
    now(inbox.send(b"1", 1))
    waiting = inbox.send(b"2", 5)
    assert next(waiting) == 5
    inbox.put(answer(1))
    assert waiting.send(True) == 5
    assert now(inbox.receive(1)).frame_id == 1
    with pytest.raises(StopIteration):
        waiting.send(True)
    assert inbox.unanswered == 1


def test_send_gives_up_in_time_and_the_frame_is_not_sent() -> None:
    """Changes of something else do not make the wait longer."""
    clock = Seconds()
    inbox = frames(max_unanswered=1, clock=clock)
    now(inbox.send(b"1", 1))
    waiting = inbox.send(b"2", 5)
    assert next(waiting) == 5
    clock.now_s = 4
    assert waiting.send(True) == 1
    clock.now_s = 5
    with refused(ErrorCode.TIMEOUT):
        waiting.send(True)
    with refused(ErrorCode.TIMEOUT):
        late(inbox.send(b"3", 5))
    assert inbox.unanswered == 1


def test_timeout_says_when_the_caller_does_not_take_its_answers() -> None:
    """The usual mistake is to send and send in one thread."""
    inbox = frames(max_unanswered=1)
    now(inbox.send(b"1", 1))
    inbox.put(answer(1))
    with refused(ErrorCode.TIMEOUT) as caught:
        late(inbox.send(b"2", 1))
    assert "take the answers" in caught.value.hint


def test_receive_waits_for_ever_only_while_nothing_is_owed() -> None:
    """Silence is a failure once a frame is under way."""
    inbox = frames()
    waiting = inbox.receive(7)
    assert next(waiting) is None
    now(inbox.send(b"1", 1))
    assert waiting.send(True) == 7
    with refused(ErrorCode.TIMEOUT):
        waiting.send(False)


def test_finished_stream_owes_its_end() -> None:
    """After `finish` a box that does not end the stream is not waited for for ever."""
    inbox = frames()
    inbox.finish()
    assert now(inbox.next_request()) is None
    assert next(inbox.receive(7)) == 7
    with refused(ErrorCode.CONNECTION_CLOSE):
        next(inbox.send(b"1", 1))


def test_answers_before_the_end_are_still_told() -> None:
    """What came is worth having; then comes the error, each time it is asked for."""
    inbox = frames()
    now(inbox.send(b"1", 1))
    inbox.put(answer(1))
    inbox.over(LOST)
    assert now(inbox.receive(1)).frame_id == 1
    for steps in (inbox.receive(1), inbox.receive(1), inbox.send(b"2", 1)):
        with refused(ErrorCode.CONNECTION_FAILURE):
            next(steps)


def test_end_in_good_order_is_none_and_nothing_goes_out() -> None:
    """Frames that had not gone out are forgotten; the first end counts."""
    inbox = frames()
    now(inbox.send(b"1", 1))
    inbox.over(None)
    inbox.over(LOST)
    assert now(inbox.next_request()) is None
    assert now(inbox.receive(1)) is None
    with refused(ErrorCode.CONNECTION_CLOSE):
        next(inbox.send(b"2", 1))


def test_box_that_hangs_up_is_right_only_when_all_is_said() -> None:
    """The end is in good order after `finish` and the last answer; else it is an error."""
    inbox = frames()
    now(inbox.send(b"1", 1))
    inbox.put(answer(1))
    inbox.finish()
    inbox.hung_up()
    assert now(inbox.receive(1)).frame_id == 1
    assert now(inbox.receive(1)) is None
    for early in (frames(), NewestInbox(Seconds())):
        early.hung_up()
        with refused(ErrorCode.CONNECTION_CLOSE):
            next(early.receive(1))


def test_answer_to_no_frame_is_refused() -> None:
    """A box that talks too much cannot make a client grow."""
    inbox = frames()
    now(inbox.send(b"1", 1))
    inbox.put(answer(1))
    with refused(ErrorCode.INVALID_PARAM):
        inbox.put(answer(2))


def test_ask_gets_the_answer_to_its_own_frame() -> None:
    """With other frames under way it could not know which is its own: it refuses."""
    inbox = frames()
    asking = inbox.ask(b"1", 3)
    assert next(asking) == 3
    inbox.put(answer(1))
    with pytest.raises(StopIteration) as done:
        asking.send(True)
    assert done.value.value.frame_id == 1
    now(inbox.send(b"2", 1))
    with refused(ErrorCode.BUSY):
        next(inbox.ask(b"3", 1))


def test_ask_of_a_stream_that_ends_is_an_error() -> None:
    """Never None in the place of an answer."""
    inbox = frames()
    asking = inbox.ask(b"1", 3)
    next(asking)
    inbox.over(None)
    with refused(ErrorCode.CONNECTION_CLOSE):
        asking.send(True)


def test_next_request_wakes_at_the_end() -> None:
    """Whoever writes does not wait for ever on a stream that is over."""
    inbox = frames()
    writing = inbox.next_request()
    assert next(writing) is None
    inbox.over(LOST)
    with pytest.raises(StopIteration):
        writing.send(True)


def test_every_change_wakes_whoever_waits() -> None:
    """A frame that is asked about, too: the writer must hear of it before the answer is waited for."""
    woken: list[None] = []
    inbox = frames(max_unanswered=1)
    inbox.on_change = lambda: woken.append(None)
    next(inbox.ask(b"1", 1))
    assert len(woken) == 1
    inbox.put(answer(1))
    assert len(woken) == 2
    now(inbox.receive(1))
    assert len(woken) == 3
    inbox.finish()
    assert len(woken) == 4
    inbox.over(None)
    inbox.over(None)
    assert len(woken) == 5


def taken(inbox: Inbox) -> list[tuple[int, GateDecision | None]]:
    inbox.over(None)
    found = iter(lambda: now(inbox.receive(1)), None)
    return [(one.frame_id, one.gate) for one in found if one is not None]


def test_slow_watcher_gets_the_newest_and_every_word() -> None:
    """Answers without a word make room for the next one."""
    inbox = NewestInbox(Seconds())
    for number in range(100):
        words = {10: GateDecision.HOLD, 50: GateDecision.DENY}
        inbox.put(answer(number, words.get(number)))
    assert taken(inbox) == [(10, GateDecision.HOLD), (50, GateDecision.DENY), (99, None)]


def test_slow_watcher_gets_every_prompt_and_the_end_of_a_challenge() -> None:
    """What a person must be told is not made room of."""
    inbox = NewestInbox(Seconds())
    prompt = Prompt(PromptKind.LOOK_STRAIGHT, None, 0, 1, 1, {})
    end = ChallengeResult(True, (), (), (), None, b"", None, 0, 0, 0)
    for number in range(100):
        word = {10: {"prompt": prompt}, 50: {"challenge": end}}.get(number, {})
        inbox.put(StreamAnswer(number, 0, 0, **word))  # type: ignore[arg-type]
    assert [number for number, _ in taken(inbox)] == [10, 50, 99]


def test_newest_error_is_told_before_the_newest_answer() -> None:
    """Why a camera was away is not lost to the frame after it, and errors do not pile up either."""
    inbox = NewestInbox(Seconds())
    for number in range(0, 100, 2):
        inbox.put(StreamAnswer(number, 0, 0, error=LOST))
        inbox.put(answer(number + 1))
    assert taken(inbox) == [(98, None), (99, None)]


@pytest.mark.parametrize(("waited_s", "gate"), [(1.0, GateDecision.OPEN), (1.01, GateDecision.HOLD)])
def test_open_that_waited_too_long_opens_nothing(waited_s: float, gate: GateDecision) -> None:
    """Whoever was meant has gone on; the other words stay."""
    clock = Seconds()
    inbox = NewestInbox(clock)
    inbox.put(answer(1, GateDecision.OPEN))
    inbox.put(answer(2, GateDecision.DENY))
    clock.now_s += waited_s
    first = now(inbox.receive(1))
    assert first.gate is gate
    assert first.reasons == (() if gate is GateDecision.OPEN else ("STALE_FRAME",))
    assert taken(inbox) == [(2, GateDecision.DENY)]


def test_watcher_that_never_takes_does_not_grow() -> None:
    """There is a limit for words, too; the oldest goes."""
    inbox = NewestInbox(Seconds())
    for number in range(MAX_WORDS + 5):
        inbox.put(answer(number, GateDecision.HOLD))
    found = taken(inbox)
    assert len(found) == MAX_WORDS
    assert found[-1] == (MAX_WORDS + 4, GateDecision.HOLD)


def test_open_of_a_stream_that_waited_too_long_opens_nothing() -> None:
    """One thread sends and goes on, the one that takes stood still: as in a watch."""
    clock = Seconds()
    inbox = frames(clock=clock)
    now(inbox.send(b"1", 1))
    inbox.put(answer(1, GateDecision.OPEN))
    clock.now_s += 1.01
    found = now(inbox.receive(1))
    assert (found.gate, found.reasons) == (GateDecision.HOLD, ("STALE_FRAME",))
    assert inbox.unanswered == 0


def test_silent_watch_waits_as_long_as_it_is_told() -> None:
    """None is for ever."""
    assert next(NewestInbox(Seconds()).receive(None)) is None
    with refused(ErrorCode.TIMEOUT):
        late(NewestInbox(Seconds()).receive(3))
