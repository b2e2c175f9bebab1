"""Who owns each slot of one producer: FREE -> LOANED -> READY -> LEASED -> FREE.

The words are iceoryx2's. The states live here, in the server, and nowhere else: the memory itself
says nothing, so a producer that lies or dies can only lose its own loan. Each loan has a generation
that is used once; a call with another one finds no such ticket.

        loan            publish           lease            release
  FREE ------> LOANED ----------> READY --------> LEASED ---------> FREE
    ^            | discard           | drop
    `------------+-------------------'

A producer that wants it gets a slot back on loan as soon as nobody needs it (`again`), without a
message more. If it asks for a slot before it has heard of that, the answer is that same loan; it says
with each asking of how many it has heard.

`close` (the producer is gone) frees everything that nobody is looking at, and refuses new loans; the
ring is idle when the last lease has ended too.

A lease may end while somebody still holds an array of the slot. The slot is then not given out again
before the last such array is dead: `release` takes a weak reference to the array that all views hang
on, and the slot stays LEASED until it is empty. References are looked at when a slot is wanted, not by
callbacks: those run wherever the garbage collector happens to, locks held or not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from livegate.core.errors import ErrorCode, QueueError, RequestError
from livegate.shm.change import Change

Clock = Callable[[], int]
Reference = Callable[[], Any]
"""A weak reference: gives None when its object is dead."""
LINGER_LOOK_S = 0.005
HEARD = 1 << 32


class SlotState(str, Enum):
    """Whose the slot is: nobody's, the producer's, the queue's, a reader's."""

    FREE = "FREE"
    LOANED = "LOANED"
    READY = "READY"
    LEASED = "LEASED"


class Ticket(msgspec.Struct, frozen=True):
    """One use of one slot."""

    slot: int
    generation: int


@dataclass(slots=True)
class _Slot:
    state: SlotState = SlotState.FREE
    generation: int = 0
    views: Reference | None = None


class SlotRing:
    """The slots of one producer. Safe to call from any thread."""

    def __init__(
        self,
        slots: int,
        *,
        max_loans: int = 1,
        now_ns: Clock = time.monotonic_ns,
        changed: Change | None = None,
    ) -> None:
        """All slots free."""
        self.max_loans = max_loans
        self._slots = [_Slot() for _ in range(slots)]
        self.in_flight = 0
        """Leases that have not ended; ended ones whose arrays linger are not counted."""
        self._loaned = 0
        self._reloans = 0
        self._reloaned: Ticket | None = None
        """What was lent again last, until it is asked for or used."""
        self._now_ns = now_ns
        self._changed = changed or Change()
        self._waiting = 0
        self._is_closed = False

    def __len__(self) -> int:
        """How many slots there are."""
        return len(self._slots)

    def loan(self, *, timeout_s: float = 0.0, heard: int = 0) -> Ticket:
        """A free slot for the producer to write, of a new generation; or what was lent to it again.

        `heard`: how many slots were lent again that the producer has heard of, modulo 2**32.

        Raises:
            QueueError: QUEUE_FULL when no slot is free, at the end of the timeout;
                QUEUE_STOPED when the ring is closed.
            RequestError: FULL when the producer holds as many loans as it may, at its end, too.
        """
        deadline_ns = self._now_ns() + int(timeout_s * 1e9)
        with self._changed.lock:
            while True:
                if self._reloaned is not None and heard != self._reloans:
                    ticket, self._reloaned = self._reloaned, None
                    return ticket
                slot = self._loanable()
                if slot is not None:
                    return self._lend(slot)
                left_s = (deadline_ns - self._now_ns()) / 1e9
                if left_s <= 0:
                    raise self._too_many_loans() if self._is_at_limit else self._no_slot()
                lingers = any(slot.views for slot in self._slots)
                self._waiting += 1
                self._changed.wait(min(left_s, LINGER_LOOK_S) if lingers else left_s)
                self._waiting -= 1

    def take_back(self, ticket: Ticket) -> None:
        """Lent again, and the producer did not hear of it; what it asked for meanwhile it keeps."""
        with self._changed.lock:
            self._reloans = (self._reloans - 1) % HEARD
            if ticket == self._reloaned:
                self._reloaned = None
                self._slots[ticket.slot].state = SlotState.FREE
                self._loaned -= 1
                self._tell()

    def discard(self, ticket: Ticket) -> None:
        """The producer gives a loan back. Raises as `publish`."""
        self._end_loan(ticket, SlotState.FREE)

    def publish(self, ticket: Ticket) -> None:
        """The producer has written the slot.

        Raises:
            RequestError: OUT_OF_RANGE for a slot that the ring does not have; NO_EXIST when the slot
                is not on loan under this generation.
        """
        self._end_loan(ticket, SlotState.READY)

    def lease(self, ticket: Ticket) -> None:
        """A reader takes a published frame. Raises as `publish`."""
        with self._changed.lock:
            self._find(ticket, SlotState.READY).state = SlotState.LEASED
            self.in_flight += 1

    def drop(self, ticket: Ticket, *, again: bool = False) -> Ticket | None:
        """The queue gives a published frame up, unread. `again` as in `release`. Raises as `publish`."""
        with self._changed.lock:
            return self._free(self._find(ticket, SlotState.READY), ticket.slot, again)

    def release(
        self, ticket: Ticket, *, views: Reference | None = None, again: bool = False
    ) -> Ticket | None:
        """A reader is done; with `views`, the slot is free when that reference is empty.

        With `again` the producer gets a slot that is free back on loan, if it may have one more: this
        ticket. A write that comes late spoils a picture of that producer only, here as in `loan`.

        Raises as `publish`.
        """
        with self._changed.lock:
            slot = self._find(ticket, SlotState.LEASED)
            if slot.views is not None:
                raise _no_ticket(ticket, "its lease has ended already")
            self.in_flight -= 1
            if views is not None and views() is not None:
                slot.views = views
                self._tell()
                return None
            return self._free(slot, ticket.slot, again)

    def close(self) -> None:
        """Reclaim every slot that nobody is looking at; refuse everything but `release`."""
        with self._changed.lock:
            self._is_closed = True
            self._reloaned = None
            self._loaned = 0
            for slot in self._slots:
                if slot.state is not SlotState.LEASED:
                    slot.state = SlotState.FREE
            self._tell()

    @property
    def is_idle(self) -> bool:
        """Whether the ring is closed and no reader has anything of it: its memory may go."""
        with self._changed.lock:
            self._sweep()
            return self._is_closed and all(s.state is SlotState.FREE for s in self._slots)

    def states(self) -> dict[SlotState, int]:
        """How many slots are in each state."""
        with self._changed.lock:
            self._sweep()
            found = Counter(slot.state for slot in self._slots)
        return {state: found[state] for state in SlotState}

    def _loanable(self) -> int | None:
        """A slot to give out, None while there is none; the lock is held."""
        if self._is_closed:
            raise QueueError(ErrorCode.QUEUE_STOPED, "this producer's slots are closed")
        if self._is_at_limit:
            return None
        self._sweep()
        free = (n for n, slot in enumerate(self._slots) if slot.state is SlotState.FREE)
        # The least used first: a late write of a producer that broke the rules then hits the slot
        # that has been idle for longest.
        return min(free, key=lambda n: self._slots[n].generation, default=None)

    def _free(self, slot: _Slot, number: int, again: bool) -> Ticket | None:
        """A slot is nobody's, or the producer's once more; the lock is held."""
        slot.state, ticket = SlotState.FREE, None
        if again and not (self._is_closed or self._is_at_limit):
            ticket = self._reloaned = self._lend(number)
            self._reloans = (self._reloans + 1) % HEARD
        self._tell()
        return ticket

    def _lend(self, slot: int) -> Ticket:
        """Put a free slot on loan, of a new generation; the lock is held."""
        found = self._slots[slot]
        found.state = SlotState.LOANED
        found.generation += 1
        self._loaned += 1
        return Ticket(slot, found.generation)

    @property
    def _is_at_limit(self) -> bool:
        return self._loaned >= self.max_loans

    def _too_many_loans(self) -> RequestError:
        return RequestError(
            ErrorCode.FULL,
            f"the producer holds {self.max_loans} loans already, it may not have more",
            hint="publish or release what is on loan",
        )

    def _no_slot(self) -> QueueError:
        found = {state.value: n for state, n in self.states().items() if n}
        return QueueError(
            ErrorCode.QUEUE_FULL,
            f"none of the {len(self)} slots is free: {found}",
            hint="skip this frame, or ask for more slots",
        )

    def _end_loan(self, ticket: Ticket, after: SlotState) -> None:
        with self._changed.lock:
            self._find(ticket, SlotState.LOANED).state = after
            self._loaned -= 1
            if ticket == self._reloaned:
                self._reloaned = None
            self._tell()

    def _tell(self) -> None:
        """Something has changed; the lock is held."""
        if self._waiting:
            self._changed.notify_all()

    def _find(self, ticket: Ticket, state: SlotState) -> _Slot:
        """The slot of a ticket, if it is in this state under this generation; the lock is held."""
        if not 0 <= ticket.slot < len(self._slots):
            raise RequestError(
                ErrorCode.OUT_OF_RANGE,
                f"there is no slot {ticket.slot}, the producer has {len(self)}",
                hint="send back the slot and the generation of LOANED",
            )
        slot = self._slots[ticket.slot]
        if slot.generation != ticket.generation:
            raise _no_ticket(ticket, f"the slot is at generation {slot.generation}")
        if slot.state is not state:
            raise _no_ticket(ticket, f"the slot is {slot.state.value}, not {state.value}")
        return slot

    def _sweep(self) -> None:
        """Free the slots whose last array has died; the lock is held."""
        for slot in self._slots:
            if slot.views is not None and slot.views() is None:
                slot.views = None
                slot.state = SlotState.FREE


def _no_ticket(ticket: Ticket, why: str) -> RequestError:
    return RequestError(
        ErrorCode.NO_EXIST,
        f"there is no ticket for slot {ticket.slot}, generation {ticket.generation}: {why}",
        hint="a ticket is good for one use",
    )
