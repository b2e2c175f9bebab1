"""Producers that lie, flood or cheat: refused with the right code, and nobody else notices."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from frame_queue_kit import RawPeer, open_fds
from frame_queue_rig import GENUINE, Consumer, broker_at, eventually
from livegate.client.producer import FrameProducer
from livegate.core.errors import ErrorCode
from livegate.selftest.sealedframes import is_whole, paint
from livegate.shm.broker import Broker
from livegate.shm.layout import (
    HEADER,
    Bye,
    Error,
    Grant,
    Hello,
    Loan,
    Message,
    PixelFormat,
    Publish,
    Release,
    Result,
    encode,
)
from livegate.shm.tally import FrameEvent

BGR = int(PixelFormat.BGR)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frames.sock"


@pytest.fixture
def broker(path: Path) -> Iterator[Broker]:
    """A broker with one honest producer, whose frames must go on being judged."""
    with (
        broker_at(path) as made,
        Consumer(made),
        FrameProducer(path, camera="honest", width=64, height=48) as honest,
    ):
        yield made
        for _ in range(3):
            with honest.loan() as pixels:
                pixels[:] = 1
            assert honest.results(timeout_s=60)[0].has_verdict


@pytest.fixture
def peer(path: Path, broker: Broker) -> Iterator[RawPeer]:
    made = RawPeer(path)
    yield made
    made.close()


def ended(peer: RawPeer) -> bool:
    return peer.receive() is None


def cut(message: Message, size: int) -> bytes:
    return encode(message)[:size]


def lying(message: Message, *, size: int) -> bytes:
    """A message whose header tells another size than it has."""
    packet = bytearray(encode(message))
    struct.pack_into("<I", packet, 8, size)
    return bytes(packet)


FIRST_WORDS: dict[str, tuple[bytes, ErrorCode]] = {
    "one byte": (b"x", ErrorCode.INVALID_PARAM),
    "noise": (bytes(range(200)), ErrorCode.INVALID_PARAM),
    "half a header": (cut(Bye(), 9), ErrorCode.INVALID_PARAM),
    "half a hello": (cut(Hello("x", 64, 48, BGR, 4), 60), ErrorCode.INVALID_PARAM),
    "a hello and more": (encode(Hello("x", 64, 48, BGR, 4)) + b"\0", ErrorCode.INVALID_PARAM),
    "a big packet": (b"\0" * 60_000, ErrorCode.INVALID_PARAM),
    "a size lie": (lying(Hello("x", 64, 48, BGR, 4), size=16), ErrorCode.INVALID_PARAM),
    "another version": (HEADER.pack(0x4D53474C, 2, 1, 16, 0), ErrorCode.UNREALIZED),
    "a publish": (encode(Publish(1, 0, 1, 0)), ErrorCode.NOT_INIT),
    "a loan": (encode(Loan()), ErrorCode.NOT_INIT),
    "our own grant": (encode(Grant(1, 1, 1, 1, 1, 1, 1, 1, 1)), ErrorCode.NOT_INIT),
    "no name": (encode(Hello("", 64, 48, BGR, 4)), ErrorCode.PARAM_FAILURE),
    "a path as a name": (encode(Hello("../x", 64, 48, BGR, 4)), ErrorCode.PARAM_FAILURE),
    "no picture": (encode(Hello("x", 0, 48, BGR, 4)), ErrorCode.OUT_OF_RANGE),
    "a huge picture": (encode(Hello("x", 1 << 31, 1 << 31, BGR, 4)), ErrorCode.OUT_OF_RANGE),
    "too much memory": (encode(Hello("x", 16384, 16384, BGR, 8)), ErrorCode.OUT_OF_MEM),
    "no such format": (encode(Hello("x", 64, 48, 9, 4)), ErrorCode.PARAM_FAILURE),
}


@pytest.mark.parametrize("name", FIRST_WORDS)
def test_first_word_that_is_wrong_ends_the_conversation(
    broker: Broker, peer: RawPeer, name: str
) -> None:
    """One ERROR with its code, then the end; no memory was made."""
    taken = broker.budget.taken_bytes
    packet, code = FIRST_WORDS[name]
    peer.send(packet)
    assert peer.expect_error(code).is_fatal == 1
    assert ended(peer)
    assert broker.budget.taken_bytes == taken
    assert broker.tally.refusals[code] >= 1


LATER_WORDS: dict[str, tuple[bytes, ErrorCode]] = {
    "half a publish": (cut(Publish(1, 0, 1, 0), 20), ErrorCode.INVALID_PARAM),
    "a second hello": (encode(Hello("y", 64, 48, BGR, 4)), ErrorCode.EXIST),
    "our own result": (encode(Result(1, 1, 1, 1, 0, 0, 0)), ErrorCode.INVALID_PARAM),
    "our own error": (encode(Error(1, 1, "x")), ErrorCode.INVALID_PARAM),
}


@pytest.mark.parametrize("name", LATER_WORDS)
def test_later_word_that_is_wrong_ends_the_conversation(
    broker: Broker, peer: RawPeer, name: str
) -> None:
    """After the hello too; everything of it is reclaimed."""
    taken = broker.budget.taken_bytes
    peer.hello("liar")
    peer.loan()
    packet, code = LATER_WORDS[name]
    peer.send(packet)
    assert peer.expect_error(code).is_fatal == 1
    assert ended(peer)
    eventually(lambda: broker.budget.taken_bytes == taken, "its memory")


def test_empty_packet_is_an_end(broker: Broker, peer: RawPeer) -> None:
    """A packet of no bytes looks like an end-of-file, and is one."""
    peer.hello("liar")
    peer.send(b"")
    assert ended(peer)


@pytest.mark.parametrize(
    ("slot", "generation", "code"),
    [
        (0, 2, ErrorCode.NO_EXIST),
        (0, 0, ErrorCode.NO_EXIST),
        (0, (1 << 64) - 1, ErrorCode.NO_EXIST),
        (1, 1, ErrorCode.NO_EXIST),
        (4, 1, ErrorCode.OUT_OF_RANGE),
        ((1 << 32) - 1, 1, ErrorCode.OUT_OF_RANGE),
    ],
)
@pytest.mark.parametrize("kind", [Publish, Release])
def test_ticket_that_is_not_on_loan_is_refused_and_the_loan_stays(
    broker: Broker, peer: RawPeer, kind: type, slot: int, generation: int, code: ErrorCode
) -> None:
    """Wrong generation, foreign slot: refused, the conversation goes on, the honest ticket works."""
    peer.hello("liar")
    loaned = peer.loan()
    assert (loaned.slot, loaned.generation) == (0, 1)
    forged = Publish(generation, 0, 9, slot) if kind is Publish else Release(generation, slot)
    peer.send(forged, request=77)
    assert peer.expect_error(code).is_fatal == 0
    peer.publish(loaned, frame_id=3)
    result = peer.receive()
    assert isinstance(result, Result)
    assert (result.frame_id, result.code) == (3, 0)


def test_published_ticket_cannot_be_published_again(broker: Broker, peer: RawPeer) -> None:
    """A frame is delivered once."""
    peer.hello("liar")
    loaned = peer.loan()
    peer.publish(loaned, frame_id=1)
    peer.publish(loaned, frame_id=2)
    answers = [peer.receive(), peer.receive()]
    codes = sorted(answer.code for answer in answers)  # type: ignore[union-attr]
    assert codes == [0, ErrorCode.NO_EXIST]
    assert broker.tally.camera("liar")[FrameEvent.PUBLISHED] == 1


def test_hoarder_of_loans_is_refused(broker: Broker, peer: RawPeer) -> None:
    """One loan at a time."""
    peer.hello("liar")
    peer.loan()
    peer.send(Loan())
    assert peer.expect_error(ErrorCode.FULL).is_fatal == 0


def test_capture_in_the_future_is_refused(broker: Broker, peer: RawPeer) -> None:
    """A frame that would never grow old."""
    peer.hello("liar")
    peer.publish(peer.loan(), captured_ns=(1 << 64) - 1)
    peer.expect_error(ErrorCode.PARAM_FAILURE)


def test_wait_for_a_slot_is_cut_to_the_servers_limit(path: Path) -> None:
    """wait_ms is the producer's wish only: 49 days would hide its death."""
    with broker_at(path, block_timeout_ms=10) as broker:
        peer = RawPeer(path)
        peer.hello("liar", slots=3)
        kept = []
        for number in (1, 2):  # slot 0: judged, its array lives; slot 1: looked at
            peer.publish(peer.loan(), frame_id=number)
            lease = broker.pop(timeout_s=60)
            kept.append(lease.frame().pixels)
            if number == 1:
                lease.finish(GENUINE)
                assert isinstance(peer.receive(), Result)
        peer.publish(peer.loan(), frame_id=3)  # slot 2: waits
        peer.send(Loan(wait_ms=(1 << 32) - 1))
        peer.expect_error(ErrorCode.QUEUE_FULL)
        kept.clear()
        assert peer.loan().slot == 0
        lease.finish(GENUINE)
        peer.close()


def test_resizing_the_memory_is_refused_by_the_kernel(broker: Broker, peer: RawPeer) -> None:
    """ftruncate, from the peer's own descriptor."""
    grant = peer.hello("liar")
    for size in (0, grant.segment_bytes // 2, grant.segment_bytes * 2):
        with pytest.raises(PermissionError):
            os.ftruncate(peer.fd, size)


def punch_hole(fd: int, offset: int, length: int) -> None:
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    assert libc.fallocate(fd, 3, ctypes.c_int64(offset), ctypes.c_int64(length)) == 0


@pytest.mark.parametrize("trusted", ["all", "none"])
def test_hole_punched_under_a_reader_reads_zeros(path: Path, trusted: str) -> None:
    """Seals do not forbid holes; no reader dies of one, in place or by copy."""
    with broker_at(path, trusted=trusted) as broker:
        peer = RawPeer(path)
        grant = peer.hello("liar", 320, 240)
        loaned = peer.loan()
        os.pwrite(peer.fd, b"\x05" * grant.slot_bytes, loaned.offset)
        peer.publish(loaned)
        with broker.pop(timeout_s=60) as lease:
            punch_hole(peer.fd, 0, grant.segment_bytes)
            assert not lease.frame().pixels.any()
        peer.close()


def test_bytes_changed_while_we_read_do_not_reach_an_untrusted_copy(path: Path) -> None:
    """What was checked is what is judged: the private copy is deaf to later writes."""
    whole = np.zeros((240, 320, 3), np.uint8)
    paint(whole, 5)
    with broker_at(path, trusted="none") as broker:
        peer = RawPeer(path)
        peer.hello("liar", 320, 240)
        loaned = peer.loan()
        os.pwrite(peer.fd, whole.tobytes(), loaned.offset)
        peer.publish(loaned, frame_id=5)
        with broker.pop(timeout_s=60) as lease:
            pixels = lease.frame().pixels
            os.pwrite(peer.fd, b"\xff" * whole.size, loaned.offset)
            assert is_whole(pixels)
            assert np.array_equal(lease.frame().pixels, whole)
        peer.close()


def flood(peer: RawPeer, make: Callable[[int], Message], count: int) -> None:
    """Send without reading until the server has enough."""
    peer.socket.setblocking(False)
    for number in range(count):
        try:
            peer.send(make(number))
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return


def last_word(peer: RawPeer) -> Message | None:
    """What came before the end."""
    peer.socket.settimeout(60)
    last: Message | None = None
    while (message := peer.receive()) is not None:
        last = message
    return last


def test_flood_of_tickets_is_hung_up_on(path: Path) -> None:
    """1018 above frames.max_messages_per_s; an honest producer beside it goes on."""
    with (
        broker_at(path, max_messages_per_s=100) as broker,
        Consumer(broker),
        FrameProducer(path, camera="honest", width=64, height=48) as honest,
    ):
        peer = RawPeer(path)
        peer.hello("liar")
        for number in range(99):
            peer.send(Publish(5, 0, number, 0))
            peer.expect_error(ErrorCode.NO_EXIST)
        flood(peer, lambda number: Publish(5, 0, number, 0), 200)
        last = last_word(peer)
        assert isinstance(last, Error)
        assert (last.code, last.is_fatal) == (ErrorCode.FULL, 1)
        with honest.loan():
            pass
        assert honest.results(timeout_s=60)[0].has_verdict
        peer.close()


def test_peer_that_asks_and_never_reads_is_hung_up_on(broker: Broker, peer: RawPeer) -> None:
    """Its answers are kept by nobody: the kernel's buffer is all there is."""
    peer.hello("liar")
    peer.socket.settimeout(60)
    packet = encode(Publish(5, 0, 1, 0))
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        all(peer.socket.send(packet, socket.MSG_NOSIGNAL) for _ in range(100_000))
    eventually(lambda: [s.camera for s in broker.status] == ["honest"], "its end")


def test_thousand_connects_leave_the_others_alone(path: Path) -> None:
    """Beyond frames.max_connections of one user each is told 1018; no thread, no descriptor stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    before = open_fds()
    with (
        broker_at(path, max_connections=8) as broker,
        Consumer(broker),
        FrameProducer(path, camera="honest", width=64, height=48) as honest,
    ):
        idle = [RawPeer(path) for _ in range(7)]
        eventually(lambda: broker.connections == 8, "the idle ones")
        for peer in [RawPeer(path) for _ in range(1000)]:
            peer.expect_error(ErrorCode.FULL)
            assert ended(peer)
            peer.close()
        assert broker.connections <= 8
        with honest.loan():
            pass
        assert honest.results(timeout_s=60)[0].has_verdict
        for peer in idle:
            peer.close()
        eventually(lambda: broker.connections == 1, "the end of the idle ones")
        with FrameProducer(path, camera="late", width=64, height=48) as late, late.loan():
            pass
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    eventually(lambda: open_fds() <= before + 3, "the descriptors")


def test_descriptors_sent_to_us_are_closed(broker: Broker, peer: RawPeer) -> None:
    """A peer cannot fill our table of descriptors by sending some along."""
    peer.hello("liar")
    eventually(lambda: broker.connections == 2, "the two")
    before = open_fds()
    with (Path("/dev/null")).open("rb") as null:
        for _ in range(20):
            packet = encode(Loan())
            socket.send_fds(peer.socket, [packet], [null.fileno()] * 8)
            peer.receive()
    assert open_fds() == before


def test_thousand_names_do_not_grow_the_counts(path: Path) -> None:
    """Names come from producers; the metrics keep a bounded number of them."""
    with broker_at(path, max_producers=2) as broker:
        for number in range(30):
            with (
                FrameProducer(path, camera=f"n{number}", width=16, height=16) as producer,
                pytest.raises(ZeroDivisionError),
                producer.loan(),
            ):
                raise ZeroDivisionError
        assert len(broker.tally.cameras) <= 9
