"""Slots that come back with results, and those that are asked for meanwhile; nothing gets lost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from livegate.client.line import FrameLine
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import Decision, GateDecision
from livegate.shm.layout import (
    MAX_MESSAGE_BYTES,
    Bye,
    Error,
    Loan,
    Loaned,
    Message,
    Publish,
    Reloaned,
    Result,
    decode,
    encode,
)
from livegate.shm.outcome import Outcome, result_from_outcome
from livegate.shm.ring import Ticket
from support import HANG_S

SLOT = Loaned(generation=3, offset=4096, slot=1)


OPEN = Outcome(decision=Decision.GENUINE, gate=GateDecision.OPEN)


def result(
    frame_id: int, kind: type[Result], generation: int = 8, outcome: Outcome | None = None
) -> Result:
    return result_from_outcome(
        outcome or Outcome(), frame_id=frame_id, slot=2, generation=generation, kind=kind
    )


class Pair:
    """A line, and the server's end of its connection, in one thread: both ends keep packets."""

    def __init__(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen()
            self.line = FrameLine(path, 0.01, None)
            self.server, _ = listener.accept()
            self.server.settimeout(0)

    def heard(self) -> tuple[int, Message]:
        return decode(self.server.recv(MAX_MESSAGE_BYTES))

    def say(self, message: Message, request: int = 0) -> None:
        self.server.send(encode(message, request=request))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path / "frames.sock")
    yield made
    made.line.close()
    made.server.close()


def test_loan_that_came_back_with_a_result_is_not_asked_for(pair: Pair) -> None:
    """The slot under its next generation, once; the results are told as ever."""
    pair.say(result(7, Result))
    pair.say(result(8, Reloaned))
    assert pair.line.loan(0.0) == Ticket(2, 9)
    assert [one.frame_id for one in pair.line.take(0.0)] == [7, 8]
    with pytest.raises(BlockingIOError):
        pair.heard()


def test_loan_that_is_asked_for_says_how_many_came_back(pair: Pair) -> None:
    """So the server knows whether one is on its way; and how long it may wait for a slot."""
    for generation in (1, 2):
        pair.say(result(7, Reloaned, generation))
        assert pair.line.loan(0.0) == Ticket(2, generation + 1)
    with pytest.raises(LiveGateError):
        pair.line.loan(0.02)
    assert pair.heard() == (1, Loan(20, 2))


def test_loan_that_came_back_while_it_was_asked_for_is_the_same_one(pair: Pair) -> None:
    """RELOANED and LOANED name one slot: it is written once."""
    pair.server.settimeout(HANG_S)

    def answer() -> None:
        request, _ = pair.heard()
        pair.say(result(7, Reloaned))
        pair.say(Loaned(generation=9, offset=8192, slot=2), request)

    server = threading.Thread(target=answer)
    server.start()
    assert pair.line.loan(HANG_S) == Ticket(2, 9)
    server.join()
    with pytest.raises(LiveGateError) as caught:
        pair.line.loan(0.0)
    assert caught.value.code is ErrorCode.TIMEOUT


def test_loan_that_is_answered_too_late_is_kept(pair: Pair) -> None:
    """1011; the answer that comes then is the next loan, or the slot would be on loan for ever."""
    with pytest.raises(LiveGateError) as caught:
        pair.line.loan(0.0)
    assert caught.value.code is ErrorCode.TIMEOUT
    pair.say(SLOT, pair.heard()[0])
    assert pair.line.loan(0.0) == Ticket(1, 3)


def test_loan_that_was_used_does_not_come_back(pair: Pair) -> None:
    """Whatever comes late of it: RELOANED after its LOANED, LOANED after its RELOANED."""
    pair.say(result(7, Reloaned))
    assert pair.line.loan(0.0) == Ticket(2, 9)
    pair.say(result(7, Reloaned))
    pair.say(Loaned(generation=9, offset=8192, slot=2))
    with pytest.raises(LiveGateError) as caught:
        pair.line.loan(0.0)
    assert caught.value.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize("code", [ErrorCode.QUEUE_FULL, ErrorCode.FULL])
def test_loan_that_is_refused_while_one_comes_back_is_that_one(pair: Pair, code: ErrorCode) -> None:
    """The server had no slot, then it had; what was refused is not told afterwards."""
    pair.server.settimeout(HANG_S)

    def answer() -> None:
        request, _ = pair.heard()
        pair.say(result(7, Reloaned))
        pair.say(Error(int(code), 0, "none"), request)

    server = threading.Thread(target=answer)
    server.start()
    assert pair.line.loan(HANG_S) == Ticket(2, 9)
    server.join()


def test_loan_that_nobody_waits_for_is_refused_in_silence(pair: Pair) -> None:
    """Whoever asked has been told that no answer came; `results` tells of what was published."""
    with pytest.raises(LiveGateError):
        pair.line.loan(0.0)
    pair.say(Error(int(ErrorCode.QUEUE_FULL), 0, "no slot"), pair.heard()[0])
    pair.say(result(7, Result))
    while pair.line.read(0.0):
        pass
    assert [one.frame_id for one in pair.line.take(0.0)] == [7]


def test_loan_tells_of_a_refused_publish_first(pair: Pair) -> None:
    """Its error is not taken for the answer, and what came back is there the next time."""
    published = pair.line.send(Publish(1, 2, 3, 4))
    pair.say(result(7, Reloaned))
    pair.say(Error(int(ErrorCode.NO_EXIST), 0, "no such ticket"), published)
    with pytest.raises(LiveGateError) as caught:
        pair.line.loan(0.0)
    assert caught.value.code is ErrorCode.NO_EXIST
    assert pair.line.loan(0.0) == Ticket(2, 9)


def test_results_before_a_refusal_come_first_and_the_refusal_next(pair: Pair) -> None:
    """What was refused has no RESULT: its producer hears it, once, and goes on."""
    published = pair.line.send(Publish(1, 2, 3, 4))
    pair.say(result(7, Result))
    pair.say(Error(int(ErrorCode.PARAM_FAILURE), 0, "captured in the future"), published)
    pair.say(result(8, Result))
    assert [one.frame_id for one in pair.line.take(0.0)] == [7]
    with pytest.raises(LiveGateError, match="in the future") as caught:
        pair.line.take(0.0)
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    assert [one.frame_id for one in pair.line.take(0.0)] == [8]


def test_results_that_wait_are_not_kept_for_what_comes_beside(pair: Pair) -> None:
    """A late answer to a LOAN is no reason to wait for one more result."""
    pair.say(result(7, Reloaned))
    pair.line.loan(0.0)
    pair.say(SLOT)
    began_s = time.monotonic()
    assert [one.frame_id for one in pair.line.take(HANG_S)] == [7]
    assert time.monotonic() - began_s < HANG_S


def words(pair: Pair, monkeypatch: pytest.MonkeyPatch, late_s: float) -> list[GateDecision | None]:
    """A slot is written and published; its OPEN is taken so long after it was sent."""
    pair.say(result(7, Reloaned))
    ticket = pair.line.loan(0.0)
    pair.line.take(0.0)
    pair.line.publish(Publish(ticket.generation, 0, 8, ticket.slot))
    pair.say(result(8, Result, ticket.generation, OPEN))
    began_ns = time.monotonic_ns()
    now_ns = began_ns + int(late_s * 1e9)
    monkeypatch.setattr("livegate.client.line.time.monotonic_ns", lambda: now_ns)
    return [one.outcome.gate for one in pair.line.take(0.0)]


@pytest.mark.parametrize(("late_s", "word"), [(0.5, GateDecision.OPEN), (1.5, GateDecision.HOLD)])
def test_open_that_is_taken_late_opens_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, late_s: float, word: GateDecision
) -> None:
    """A camera that stalled is read again when its person has gone; the socket kept the word."""
    assert words(pair, monkeypatch, late_s) == [word]


def test_open_for_a_frame_of_nobodys_opens_nothing(pair: Pair) -> None:
    """How old it is cannot be told."""
    pair.say(result(7, Result, outcome=OPEN))
    assert [one.outcome.gate for one in pair.line.take(0.0)] == [GateDecision.HOLD]


@pytest.mark.parametrize("says_bye", [True, False])
def test_loan_of_a_server_that_is_gone_is_no_slot_of_it(pair: Pair, says_bye: bool) -> None:
    """What came back before says nothing of now: 1024."""
    pair.say(result(7, Reloaned))
    if says_bye:
        pair.say(Bye())
    pair.server.close()
    with pytest.raises(LiveGateError) as caught:
        pair.line.loan(0.0)
    assert caught.value.code is ErrorCode.CONNECTION_CLOSE


@pytest.fixture
def default_timeout() -> Iterator[None]:
    """Somebody else's wish for every new socket of the process."""
    socket.setdefaulttimeout(0.3)
    yield
    socket.setdefaulttimeout(None)


@pytest.mark.usefixtures("default_timeout")
def test_send_to_a_server_that_does_not_read_ends_at_the_timeout(tmp_path: Path) -> None:
    """1011, not for ever; also where the process has a default of its own for sockets."""
    pair = Pair(tmp_path / "frames.sock")

    def fill() -> None:
        while True:
            pair.line.send(Publish(1, 2, 3, 4))

    with pytest.raises(LiveGateError) as caught:
        fill()
    assert caught.value.code is ErrorCode.TIMEOUT
    pair.line.close()
    pair.server.close()
