"""What happens to frames that wait."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frame_queue_kit import ScriptedCondition, StillClock, refused
from livegate.core.errors import ErrorCode, QueueError
from livegate.shm.layout import DropReason
from livegate.shm.queue import FrameQueue, Policy

MAX_AGE_S = 1.0


@dataclass(frozen=True)
class Waiter:
    number: int
    captured_ns: int


class Desk:
    """A queue, its clock, its condition, and what it dropped."""

    def __init__(self, policy: Policy, capacity: int = 1, max_age_s: float | None = None) -> None:
        self.clock = StillClock()
        self.changed = ScriptedCondition(self.clock)
        self.dropped: list[tuple[int, DropReason]] = []
        self.queue: FrameQueue[Waiter] = FrameQueue(
            capacity,
            policy,
            max_age_ns=None if max_age_s is None else int(max_age_s * 1e9),
            now_ns=self.clock,
            changed=self.changed,
            on_drop=lambda frame, reason: self.dropped.append((frame.number, reason)),
        )

    def frame(self, number: int, *, age_s: float = 0.0) -> Waiter:
        return Waiter(number, self.clock() - int(age_s * 1e9))

    def push(self, number: int, *, timeout_s: float = 0.0) -> None:
        self.queue.push(self.frame(number), timeout_s=timeout_s)


def test_newest_wins_replaces_what_waits() -> None:
    """The oldest waiting frame gives way, and is told of."""
    desk = Desk(Policy.NEWEST_WINS, capacity=2)
    for number in range(5):
        desk.push(number)
    assert desk.dropped == [(n, DropReason.REPLACED) for n in (0, 1, 2)]
    assert [desk.queue.pop(timeout_s=0).number for _ in range(2)] == [3, 4]
    assert desk.queue.dropped == {DropReason.REPLACED: 3}


def test_newest_wins_never_touches_a_popped_frame() -> None:
    """Who is looked at is no longer in the queue."""
    desk = Desk(Policy.NEWEST_WINS)
    desk.push(0)
    assert desk.queue.pop(timeout_s=0).number == 0
    desk.push(1)
    assert desk.dropped == []


def test_reject_refuses_at_once() -> None:
    """5003 without a wait, and what waits stays."""
    desk = Desk(Policy.REJECT)
    desk.push(0)
    with refused(ErrorCode.QUEUE_FULL):
        desk.push(1, timeout_s=9)
    assert desk.changed.waits == []
    assert desk.queue.pop(timeout_s=0).number == 0
    assert desk.queue.dropped == {DropReason.REJECTED: 1}


def test_block_waits_until_the_deadline() -> None:
    """5003 after exactly the timeout."""
    desk = Desk(Policy.BLOCK)
    desk.push(0)
    with refused(ErrorCode.QUEUE_FULL):
        desk.push(1, timeout_s=0.25)
    assert desk.changed.waits == [pytest.approx(0.25)]


def test_block_takes_the_place_that_comes_free() -> None:
    """A pop wakes who waits."""
    desk = Desk(Policy.BLOCK)
    desk.push(0)
    desk.changed.then(lambda: desk.queue.pop(timeout_s=0))
    desk.push(1, timeout_s=9)
    assert desk.queue.pop(timeout_s=0).number == 1


def test_block_takes_the_place_of_a_frame_that_grew_old() -> None:
    """Age makes room under every policy."""
    desk = Desk(Policy.BLOCK, max_age_s=MAX_AGE_S)
    desk.push(0)
    desk.clock.pass_s(1.5)
    desk.push(1)
    assert desk.dropped == [(0, DropReason.EXPIRED)]


@pytest.mark.parametrize("policy", Policy)
def test_stopped_queue_refuses_every_call_with_frames_left(policy: Policy) -> None:
    """5002 is looked at before emptiness: what is left is dropped, not delivered."""
    desk = Desk(policy, capacity=2)
    desk.push(0)
    desk.queue.stop()
    with refused(ErrorCode.QUEUE_STOPED):
        desk.queue.pop(timeout_s=0)
    with refused(ErrorCode.QUEUE_STOPED):
        desk.queue.pop()
    with refused(ErrorCode.QUEUE_STOPED):
        desk.push(1)
    assert desk.dropped == [(0, DropReason.STOPPED)]


def test_stop_wakes_who_waits() -> None:
    """A blocked push and a blocked pop end with 5002."""
    desk = Desk(Policy.BLOCK)
    desk.push(0)
    desk.changed.then(desk.queue.stop)
    with refused(ErrorCode.QUEUE_STOPED):
        desk.push(1, timeout_s=9)
    empty = Desk(Policy.BLOCK)
    empty.changed.then(empty.queue.stop)
    with refused(ErrorCode.QUEUE_STOPED):
        empty.queue.pop()


@pytest.mark.parametrize("policy", Policy)
def test_pop_on_empty_ends_at_the_timeout(policy: Policy) -> None:
    """5001 after exactly the timeout."""
    desk = Desk(policy)
    with refused(ErrorCode.QUEUE_EMPTY):
        desk.queue.pop(timeout_s=0.5)
    assert desk.changed.waits == [pytest.approx(0.5)]


def test_pop_without_timeout_waits_for_a_frame() -> None:
    """It has no end but a frame or the stop."""
    desk = Desk(Policy.REJECT)
    desk.changed.then(lambda: None, lambda: desk.push(3))
    assert desk.queue.pop().number == 3
    assert desk.changed.waits == [None, None]


@pytest.mark.parametrize("policy", Policy)
def test_old_frame_is_not_given_out(policy: Policy) -> None:
    """A gate must not open on what was seen long ago; the age counts from the capture."""
    desk = Desk(policy, capacity=3, max_age_s=MAX_AGE_S)
    desk.queue.push(desk.frame(0, age_s=0.9))
    desk.queue.push(desk.frame(1, age_s=0.2))
    desk.clock.pass_s(0.2)
    assert desk.queue.pop(timeout_s=0).number == 1
    assert desk.dropped == [(0, DropReason.EXPIRED)]


def test_frame_exactly_at_the_maximum_age_is_given_out() -> None:
    """The border belongs to the young."""
    desk = Desk(Policy.REJECT, max_age_s=MAX_AGE_S)
    desk.push(0)
    desk.clock.pass_s(MAX_AGE_S)
    assert desk.queue.pop(timeout_s=0).number == 0


def test_old_frame_pushed_late_replaces_nobody() -> None:
    """A producer that stalled must not throw out a fresh frame with a stale one."""
    desk = Desk(Policy.NEWEST_WINS, max_age_s=MAX_AGE_S)
    desk.push(0)
    desk.queue.push(desk.frame(1, age_s=2.0))
    assert desk.dropped == [(1, DropReason.EXPIRED)]
    assert desk.queue.pop(timeout_s=0).number == 0


def test_drop_is_told_without_the_lock() -> None:
    """Who hears of a drop may call the queue, or wait for somebody who does."""
    desk = Desk(Policy.NEWEST_WINS)
    seen = []

    def try_elsewhere(frame: Waiter, reason: DropReason) -> None:
        seen.append(desk.changed._is_owned())

    desk.queue._on_drop = try_elsewhere
    desk.push(0)
    desk.push(1)
    desk.queue.stop()
    assert seen == [False, False]


@given(st.sampled_from([Policy.NEWEST_WINS, Policy.REJECT]), st.integers(1, 3), st.data())
def test_every_frame_leaves_exactly_once(policy: Policy, capacity: int, data: st.DataObject) -> None:
    """Whatever the order of pushes, pops and pauses: popped or dropped, never both, never lost."""
    desk = Desk(policy, capacity, max_age_s=MAX_AGE_S)
    popped: list[int] = []
    rejected: list[int] = []
    number = 0
    for act in data.draw(st.lists(st.sampled_from(["push", "pop", "pause"]), max_size=30)):
        if act == "push":
            try:
                desk.push(number)
            except QueueError:
                rejected.append(number)
            number += 1
        elif act == "pause":
            desk.clock.pass_s(0.4)
        else:
            try:
                popped.append(desk.queue.pop(timeout_s=0).number)
            except QueueError:
                assert len(desk.queue) == 0
        assert len(desk.queue) <= capacity
    desk.queue.stop()
    left = [n for n, _ in desk.dropped]
    assert sorted(popped + rejected + left) == list(range(number))
    assert popped == sorted(popped)
    assert not (policy is Policy.NEWEST_WINS and rejected)
