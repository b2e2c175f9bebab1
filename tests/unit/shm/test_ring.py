"""Who owns each slot, against a model, and one refusal at a time."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from frame_queue_kit import ScriptedCondition, StillClock, refused
from livegate.core.errors import ErrorCode, QueueError, RequestError
from livegate.shm.ring import SlotRing, SlotState, Ticket

FREE, LOANED, READY, LEASED = SlotState


def leased_ring() -> tuple[SlotRing, Ticket]:
    ring = SlotRing(3)
    ticket = ring.loan()
    ring.publish(ticket)
    ring.lease(ticket)
    return ring, ticket


def only_slot_leased() -> tuple[ScriptedCondition, SlotRing, Ticket]:
    clock = StillClock()
    changed = ScriptedCondition(clock)
    ring = SlotRing(1, now_ns=clock, changed=changed)
    ticket = ring.loan()
    ring.publish(ticket)
    ring.lease(ticket)
    return changed, ring, ticket


def test_slot_goes_round_and_comes_back_free() -> None:
    """loan, publish, lease, release: one slot moves, the others stay."""
    ring = SlotRing(3)
    ticket = ring.loan()
    assert ring.states()[LOANED] == 1
    ring.publish(ticket)
    assert ring.states()[READY] == 1
    ring.lease(ticket)
    assert (ring.states()[LEASED], ring.in_flight) == (1, 1)
    ring.release(ticket)
    assert ring.states() == {FREE: 3, LOANED: 0, READY: 0, LEASED: 0}


def test_ticket_used_twice_is_refused() -> None:
    """Each step takes a ticket once: 1016 afterwards."""
    ring = SlotRing(3)
    ticket = ring.loan()
    for step in (ring.publish, ring.lease, ring.release):
        step(ticket)
        with refused(ErrorCode.NO_EXIST):
            step(ticket)


def test_ticket_of_an_older_generation_is_refused() -> None:
    """The slot is on loan again, but not to this ticket."""
    ring = SlotRing(1)
    old = ring.loan()
    ring.discard(old)
    new = ring.loan()
    assert new.slot == old.slot
    with refused(ErrorCode.NO_EXIST):
        ring.publish(old)
    ring.publish(new)


@pytest.mark.parametrize("slot", [3, (1 << 32) - 1, -1])
def test_ticket_of_a_foreign_slot_is_refused(slot: int) -> None:
    """1009: the producer has no such slot."""
    ring = SlotRing(3)
    ring.loan()
    with refused(ErrorCode.OUT_OF_RANGE):
        ring.publish(Ticket(slot, 1))


def test_loan_while_one_is_out_is_refused() -> None:
    """A producer holds one loan, so that it cannot hoard the slots: 1018."""
    ring = SlotRing(3)
    ring.loan()
    with refused(ErrorCode.FULL):
        ring.loan()


def test_loan_waits_for_the_one_that_is_out() -> None:
    """Until it is taken over, or the time is up."""
    clock = StillClock()
    changed = ScriptedCondition(clock)
    ring = SlotRing(3, now_ns=clock, changed=changed)
    first = ring.loan()
    with refused(ErrorCode.FULL):
        ring.loan(timeout_s=0.3)
    assert changed.waits == [pytest.approx(0.3)]
    changed.then(lambda: ring.publish(first))
    assert ring.loan(timeout_s=0.3).slot != first.slot


def test_loan_without_a_free_slot_is_refused_at_the_timeout() -> None:
    """5003, after exactly the time that was asked for."""
    clock = StillClock()
    changed = ScriptedCondition(clock)
    ring = SlotRing(1, now_ns=clock, changed=changed)
    ring.publish(ring.loan())
    with refused(ErrorCode.QUEUE_FULL):
        ring.loan()
    assert changed.waits == []
    with refused(ErrorCode.QUEUE_FULL):
        ring.loan(timeout_s=0.3)
    assert changed.waits == [pytest.approx(0.3)]


def test_loan_waits_for_a_slot_that_comes_free() -> None:
    """A release wakes who waits."""
    clock = StillClock()
    changed = ScriptedCondition(clock)
    ring = SlotRing(1, now_ns=clock, changed=changed)
    ticket = ring.loan()
    ring.publish(ticket)
    changed.then(lambda: ring.drop(ticket))
    assert ring.loan(timeout_s=0.3) == Ticket(0, 2)


def test_release_while_a_view_lives_keeps_the_slot() -> None:
    """The slot is not given out again before the last array of it is dead."""
    ring, ticket = leased_ring()
    memory = np.zeros(8, np.uint8)
    view = memory[2:4]
    reference = weakref.ref(memory)
    del memory
    ring.release(ticket, views=reference)
    assert (ring.states()[LEASED], ring.in_flight) == (1, 0)
    with refused(ErrorCode.NO_EXIST):
        ring.release(ticket)
    del view
    assert ring.states()[FREE] == 3


def test_loan_waits_for_views_that_nobody_announces() -> None:
    """A dying array wakes nobody, so the wait looks again by itself."""
    changed, ring, ticket = only_slot_leased()
    held = [np.zeros(8, np.uint8)]
    ring.release(ticket, views=weakref.ref(held[0]))
    changed.then(lambda: None, held.clear)
    assert ring.loan(timeout_s=10).generation == 2
    assert max(wait for wait in changed.waits if wait is not None) < 0.1


def judged(ring: SlotRing) -> Ticket:
    """What the producer gets back for a frame that was judged."""
    ticket = ring.loan()
    ring.publish(ticket)
    ring.lease(ticket)
    again = ring.release(ticket, again=True)
    assert again == Ticket(ticket.slot, ticket.generation + 1)
    return again


def test_slot_lent_again_is_good_for_one_use() -> None:
    """As any other loan: published it is the queue's, and dropped it may be lent again."""
    ring = SlotRing(3)
    again = judged(ring)
    assert ring.states()[LOANED] == 1
    ring.publish(again)
    assert ring.drop(again, again=True) == Ticket(again.slot, again.generation + 1)
    with refused(ErrorCode.NO_EXIST):
        ring.publish(again)


def test_loan_of_who_has_not_heard_is_what_was_lent_again_once() -> None:
    """Both are on their way at the same time; afterwards the producer holds what it may hold."""
    ring = SlotRing(3)
    again = judged(ring)
    assert ring.loan(heard=0) == again
    for heard in (0, 1):
        with refused(ErrorCode.FULL):
            ring.loan(heard=heard)


def test_loan_of_who_has_heard_is_one_too_many() -> None:
    """A ticket on its way through a stream is not given to another picture."""
    ring = SlotRing(3)
    judged(ring)
    with refused(ErrorCode.FULL):
        ring.loan(heard=1)


def test_loan_that_waits_gets_what_is_lent_again() -> None:
    """The only slot is judged meanwhile, and lent before the waiting one could take it."""
    changed, ring, ticket = only_slot_leased()
    changed.then(lambda: ring.release(ticket, again=True))
    assert ring.loan(timeout_s=10) == Ticket(0, 2)


def test_slot_lent_again_that_was_not_heard_of_is_taken_back() -> None:
    """The producer did not read: its slot is free, and what it has heard of is counted as before."""
    ring = SlotRing(3)
    ring.take_back(judged(ring))
    assert ring.states()[FREE] == 3
    again = judged(ring)
    with refused(ErrorCode.FULL):
        ring.loan(heard=1)
    assert ring.loan(heard=0) == again


def test_slot_lent_again_that_was_asked_for_is_not_taken_back() -> None:
    """The result got lost, the slot did not."""
    ring = SlotRing(3)
    lost = judged(ring)
    assert ring.loan(heard=0) == lost
    ring.take_back(lost)
    ring.publish(lost)


def test_slot_is_not_lent_again_while_somebody_reads_it() -> None:
    """An array of it lives."""
    ring, ticket = leased_ring()
    held = np.zeros(8, np.uint8)
    assert ring.release(ticket, views=weakref.ref(held), again=True) is None
    assert ring.states()[LEASED] == 1


def test_slot_is_not_lent_again_beyond_the_limit_or_after_the_end() -> None:
    """Another loan is out; the producer is gone."""
    ring, ticket = leased_ring()
    ring.loan()
    assert ring.release(ticket, again=True) is None
    ring, ticket = leased_ring()
    ring.close()
    assert ring.release(ticket, again=True) is None
    assert ring.is_idle


def test_close_frees_all_but_what_is_looked_at() -> None:
    """The dead producer's loan and frames come back at once; the lease ends in its own time."""
    ring = SlotRing(3, max_loans=2)
    tickets = [ring.loan()]
    ring.publish(tickets[0])
    ring.lease(tickets[0])
    tickets.append(ring.loan())
    ring.publish(tickets[1])
    tickets.append(ring.loan())
    ring.close()
    assert ring.states() == {FREE: 2, LOANED: 0, READY: 0, LEASED: 1}
    assert not ring.is_idle
    with refused(ErrorCode.QUEUE_STOPED):
        ring.loan()
    for step, ticket in ((ring.lease, tickets[1]), (ring.publish, tickets[2])):
        with refused(ErrorCode.NO_EXIST):
            step(ticket)
    ring.release(tickets[0])
    assert ring.is_idle


class SlotMachine(RuleBasedStateMachine):
    """Any order of calls, honest and not, against a dictionary."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.ring = SlotRing(4, max_loans=2)
        self.model = dict.fromkeys(range(4), (FREE, 0))
        self.given: set[Ticket] = set()
        self.reloans = 0
        self.untold: Ticket | None = None

    def count(self, state: SlotState) -> int:
        return sum(found is state for found, _ in self.model.values())

    @rule(target=tickets, has_heard=st.booleans())
    def loan(self, has_heard: bool) -> Ticket:
        heard = self.reloans if has_heard else self.reloans + 1
        if self.untold is not None and not has_heard:
            assert self.ring.loan(heard=heard) == self.untold
            self.untold = None
            return Ticket(0, 0)
        if self.count(LOANED) == 2:
            with refused(ErrorCode.FULL):
                self.ring.loan(heard=heard)
            return Ticket(0, 0)
        if not self.count(FREE):
            with refused(ErrorCode.QUEUE_FULL):
                self.ring.loan(heard=heard)
            return Ticket(0, 0)
        return self.lent(self.ring.loan(heard=heard))

    @precondition(lambda self: self.untold is not None)
    @rule()
    def take_back(self) -> None:
        assert self.untold is not None
        self.ring.take_back(self.untold)
        self.model[self.untold.slot] = (FREE, self.untold.generation)
        self.untold = None
        self.reloans -= 1

    def lent(self, ticket: Ticket) -> Ticket:
        assert ticket not in self.given, "a generation was used twice"
        self.given.add(ticket)
        state, generation = self.model[ticket.slot]
        assert state is FREE
        self.model[ticket.slot] = (LOANED, generation + 1)
        assert ticket.generation == generation + 1
        return ticket

    def step(self, name: str, ticket: Ticket, before: SlotState, after: SlotState) -> None:
        call = getattr(self.ring, name)
        if self.model.get(ticket.slot) == (before, ticket.generation):
            call(ticket)
            self.model[ticket.slot] = (after, ticket.generation)
            self.untold = None if ticket == self.untold else self.untold
        else:
            with pytest.raises(RequestError):
                call(ticket)

    @rule(ticket=tickets)
    def publish(self, ticket: Ticket) -> None:
        self.step("publish", ticket, LOANED, READY)

    @rule(ticket=tickets)
    def discard(self, ticket: Ticket) -> None:
        self.step("discard", ticket, LOANED, FREE)

    @rule(ticket=tickets)
    def lease(self, ticket: Ticket) -> None:
        self.step("lease", ticket, READY, LEASED)

    @rule(target=tickets, ticket=tickets, again=st.booleans())
    def drop(self, ticket: Ticket, again: bool) -> Ticket:
        return self.end("drop", ticket, READY, again)

    @rule(target=tickets, ticket=consumes(tickets), again=st.booleans())
    def release(self, ticket: Ticket, again: bool) -> Ticket:
        return self.end("release", ticket, LEASED, again)

    def end(self, name: str, ticket: Ticket, before: SlotState, again: bool) -> Ticket:
        """A frame leaves the server; what the producer has in its hands then."""
        is_lent = self.count(LOANED) < 2
        if not again or self.model.get(ticket.slot) != (before, ticket.generation):
            self.step(name, ticket, before, FREE)
            return Ticket(0, 0)
        lent = getattr(self.ring, name)(ticket, again=True)
        self.model[ticket.slot] = (FREE, ticket.generation)
        assert (lent is not None) is is_lent
        if lent is None:
            return Ticket(0, 0)
        self.untold = lent
        self.reloans += 1
        return self.lent(lent)

    @rule(slot=st.integers(-2, 6), generation=st.integers(0, 5), call=st.sampled_from(
        [("publish", LOANED, READY), ("lease", READY, LEASED), ("release", LEASED, FREE)]
    ))  # fmt: skip
    def forge(self, slot: int, generation: int, call: tuple[str, SlotState, SlotState]) -> None:
        name, before, after = call
        self.step(name, Ticket(slot, generation), before, after)

    @invariant()
    def slots_are_where_the_model_says(self) -> None:
        assert self.ring.states() == {state: self.count(state) for state in SlotState}


TestSlotMachine = SlotMachine.TestCase
TestSlotMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_ring_closed_stops_who_waits_for_a_loan() -> None:
    """The wait ends with 5002, not at its timeout."""
    clock = StillClock()
    changed = ScriptedCondition(clock)
    ring = SlotRing(1, now_ns=clock, changed=changed)
    ticket = ring.loan()
    ring.publish(ticket)
    changed.then(ring.close)
    with pytest.raises(QueueError, match="closed"):
        ring.loan(timeout_s=10)
