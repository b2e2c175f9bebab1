"""What was asked ahead is answered whenever the server likes; nothing else gets lost for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from livegate.client.line import FrameLine
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.shm.layout import (
    MAX_MESSAGE_BYTES,
    DropReason,
    Error,
    Loan,
    Loaned,
    Message,
    decode,
    encode,
)
from livegate.shm.outcome import Outcome, result_from_outcome

SLOT = Loaned(generation=3, offset=4096, slot=1)
RESULT = result_from_outcome(Outcome(), frame_id=7, slot=0, generation=2, reason=DropReason.JUDGED)


class Pair:
    """A line, and the server's end of its connection, in one thread: both ends keep packets."""

    def __init__(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen()
            self.line = FrameLine(path, 0.01, None)
            self.server, _ = listener.accept()

    def asked(self) -> int:
        """The number of the next message that the server reads."""
        return decode(self.server.recv(MAX_MESSAGE_BYTES))[0]

    def say(self, message: Message, request: int = 0) -> None:
        self.server.send(encode(message, request=request))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path / "frames.sock")
    yield made
    made.line.close()
    made.server.close()


def test_take_ahead_answer_that_came_between_is_given_once(pair: Pair) -> None:
    """While results were read; what came with it is kept, and the next time nothing was asked."""
    pair.line.ask_ahead(Loan(0))
    pair.say(SLOT, pair.asked())
    pair.say(RESULT)
    while pair.line.read(0.0):
        pass
    assert [pair.line.take_ahead(Loaned) for _ in range(2)] == [SLOT, None]
    assert [result.frame_id for result in pair.line.results] == [7]


def test_take_ahead_that_was_refused_is_nothing(pair: Pair) -> None:
    """No error: whoever wants a slot asks again."""
    pair.line.ask_ahead(Loan(0))
    pair.say(Error(int(ErrorCode.QUEUE_FULL), 0, "no slot"), pair.asked())
    assert pair.line.take_ahead(Loaned) is None


def test_take_ahead_that_is_not_answered_in_time_can_be_asked_for_again(pair: Pair) -> None:
    """1011, and the answer that comes late still counts."""
    pair.line.ask_ahead(Loan(0))
    with pytest.raises(LiveGateError) as caught:
        pair.line.take_ahead(Loaned)
    assert caught.value.code is ErrorCode.TIMEOUT
    pair.say(SLOT, pair.asked())
    assert pair.line.take_ahead(Loaned) == SLOT


def test_take_ahead_tells_of_a_refused_publish_first(pair: Pair) -> None:
    """Its error is not taken for the answer, which is there the next time."""
    published = pair.line.send(SLOT)
    pair.line.ask_ahead(Loan(0))
    pair.asked()
    pair.say(Error(int(ErrorCode.NO_EXIST), 0, "no such ticket"), published)
    pair.say(SLOT, pair.asked())
    with pytest.raises(LiveGateError) as caught:
        pair.line.take_ahead(Loaned)
    assert caught.value.code is ErrorCode.NO_EXIST
    assert pair.line.take_ahead(Loaned) == SLOT


def test_take_ahead_of_a_server_that_is_gone_is_no_slot_of_it(pair: Pair) -> None:
    """An answer that was read before says nothing of now: 1024."""
    pair.line.ask_ahead(Loan(0))
    pair.say(SLOT, pair.asked())
    assert pair.line.read(1.0)
    pair.server.close()
    with pytest.raises(LiveGateError) as caught:
        pair.line.take_ahead(Loaned)
    assert caught.value.code is ErrorCode.CONNECTION_CLOSE


def test_take_ahead_where_nothing_was_asked_is_nothing(pair: Pair) -> None:
    """And nothing is waited for."""
    assert pair.line.take_ahead(Loaned, extra_s=1e6) is None
