"""Cameras take turns."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from frame_queue_kit import ScriptedCondition, StillClock, refused
from livegate.core.errors import ErrorCode, RequestError
from livegate.shm.layout import DropReason
from livegate.shm.queue import FrameQueue, Policy
from livegate.shm.turns import FrameQueues


@dataclass(frozen=True)
class Waiter:
    camera: str
    captured_ns: int


class Desk:
    """Queues of several cameras under one condition."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.changed = ScriptedCondition(self.clock)
        self.queues: FrameQueues[Waiter] = FrameQueues(now_ns=self.clock, changed=self.changed)
        self.dropped: list[tuple[str, DropReason]] = []

    def add(
        self,
        camera: str,
        *,
        is_ready: bool = True,
        max_age_ns: int | None = None,
    ) -> None:
        queue = self.queue(max_age_ns)
        self.queues.add(camera, queue, is_ready=lambda: is_ready)

    def queue(self, max_age_ns: int | None = None) -> FrameQueue[Waiter]:
        self.last = FrameQueue[Waiter](
            10,
            Policy.REJECT,
            max_age_ns=max_age_ns,
            now_ns=self.clock,
            changed=self.changed,
            on_drop=lambda frame, reason: self.dropped.append((frame.camera, reason)),
        )
        return self.last

    def push(self, camera: str, count: int = 1) -> None:
        for _ in range(count):
            self.queues._lines[camera].queue.push(Waiter(camera, self.clock()))

    def pop(self) -> str:
        return self.queues.pop(timeout_s=0).camera


def test_fast_camera_does_not_starve_a_slow_one() -> None:
    """Each camera that has a frame is served once before any is served twice."""
    desk = Desk()
    for camera in "abc":
        desk.add(camera)
    desk.push("a", 8)
    desk.push("b", 1)
    desk.push("c", 2)
    assert [desk.pop() for _ in range(6)] == ["a", "b", "c", "a", "c", "a"]


def test_camera_that_joins_gets_its_turn_at_once() -> None:
    """A line of frames before it does not matter."""
    desk = Desk()
    desk.add("a")
    desk.push("a", 5)
    assert desk.pop() == "a"
    desk.add("b")
    desk.push("b")
    assert sorted([desk.pop(), desk.pop()]) == ["a", "b"]


def test_camera_that_has_waited_longest_is_next() -> None:
    """By the moment when its first frame came, whoever was served or joined before."""
    desk = Desk()
    for camera in "abc":
        desk.add(camera)
    for camera in "cab":
        desk.push(camera)
        desk.clock.pass_s(0.01)
    assert [desk.pop() for _ in range(3)] == ["c", "a", "b"]


def test_newer_frame_takes_over_the_wait_of_the_one_it_replaces() -> None:
    """Who sends more often than he is served loses frames, and not his turn."""
    desk = Desk()
    fast = FrameQueue[Waiter](1, Policy.NEWEST_WINS, now_ns=desk.clock, changed=desk.changed)
    desk.queues.add("fast", fast)
    desk.add("slow")
    desk.push("fast")
    desk.clock.pass_s(0.01)
    desk.push("slow")
    desk.clock.pass_s(0.01)
    desk.push("fast")
    assert [desk.pop(), desk.pop()] == ["fast", "slow"]


def test_brief_frame_goes_before_those_that_waited_a_little_longer() -> None:
    """It has a head start of 20 ms, and no more: nobody waits for ever behind brief ones."""
    desk = Desk()
    desk.add("judged")
    desk.add("brief")
    desk.last.repeats_until_ns = desk.clock() + 10**18
    for wait_s, order in ((0.019, ["brief", "judged"]), (0.021, ["judged", "brief"])):
        desk.push("judged")
        desk.clock.pass_s(wait_s)
        desk.push("brief")
        assert [desk.pop(), desk.pop()] == order


def test_camera_with_enough_looked_at_is_passed_over() -> None:
    """Its frames wait, the others' turn comes."""
    desk = Desk()
    desk.add("busy", is_ready=False)
    desk.add("idle")
    desk.push("busy")
    desk.push("idle")
    assert desk.pop() == "idle"
    with refused(ErrorCode.QUEUE_EMPTY):
        desk.pop()


def test_wake_asks_again_who_is_ready() -> None:
    """The end of a lease lets a waiting pop go on."""
    desk = Desk()
    ready: list[bool] = []
    desk.queues.add("a", desk.queue(), is_ready=lambda: bool(ready))
    desk.push("a")
    desk.changed.then(desk.queues.wake, lambda: ready.append(True))
    assert desk.queues.pop().camera == "a"
    assert desk.changed.waits == [None, None]


def test_pop_on_empty_ends_at_the_timeout() -> None:
    """5001 after exactly the timeout, with no camera and with a silent one."""
    desk = Desk()
    with refused(ErrorCode.QUEUE_EMPTY):
        desk.queues.pop(timeout_s=0.5)
    desk.add("a")
    with refused(ErrorCode.QUEUE_EMPTY):
        desk.queues.pop(timeout_s=0.5)
    assert desk.changed.waits == [pytest.approx(0.5)] * 2


def test_stop_refuses_every_call_with_frames_left() -> None:
    """5002 from every queue at once."""
    desk = Desk()
    desk.add("a")
    desk.push("a")
    desk.queues.stop()
    with refused(ErrorCode.QUEUE_STOPED):
        desk.queues.pop()
    with refused(ErrorCode.QUEUE_STOPED):
        desk.add("b")
    with refused(ErrorCode.QUEUE_STOPED):
        desk.push("a")
    assert desk.dropped == [("a", DropReason.STOPPED)]


def test_stop_wakes_who_waits() -> None:
    """A pop without a timeout ends."""
    desk = Desk()
    desk.changed.then(desk.queues.stop)
    with refused(ErrorCode.QUEUE_STOPED):
        desk.queues.pop()


def test_removed_camera_takes_its_frames_along() -> None:
    """A dead producer's frames are not looked at, and the others go on."""
    desk = Desk()
    desk.add("a")
    desk.add("b")
    desk.push("a")
    desk.push("b")
    desk.queues.remove("a")
    desk.queues.remove("nobody")
    assert desk.dropped == [("a", DropReason.GONE)]
    assert desk.pop() == "b"
    assert desk.queues.cameras == ("b",)


def test_camera_added_twice_is_refused() -> None:
    """1015: names are how cameras are told apart."""
    desk = Desk()
    desk.add("a")
    with pytest.raises(RequestError) as caught:
        desk.add("a")
    assert caught.value.code is ErrorCode.EXIST


def test_old_frames_are_dropped_in_passing() -> None:
    """A camera whose frames are all too old gives its turn to the next."""
    desk = Desk()
    desk.add("old", max_age_ns=10)
    desk.add("young")
    desk.push("old", 2)
    desk.clock.pass_s(1)
    desk.push("young")
    assert desk.pop() == "young"
    assert desk.dropped == [("old", DropReason.EXPIRED)] * 2
