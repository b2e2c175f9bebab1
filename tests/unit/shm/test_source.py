"""One producer without its socket: every published frame gets exactly one word."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from frame_queue_kit import ScriptedCondition, StillClock
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.results import Decision
from livegate.shm.budget import MIB, SegmentBudget
from livegate.shm.geometry import geometry_for
from livegate.shm.layout import DropReason, PixelFormat, Reloaned, Result
from livegate.shm.lease import Lease, PublishedFrame
from livegate.shm.outcome import Outcome
from livegate.shm.queue import FrameQueue, Policy
from livegate.shm.ring import SlotRing, SlotState, Ticket
from livegate.shm.segment import make_segment
from livegate.shm.source import Clocks, FrameSource, Glance, look_at_each
from livegate.shm.tally import FrameEvent, FrameTally
from support import HANG_S

WALL_NS = 1_800_000_000_000_000_000
FOR_EVER_NS = 10**18


class Desk:
    """A source with a still clock, and what its producer was told."""

    def __init__(
        self,
        *,
        is_trusted: bool = True,
        policy: Policy = Policy.NEWEST_WINS,
        pixel_format: PixelFormat = PixelFormat.BGR,
        glance: Glance = look_at_each,
        reloans: bool = False,
    ) -> None:
        self.clock = StillClock()
        self.told: list[Result] = []
        self.is_heard = True
        self.tally = FrameTally()
        self.budget = SegmentBudget(MIB, dict)
        self.wakes = 0
        segment = make_segment("door", geometry_for(64, 48, pixel_format), 3, self.budget)
        self.source = FrameSource(
            "door",
            segment,
            SlotRing(3, now_ns=self.clock),
            lambda on_drop: FrameQueue(
                1,
                policy,
                max_age_ns=1_000_000_000,
                now_ns=self.clock,
                changed=ScriptedCondition(self.clock),
                on_drop=on_drop,
            ),
            is_trusted=is_trusted,
            answer=self.hear,
            tally=self.tally,
            clocks=Clocks(self.clock, lambda: WALL_NS + self.clock.now_ns),
            on_release=self.wake,
            glance=glance,
            reloans=reloans,
        )
        if glance is not look_at_each:
            self.source.queue.repeats_until_ns = FOR_EVER_NS

    def hear(self, result: Result) -> bool:
        self.told.append(result)
        return self.is_heard

    def wake(self) -> None:
        self.wakes += 1

    def publish(self, frame_id: int, *, captured_ns: int = 0) -> Ticket:
        ticket = self.source.loan(timeout_s=0)
        self.source.publish(ticket, captured_ns=captured_ns, frame_id=frame_id)
        return ticket

    def lease(self) -> Lease:
        return self.source.lease(self.source.queue.pop(timeout_s=0))

    def count(self, event: FrameEvent) -> int:
        return self.tally.camera("door")[event]

    def words(self) -> list[tuple[int, int, DropReason]]:
        return [(r.frame_id, r.code, DropReason(r.reason)) for r in self.told]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.source.close()


def test_slot_of_a_result_is_on_loan_again_where_that_was_asked_for() -> None:
    """Of a judged frame and of one that was replaced; the ticket that follows can be published."""
    desk = Desk(reloans=True)
    first = desk.publish(1)
    desk.lease().finish(Outcome())
    second = Ticket(first.slot, first.generation + 1)
    desk.source.publish(second, captured_ns=0, frame_id=2)
    third = desk.publish(3)
    assert third.slot != second.slot
    assert desk.words()[1:] == [(2, ErrorCode.QUEUE_FULL, DropReason.REPLACED)]
    assert [type(result) for result in desk.told] == [Reloaned, Reloaned]
    desk.source.publish(Ticket(second.slot, second.generation + 1), captured_ns=0, frame_id=4)
    desk.source.close()


def test_slot_of_a_result_that_was_lost_is_free() -> None:
    """Else a producer that does not read would hold a loan that it knows nothing of."""
    desk = Desk(reloans=True)
    desk.is_heard = False
    desk.publish(1)
    desk.lease().finish(Outcome())
    assert desk.source.slots == {
        SlotState.FREE: 3,
        SlotState.LOANED: 0,
        SlotState.READY: 0,
        SlotState.LEASED: 0,
    }
    assert desk.count(FrameEvent.RESULT_LOST) == 1
    desk.source.close()


def test_slot_that_comes_back_is_told_of_before_it_is_given() -> None:
    """RELOANED, then LOANED: the other way round a producer would take one loan for two."""
    desk = Desk(reloans=True)
    asked = threading.Event()
    order: list[str] = []

    def ask() -> None:
        asked.set()
        desk.source.loan(timeout_s=0)
        order.append("LOANED")

    def hear(result: Result) -> bool:
        asker.start()
        assert asked.wait(HANG_S)
        asker.join(0.05)  # it has every chance to be first
        order.append("RELOANED")
        return True

    asker = threading.Thread(target=ask)
    desk.source._answer = hear
    desk.publish(1)
    desk.lease().finish(Outcome())
    asker.join(HANG_S)
    assert order == ["RELOANED", "LOANED"]
    desk.source.close()


def test_slot_whose_picture_is_held_does_not_come_back() -> None:
    """Nobody writes where somebody reads: a plain result, and another slot for the next frame."""
    desk = Desk(reloans=True)
    desk.publish(1)
    lease = desk.lease()
    held = lease.frame()
    lease.finish(Outcome())
    assert [type(result) for result in desk.told] == [Result]
    assert desk.source.loan(timeout_s=0).slot != 0
    del held
    desk.source.close()


def test_judged_frame_is_told_with_its_times(desk: Desk) -> None:
    """The verdict, how long it waited, how long it took; the slot is free."""
    desk.publish(7)
    desk.clock.pass_s(0.25)
    lease = desk.lease()
    desk.clock.pass_s(0.5)
    assert (lease.queue_ns, lease.age_ns) == (250_000_000, 750_000_000)
    lease.finish(Outcome(decision=Decision.GENUINE, score=0.75, algo_task=1031))
    (result,) = desk.told
    assert (result.frame_id, result.code, result.decision) == (7, 0, 1)
    assert (result.score, result.queue_ns, result.work_ns) == (0.75, 250_000_000, 500_000_000)
    assert desk.source.slots[SlotState.FREE] == 3
    assert desk.wakes == 0


def answer_at_once(published: PublishedFrame) -> bool:
    with published.source.lease(published) as lease:
        lease.finish(Outcome(decision=Decision.GENUINE))
    return True


def test_frame_that_a_glance_answers_never_waits() -> None:
    """Its producer hears the verdict, its slot is free, and the queue never had it."""
    desk = Desk(glance=answer_at_once)
    desk.publish(7)
    assert desk.words() == [(7, 0, DropReason.JUDGED)]
    assert len(desk.source.queue) == 0
    assert desk.source.slots[SlotState.FREE] == 3
    assert (desk.count(FrameEvent.PUBLISHED), desk.count(FrameEvent.JUDGED)) == (1, 1)
    desk.source.close()


def test_only_frames_that_are_expected_to_repeat_are_glanced_at() -> None:
    """As long as whoever judged the last one said; who says nothing ends it."""
    desk = Desk(glance=answer_at_once)
    for until_ns, is_answered in ((desk.clock.now_ns + 1, True), (desk.clock.now_ns, False), (0, False)):
        desk.source.queue.repeats_until_ns = FOR_EVER_NS
        desk.source.queue.push(
            desk.source.claim(desk.source.loan(timeout_s=0), captured_ns=0, frame_id=1)
        )
        with desk.lease() as lease:
            lease.repeats_until_ns = until_ns
        desk.told.clear()
        desk.publish(2, captured_ns=desk.clock.now_ns)
        assert bool(desk.told) == is_answered
        if not is_answered:
            desk.lease().finish(Outcome())
    desk.source.close()


def test_frame_that_a_glance_does_not_answer_waits_for_its_turn() -> None:
    """Nothing is told yet."""
    desk = Desk(glance=lambda published: False)
    desk.publish(7)
    assert (desk.words(), len(desk.source.queue)) == ([], 1)
    assert desk.source.slots[SlotState.READY] == 1
    desk.source.close()


@pytest.mark.parametrize(
    ("is_trusted", "frames", "age_ns", "words"),
    [
        (False, (7,), 0, []),
        (True, (6, 7), 0, [(6, 5003, DropReason.REPLACED)]),
        (True, (7,), 2_000_000_000, [(7, 1011, DropReason.EXPIRED)]),
    ],
    ids=["copied", "behind another", "old"],
)
def test_frame_that_a_glance_must_not_answer_takes_its_turn(
    is_trusted: bool, frames: tuple[int, ...], age_ns: int, words: list[Any]
) -> None:
    """What is copied first, comes after a frame that waits, or is too old to be told of."""
    desk = Desk(is_trusted=is_trusted, glance=lambda one: one.frame_id == 7 and answer_at_once(one))
    desk.clock.now_ns += 5_000_000_000
    for number in frames:
        desk.publish(number, captured_ns=desk.clock.now_ns - age_ns)
    assert desk.words() == words
    desk.source.close()


def test_frame_is_not_glanced_at_while_another_of_its_camera_is_looked_at() -> None:
    """What is found in the other must be told first."""
    desk = Desk(glance=lambda one: one.frame_id == 7 and answer_at_once(one))
    desk.publish(6)
    lease = desk.lease()
    lease.repeats_until_ns = FOR_EVER_NS
    desk.publish(7)
    assert (desk.words(), len(desk.source.queue)) == ([], 1)
    lease.finish(Outcome(decision=Decision.GENUINE))
    desk.publish(8)
    assert desk.words() == [(6, 0, DropReason.JUDGED), (7, 5003, DropReason.REPLACED)]
    desk.source.close()


def test_frame_after_the_stop_is_not_glanced_at() -> None:
    """Whoever stops a gate does not want it to hear of what comes afterwards."""
    desk = Desk(glance=answer_at_once)
    desk.source.queue.stop()
    desk.publish(7)
    assert desk.words() == [(7, 5002, DropReason.STOPPED)]
    desk.source.close()


def test_end_of_a_lease_wakes_who_passed_its_camera_over(desk: Desk) -> None:
    """Only while another frame of it waits."""
    desk.publish(7)
    lease = desk.lease()
    desk.publish(8)
    lease.finish(Outcome(decision=Decision.GENUINE))
    assert desk.wakes == 1


def test_slot_is_free_before_its_result_is_told(desk: Desk) -> None:
    """A producer that hears and asks at once finds the slot."""
    free: list[int] = []

    def look(result: Result) -> bool:
        free.append(desk.source.slots[SlotState.FREE])
        return True

    desk.source._answer = look
    desk.publish(1)
    desk.lease().finish(Outcome())
    desk.publish(2)
    desk.publish(3)
    assert free == [3, 2]


def test_replaced_frame_is_told_and_its_slot_is_free(desk: Desk) -> None:
    """5003 with its reason, not silence."""
    for frame_id in (1, 2, 3):
        desk.publish(frame_id)
    assert desk.words() == [(n, 5003, DropReason.REPLACED) for n in (1, 2)]
    assert desk.source.slots == {
        SlotState.FREE: 2, SlotState.LOANED: 0, SlotState.READY: 1, SlotState.LEASED: 0,
    }  # fmt: skip
    assert desk.count(FrameEvent.REPLACED) == 2


def test_rejected_frame_is_told_and_its_slot_is_free() -> None:
    """REJECT answers at once, and loses no slot."""
    desk = Desk(policy=Policy.REJECT)
    desk.publish(1)
    desk.publish(2)
    assert desk.words() == [(2, 5003, DropReason.REJECTED)]
    assert desk.source.slots[SlotState.FREE] == 2
    desk.source.close()


def test_old_frame_is_told_with_1011(desk: Desk) -> None:
    """A stale frame is never looked at."""
    desk.publish(1)
    desk.clock.pass_s(1.5)
    with pytest.raises(LiveGateError) as caught:
        desk.lease()
    assert caught.value.code is ErrorCode.QUEUE_EMPTY
    assert desk.words() == [(1, 1011, DropReason.EXPIRED)]


def test_frame_captured_long_before_its_publishing_is_old(desk: Desk) -> None:
    """The age counts from the capture that the producer names."""
    desk.publish(1, captured_ns=desk.clock() - 2_000_000_000)
    assert desk.words() == [(1, 1011, DropReason.EXPIRED)]


def test_frame_from_the_future_is_refused_and_its_slot_comes_back(desk: Desk) -> None:
    """A wall-clock time would make a frame young for ever; a camera that says it keeps its slots."""
    for number in range(1, 2 * len(desk.source.ring) + 1):
        ticket = desk.source.loan(timeout_s=0)
        with pytest.raises(RequestError, match="in the future") as caught:
            desk.source.publish(ticket, captured_ns=WALL_NS, frame_id=number)
        assert caught.value.code is ErrorCode.PARAM_FAILURE
        assert desk.count(FrameEvent.DISCARDED) == number
    desk.publish(1)
    assert not desk.words()


def test_refused_publish_ends_no_other_loan(desk: Desk) -> None:
    """The ticket that was used up is named as ever, and the slot is on loan under the next one."""
    old = desk.source.loan(timeout_s=0)
    desk.source.discard(old)
    while (new := desk.source.loan(timeout_s=0)).slot != old.slot:
        desk.source.discard(new)
    with pytest.raises(RequestError, match="in the future"):
        desk.source.publish(old, captured_ns=WALL_NS, frame_id=1)
    desk.source.discard(new)


def test_negative_number_is_refused_and_the_slot_stays_on_loan(desk: Desk) -> None:
    """Numbers of gRPC have a sign, a result has none: the word on it would be lost."""
    ticket = desk.source.loan(timeout_s=0)
    with pytest.raises(RequestError) as caught:
        desk.source.claim(ticket, captured_ns=0, frame_id=-1)
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    desk.source.discard(ticket)


def test_stop_tells_the_frames_that_waited(desk: Desk) -> None:
    """5002 for what waited and for what comes."""
    desk.publish(1)
    desk.source.queue.stop()
    desk.publish(2)
    assert desk.words() == [(1, 5002, DropReason.STOPPED), (2, 5002, DropReason.STOPPED)]


def test_loan_without_a_slot_is_counted(desk: Desk) -> None:
    """Frames that a camera had to skip are seen in the metrics."""
    desk.publish(1)
    first = desk.lease()
    desk.publish(2)
    second = desk.lease()
    desk.publish(3)
    with pytest.raises(LiveGateError) as caught:
        desk.publish(4)
    assert caught.value.code is ErrorCode.QUEUE_FULL
    assert desk.count(FrameEvent.NO_SLOT) == 1
    first.finish(Outcome())
    second.finish(Outcome())


def test_result_that_nobody_reads_is_counted(desk: Desk) -> None:
    """A slow reader costs a number, not memory."""
    desk.is_heard = False
    desk.publish(1)
    desk.lease().finish(Outcome())
    assert desk.count(FrameEvent.RESULT_LOST) == 1


def test_trusted_frame_is_read_in_place(desk: Desk) -> None:
    """No byte is copied: the array shares its memory with the slot, and shows its changes."""
    ticket = desk.publish(1)
    lease = desk.lease()
    frame = lease.frame()
    slot = desk.source.segment.in_place(ticket.slot)
    assert np.shares_memory(frame.pixels, slot)
    assert lease.view().pixels is frame.pixels
    assert not frame.pixels.flags.writeable
    assert (desk.count(FrameEvent.COPIED_BYTES), lease.view().is_copy) == (0, False)
    assert frame.captured_ns == WALL_NS + desk.clock()
    del frame, slot
    lease.finish(Outcome())


def test_untrusted_frame_is_copied_exactly_once() -> None:
    """One private copy, however often it is asked for, and its bytes are counted."""
    desk = Desk(is_trusted=False)
    ticket = desk.publish(1)
    lease = desk.lease()
    pixels = lease.frame().pixels
    assert lease.frame().pixels is pixels
    assert not np.shares_memory(pixels, desk.source.segment.in_place(ticket.slot))
    assert desk.count(FrameEvent.COPIED) == 1
    assert desk.count(FrameEvent.COPIED_BYTES) == desk.source.segment.geometry.picture_bytes
    lease.finish(Outcome())
    assert desk.source.slots[SlotState.FREE] == 3
    desk.source.close()


def test_nv12_view_is_given_and_frame_is_refused() -> None:
    """The conversion is preprocessing's pass over the pixels, not ours."""
    desk = Desk(pixel_format=PixelFormat.NV12)
    desk.publish(1)
    lease = desk.lease()
    assert lease.view().pixels.shape == (72, 64)
    with pytest.raises(RequestError) as caught:
        lease.frame()
    assert caught.value.code is ErrorCode.UNREALIZED
    lease.finish(Outcome())
    desk.source.close()


def test_lease_ended_while_an_array_lives_keeps_the_slot(desk: Desk) -> None:
    """The producer cannot write into a picture that somebody still has."""
    desk.publish(1)
    lease = desk.lease()
    corner = lease.frame().pixels[:8, :8]
    lease.finish(Outcome())
    gc.collect()
    assert desk.source.slots[SlotState.LEASED] == 1
    del corner
    assert desk.source.slots[SlotState.FREE] == 3


def test_lease_is_good_for_one_word(desk: Desk) -> None:
    """Nothing is read or said after the end."""
    desk.publish(1)
    lease = desk.lease()
    lease.finish(Outcome())
    for call in (lease.view, lambda: lease.finish(Outcome())):
        with pytest.raises(LiveGateError) as caught:
            call()
        assert caught.value.code is ErrorCode.INNER
    assert len(desk.told) == 1


def test_lease_left_without_a_word_is_an_error(desk: Desk) -> None:
    """It fails closed: silence of ours is no verdict."""
    desk.publish(1)
    with desk.lease():
        pass
    desk.publish(2)
    with pytest.raises(RequestError), desk.lease():
        raise RequestError(ErrorCode.DECODE_FAIL, "bad")
    desk.publish(3)
    with pytest.raises(ZeroDivisionError), desk.lease():
        raise ZeroDivisionError
    assert [code for _, code, _ in desk.words()] == [1002, 1028, 1002]
    assert desk.count(FrameEvent.FAILED) == 3


def test_producer_gone_while_leased_frees_the_rest_now_and_this_later(desk: Desk) -> None:
    """The memory goes when the last lease has ended; the word on it is heard by nobody."""
    desk.publish(1)
    lease = desk.lease()
    desk.publish(2)
    desk.source.loan(timeout_s=0)
    desk.source.close()
    assert desk.source.slots[SlotState.FREE] == 2
    assert not lease.has_producer
    assert int(lease.frame().pixels.sum()) == 0
    assert desk.budget.taken_bytes > 0
    lease.finish(Outcome(decision=Decision.GENUINE))
    assert desk.budget.taken_bytes == 0
    assert desk.told == []
    assert desk.count(FrameEvent.GONE) == 1


def test_frame_popped_from_a_producer_that_leaves_is_not_leased(desk: Desk) -> None:
    """Between the queue and the lease the producer may die."""
    desk.publish(1)
    published = desk.source.queue.pop(timeout_s=0)
    desk.source.close()
    with pytest.raises(RequestError) as caught:
        desk.source.lease(published)
    assert caught.value.code is ErrorCode.NO_EXIST
    assert desk.count(FrameEvent.GONE) == 1
    assert desk.budget.taken_bytes == 0


def test_producer_that_leaves_while_its_queue_stops_is_no_error(desk: Desk) -> None:
    """The ring has taken every slot back already; the drop of a waiting frame finds it free."""
    desk.publish(1)
    desk.source.is_closed = True
    desk.source.ring.close()
    desk.source.queue.stop(DropReason.STOPPED)
    assert desk.count(FrameEvent.STOPPED) == 1
    assert desk.told == []
