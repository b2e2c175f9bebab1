"""Tickets of the frame queue that go into a stream: what the producer's side says to a real broker."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from frame_queue_kit import refused
from frame_queue_rig import Consumer, broker_at, eventually
from livegate.client import FrameProducer, FrameTicket
from livegate.core.errors import ErrorCode
from livegate.shm.broker import Broker
from livegate.shm.ring import SlotState, Ticket


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with broker_at(tmp_path / "frames.sock") as made:
        yield made


@pytest.fixture
def producer(tmp_path: Path, broker: Broker) -> Iterator[FrameProducer]:
    made = FrameProducer(tmp_path / "frames.sock", camera="door", width=64, height=48)
    with made:
        yield made


def loans(broker: Broker) -> int:
    (status,) = broker.status
    return status.slots[SlotState.LOANED]


def test_ticket_names_the_servers_own_memory(broker: Broker, producer: FrameProducer) -> None:
    """Segment, slot and generation are those under which the server finds what was written."""
    with producer.ticket(captured_ns=77) as ticket:
        ticket.pixels[:] = 9
    assert ticket.captured_ns == 77
    source = broker._sources["door"]
    assert source is not None
    assert ticket.segment_id == source.segment.id
    found = Ticket(ticket.slot, ticket.generation)
    source.ring.publish(found)  # raises, were it not on loan under this generation
    source.ring.lease(found)
    _, pixels, _ = source.memory(found)
    assert (pixels == 9).all()
    del pixels
    gc.collect()
    source.ring.release(found)


def test_ticket_is_not_published(broker: Broker, producer: FrameProducer) -> None:
    """The end of the block leaves it on loan; nothing comes into the camera's queue."""
    with Consumer(broker):
        with producer.ticket() as ticket:
            pass
        assert loans(broker) == 1
        producer.give_back(ticket)
        assert loans(broker) == 0
        assert producer.results() == ()
        with producer.loan() as pixels:
            pixels[:] = 1
        (result,) = producer.results(timeout_s=60)
    assert result.frame_id == 1  # tickets use up no number


def test_ticket_of_a_block_that_fails_goes_back(broker: Broker, producer: FrameProducer) -> None:
    """As a loan does; the caller's own error is the one that is told."""
    kept: list[FrameTicket] = []
    with pytest.raises(ZeroDivisionError), producer.ticket() as ticket:
        raise ZeroDivisionError(kept.append(ticket))
    assert loans(broker) == 0
    with refused(ErrorCode.NO_EXIST):
        producer.give_back(kept[0])


def test_ticket_that_its_stream_threw_away_does_not_blind_the_camera(
    producer: FrameProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream ended before it was sent: 1018 for a second, as while one is under way; then slots."""
    with producer.ticket() as lost:
        pass
    with refused(ErrorCode.FULL), producer.ticket():
        pass
    monkeypatch.setattr("livegate.client.producer.LOST_S", 0.0)
    for _ in range(3):
        with producer.loan() as pixels:
            pixels[:] = 1
    with refused(ErrorCode.NO_EXIST):
        producer.give_back(lost)


def test_ticket_goes_back_once(producer: FrameProducer) -> None:
    """A second time there is no such ticket."""
    with producer.ticket() as ticket:
        pass
    producer.give_back(ticket)
    with refused(ErrorCode.NO_EXIST):
        producer.give_back(ticket)


def test_ticket_of_an_earlier_connection_is_refused_here(
    broker: Broker, producer: FrameProducer
) -> None:
    """Generations begin anew with the connection: the old numbers are another ticket's now."""
    with producer.ticket() as old:
        pass
    producer.reconnect()
    with producer.ticket() as new:
        pass
    assert (old.slot, old.generation) == (new.slot, new.generation)
    with refused(ErrorCode.NO_EXIST):
        producer.give_back(old)
    assert loans(broker) == 1
    producer.give_back(new)


def test_ticket_that_is_not_sent_is_the_servers_again_with_the_producers_end(
    broker: Broker, producer: FrameProducer
) -> None:
    """Nothing is lost by forgetting one."""
    with producer.ticket():
        pass
    producer.close()
    eventually(lambda: not broker.status, "the producer's slots are reclaimed")
