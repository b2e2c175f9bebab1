"""Frames from one process to another, without a copy: the honest paths."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from frame_queue_kit import RawPeer, open_fds, refused
from frame_queue_rig import GENUINE, Consumer, Zygote, broker_at, eventually
from livegate.client.producer import FrameProducer
from livegate.core.config import FramesConfig
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.resources import resource_dir
from livegate.core.results import Decision
from livegate.manifests.schema import InputTensor
from livegate.preprocess.cpu import tensor_from_letterbox
from livegate.preprocess.ops import LetterboxPlan
from livegate.preprocess.scratch import Scratch
from livegate.selftest.sealedframes import is_whole, number_of, paint
from livegate.shm.broker import Broker
from livegate.shm.layout import CAP_RELOAN, CAP_RESULTS, Loan, Reloaned, Result
from livegate.shm.lease import Lease
from livegate.shm.outcome import FrameResult
from livegate.shm.ring import SlotState
from livegate.shm.tally import FrameEvent
from support import HANG_S

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frames.sock"


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    made = Zygote(tmp_path)
    yield made
    made.close()


def produce(path: Path, **other: object) -> FrameProducer:
    wanted = {"camera": "door", "width": 320, "height": 240, **other}
    return FrameProducer(path, **wanted)  # type: ignore[arg-type]


def results_of(producer: FrameProducer, count: int) -> list[FrameResult]:
    found: list[FrameResult] = []

    def enough() -> bool:
        found.extend(producer.results())
        return len(found) >= count

    eventually(enough, f"{count} results")
    return found


def test_frame_published_is_judged_and_told(path: Path) -> None:
    """The verdict on a frame comes back to the process that made it."""
    with broker_at(path) as broker, Consumer(broker), produce(path) as producer:
        for number in (1, 2, 3):
            with producer.loan() as pixels:
                assert pixels.shape == (240, 320, 3)
                pixels[:] = number
            (result,) = producer.results(timeout_s=60)
            assert (result.frame_id, result.outcome.decision) == (number, Decision.GENUINE)
            assert result.outcome.score == pytest.approx(0.9)
            assert result.has_verdict
        assert broker.tally.camera("door")[FrameEvent.JUDGED] == 3
        assert broker.tally.camera("door")[FrameEvent.COPIED_BYTES] == 0


def test_results_are_given_to_the_callback(path: Path) -> None:
    """Who gives a callback hears each result there, once."""
    heard: list[FrameResult] = []
    with (
        broker_at(path) as broker,
        Consumer(broker),
        produce(path, on_result=heard.append) as producer,
    ):
        with producer.loan(frame_id=77):
            pass
        eventually(lambda: bool(producer.results()) or bool(heard), "a result")
    assert [result.frame_id for result in heard] == [77]


def test_slot_of_a_judged_frame_comes_back_with_its_result(path: Path) -> None:
    """It is on loan again before anybody asks, and the next loan writes to the same memory."""
    with broker_at(path) as broker, Consumer(broker), produce(path) as producer:
        with producer.loan() as pixels:
            where = pixels.ctypes.data
        for _ in range(3):
            (result,) = producer.results(timeout_s=HANG_S)
            assert result.has_verdict
            assert broker.status[0].slots[SlotState.LOANED] == 1
            with producer.loan() as pixels:
                assert pixels.ctypes.data == where


def test_slot_that_is_asked_for_while_it_comes_back_is_one_loan(path: Path) -> None:
    """LOANED then names the slot of RELOANED; who has read that one may not have another."""
    with broker_at(path) as broker, Consumer(broker), contextlib.closing(RawPeer(path)) as peer:
        grant = peer.hello(capabilities=CAP_RESULTS | CAP_RELOAN)
        assert grant.capabilities == CAP_RESULTS | CAP_RELOAN
        peer.publish(peer.loan())
        result = peer.receive()
        assert isinstance(result, Reloaned)
        again = peer.loan()
        assert (again.slot, again.generation) == (result.slot, result.generation + 1)
        peer.send(Loan(reloaned=1))
        peer.expect_error(ErrorCode.FULL)


def test_slots_come_back_to_nobody_who_wants_no_results(path: Path) -> None:
    """The grant says what was got."""
    with broker_at(path), contextlib.closing(RawPeer(path)) as peer:
        assert peer.hello(capabilities=CAP_RELOAN).capabilities == 0


def test_slot_does_not_come_back_to_who_did_not_ask_for_that(path: Path) -> None:
    """A plain RESULT, and every slot is free."""
    with broker_at(path) as broker, Consumer(broker), contextlib.closing(RawPeer(path)) as peer:
        assert peer.hello().capabilities == CAP_RESULTS
        peer.publish(peer.loan())
        assert type(peer.receive()) is Result
        assert broker.status[0].slots[SlotState.FREE] == 4


def test_slot_comes_whole_again_whatever_was_done_to_its_array(path: Path) -> None:
    """A producer that made its array read-only writes the next picture into a fresh one."""
    with broker_at(path) as broker, Consumer(broker), produce(path, slots=1) as producer:
        for _ in range(4):  # of three slots, the least that are granted
            with producer.loan(timeout_s=1) as pixels:
                pixels[:] = 7
                pixels.flags.writeable = False
            results_of(producer, 1)


def test_loan_left_by_an_exception_publishes_nothing(path: Path) -> None:
    """A half-written picture is never judged, and its slot is back."""
    with broker_at(path) as broker, Consumer(broker), produce(path) as producer:
        with pytest.raises(ZeroDivisionError), producer.loan():
            raise ZeroDivisionError
        counts = broker.tally.camera("door")
        assert (counts[FrameEvent.DISCARDED], counts[FrameEvent.PUBLISHED]) == (1, 0)
        assert broker.status[0].slots[SlotState.FREE] == 4


def memfd_spans() -> list[tuple[int, int, str]]:
    """The memfds that this process has mapped for reading only: the server's mappings."""
    spans = []
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[1] == "r--s" and "/memfd:livegate-" in line:
            first, last = (int(end, 16) for end in words[0].split("-"))
            spans.append((first, last, words[5]))
    return spans


def test_array_that_preprocessing_reads_lies_inside_the_slot(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero copy, by address: what the detector's one resize reads is the producer's own memory."""
    read: list[tuple[int, int]] = []
    real_resize = cv2.resize

    def watched(source: np.ndarray, *args: object, **kwargs: object) -> object:
        first = source.__array_interface__["data"][0]
        last = first + (source.shape[0] - 1) * source.strides[0] + source.shape[1] * 3
        read.append((first, last))
        return real_resize(source, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(cv2, "resize", watched)
    spans: list[tuple[int, int, str]] = []
    sums: list[float] = []
    plan = LetterboxPlan(160, 120, 160, 128, 0.5, 0.5)
    shape = (1, 3, 128, 160)
    spec = InputTensor(name="x", shape=shape, layout="NCHW", dtype="float32", colour="BGR")

    def look(lease: Lease) -> None:
        spans[:] = memfd_spans()
        scratch = Scratch()
        tensor = tensor_from_letterbox(lease.frame(), plan, spec, 0, scratch, "t")
        sums.append(float(tensor.max()))

    with broker_at(path) as broker, Consumer(broker, look), produce(path) as producer:
        with producer.loan() as pixels:
            pixels[:] = 200
        assert producer.results(timeout_s=60)[0].has_verdict
        copied = broker.tally.camera("door")[FrameEvent.COPIED_BYTES]
    ((first, last),) = read
    assert [name for a, b, name in spans if a <= first < last <= b] == ["/memfd:livegate-door"]
    assert sums == [200.0]
    assert copied == 0


def test_untrusted_frame_is_copied_once_and_counted(path: Path) -> None:
    """The other mode says what it costs: one picture's bytes for each frame."""
    copies: list[bool] = []
    with (
        broker_at(path, trusted="none") as broker,
        Consumer(broker, lambda lease: copies.append(lease.view().is_copy)),
        produce(path) as producer,
    ):
        for _ in range(3):
            with producer.loan() as pixels:
                pixels[:] = 1
            producer.results(timeout_s=60)
        counts = broker.tally.camera("door")
    assert copies == [True] * 3
    assert counts[FrameEvent.COPIED] == 3
    assert counts[FrameEvent.COPIED_BYTES] == 3 * 320 * 240 * 3


def test_nv12_frame_arrives_as_planes(path: Path) -> None:
    """(H * 3 / 2, W), in place."""
    seen: list[tuple[tuple[int, ...], int, int]] = []

    def look(lease: Lease) -> None:
        pixels = lease.view().pixels
        seen.append((pixels.shape, int(pixels[0, 0]), int(pixels[240, 0])))

    with (
        broker_at(path) as broker,
        Consumer(broker, look),
        produce(path, pixel_format="NV12") as producer,
    ):
        with producer.loan() as pixels:
            pixels[:240], pixels[240:] = 16, 128
        producer.results(timeout_s=60)
    assert seen == [((360, 320), 16, 128)]


def test_newest_frame_wins_and_the_leased_one_stays(path: Path) -> None:
    """A slow reader finds the newest picture next, and the one it holds does not change."""
    with broker_at(path) as broker, produce(path) as producer:
        with producer.loan() as pixels:
            paint(pixels, 1)
        lease = broker.pop(timeout_s=60)
        for number in range(2, 12):
            with producer.loan() as pixels:
                paint(pixels, number)
            assert is_whole(lease.frame().pixels)
        assert number_of(lease.frame().pixels) == 1
        lease.finish(GENUINE)
        eventually(lambda: broker.tally.camera("door")[FrameEvent.PUBLISHED] == 11, "frames")
        last = broker.pop(timeout_s=60)
        assert number_of(last.frame().pixels) == 11
        last.finish(GENUINE)
        told = {r.frame_id: int(r.outcome.code) for r in results_of(producer, 11)}
    assert told == {1: 0, 11: 0, **dict.fromkeys(range(2, 11), 5003)}


def test_full_queue_rejects_with_5003(path: Path) -> None:
    """REJECT: the producer hears at once, and what waits is kept."""
    with broker_at(path, policy="reject") as broker, produce(path) as producer:
        for _ in range(3):
            with producer.loan(timeout_s=1):
                pass
        assert [int(r.outcome.code) for r in results_of(producer, 2)] == [5003, 5003]
        with broker.pop(timeout_s=60) as lease:
            assert lease.frame_id == 1


def test_blocked_publish_ends_at_its_deadline(path: Path) -> None:
    """BLOCK: 5003 after frames.block_timeout_ms, without any reader."""
    with (
        broker_at(path, policy="block", block_timeout_ms=20),
        produce(path) as producer,
    ):
        for _ in range(2):
            with producer.loan():
                pass
        (result,) = results_of(producer, 1)
        assert (result.frame_id, int(result.outcome.code)) == (2, 5003)


def test_stop_tells_who_waits_and_who_comes(path: Path) -> None:
    """5002 for the frame in the queue, for the consumer that waits, 1024 for the producer then."""
    codes: list[ErrorCode] = []
    with broker_at(path) as broker, produce(path) as producer:
        with producer.loan():
            pass
        eventually(lambda: broker.status[0].waiting == 1, "the frame in the queue")
        broker.stop()
        codes += [result.outcome.code for result in producer.results(timeout_s=60)]
        with refused(ErrorCode.QUEUE_STOPED):
            broker.pop()
        with refused(ErrorCode.CONNECTION_CLOSE):
            producer.results(timeout_s=60)
        with refused(ErrorCode.CONNECTION_CLOSE), producer.loan():
            pass
    assert codes == [ErrorCode.QUEUE_STOPED]


def test_second_broker_on_a_live_path_is_refused(path: Path) -> None:
    """1017, and the first goes on."""
    with broker_at(path) as broker, Consumer(broker), produce(path) as producer:
        with refused(ErrorCode.BUSY), broker_at(path):
            pass
        with producer.loan():
            pass
        assert producer.results(timeout_s=60)[0].has_verdict


def test_second_producer_of_a_name_is_refused(path: Path) -> None:
    """1015, and the first goes on; the name is free again when it leaves."""
    with broker_at(path) as broker, Consumer(broker):
        with produce(path) as first:
            with refused(ErrorCode.EXIST):
                produce(path).connect()
            with first.loan():
                pass
            assert first.results(timeout_s=60)[0].has_verdict
        with produce(path) as second, second.loan():
            pass


def test_one_producer_too_many_is_refused(path: Path) -> None:
    """1018 beyond frames.max_producers."""
    with broker_at(path, max_producers=1), produce(path), refused(ErrorCode.FULL):
        produce(path, camera="yard").connect()


def test_producer_above_the_ceiling_is_refused_with_the_missing_amount(path: Path) -> None:
    """1006 at once, and nothing is left behind."""
    with broker_at(path, ceiling_mib=1) as broker:
        before = open_fds()
        with refused(ErrorCode.OUT_OF_MEM) as caught:
            produce(path, width=1280, height=720).connect()
        assert "missing" in caught.value.message
        eventually(lambda: broker.connections == 0, "the connection's end")
        assert (open_fds(), broker.budget.taken_bytes) == (before, 0)


def test_producer_without_a_server_is_told(path: Path) -> None:
    """1025 with the way out."""
    with refused(ErrorCode.CONNECTION_FAILURE):
        produce(path).connect()


def test_producer_not_connected_is_told() -> None:
    """1024 before connect and after close."""
    with refused(ErrorCode.CONNECTION_CLOSE):
        produce(Path("nowhere")).results()


def test_producer_connected_twice_is_refused(path: Path) -> None:
    """A second connect would lose the first's memory."""
    with broker_at(path), produce(path) as producer, refused(ErrorCode.EXIST):
        producer.connect()


def test_user_who_is_not_on_the_list_is_refused(path: Path, zygote: Zygote, tmp_path: Path) -> None:
    """1010 by the kernel's word on who it is; the server's own user is never shut out."""
    puppet = zygote.spawn()
    if not puppet.do("setuid 65534").startswith("ok"):
        puppet.kill()
        pytest.skip("only root can become somebody else")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    with broker_at(path, allow_uids=(4_000_000,)) as broker:
        assert "1010" in puppet.do(f"connect {path} guest 64 48")
        assert broker.tally.refusals == {ErrorCode.NO_PERMISSION: 1}
        with produce(path):
            assert len(broker.status) == 1
    puppet.kill()


def test_other_user_on_the_list_is_let_in_and_not_trusted(
    path: Path, zygote: Zygote, tmp_path: Path
) -> None:
    """Same uid is trusted by default, another one is copied."""
    puppet = zygote.spawn()
    if not puppet.do("setuid 65534").startswith("ok"):
        puppet.kill()
        pytest.skip("only root can become somebody else")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    copies: list[bool] = []
    with (
        broker_at(path, allow_uids=(0, 65534)) as broker,
        Consumer(broker, lambda lease: copies.append(lease.view().is_copy)),
    ):
        assert puppet.do(f"connect {path} guest 64 48") == "ok 4"
        assert not broker.status[0].is_trusted
        puppet.do("loan")
        puppet.do("publish")
        assert puppet.do("results") == "ok 1:0"
    puppet.kill()
    assert copies == [True]


def test_cameras_take_turns(path: Path) -> None:
    """A fast producer does not starve a slow one."""
    with (
        broker_at(path, policy="reject", max_waiting=5) as broker,
        produce(path, camera="fast", slots=8) as fast,
        produce(path, camera="slow") as slow,
    ):
        for _ in range(5):
            with fast.loan():
                pass
        with slow.loan():
            pass
        eventually(lambda: sum(s.waiting for s in broker.status) == 6, "six frames")
        served = []
        for _ in range(3):
            with broker.pop(timeout_s=60) as lease:
                served.append(lease.camera)
                lease.finish(GENUINE)
    assert served[:2] in (["fast", "slow"], ["slow", "fast"])
    assert served[2] == "fast"


def test_frames_of_one_camera_looked_at_at_once_are_bounded(path: Path) -> None:
    """With frames.max_leases out the next frame waits, and its producer still finds a slot."""
    with broker_at(path, max_leases=1) as broker, produce(path) as producer:
        with producer.loan():
            pass
        lease = broker.pop(timeout_s=60)
        for _ in range(10):
            with producer.loan():
                pass
        eventually(lambda: broker.tally.camera("door")[FrameEvent.PUBLISHED] == 11, "frames")
        with refused(ErrorCode.QUEUE_EMPTY):
            broker.pop(timeout_s=0)
        lease.finish(GENUINE)
        with broker.pop(timeout_s=0) as last:
            assert last.frame_id == 11


def test_c_producer_hands_over_its_frames(path: Path, tmp_path: Path) -> None:
    """The documented example compiles without a warning and is understood, pixel by pixel."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here: apt install gcc")
    source = ROOT / "docs" / "examples" / "frame_producer.c"
    binary = tmp_path / "frame_producer"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{resource_dir('proto')}"]
    subprocess.run([compiler, *flags, str(source), "-o", str(binary)], check=True)
    wrong: list[int] = []

    def look(lease: Lease) -> None:
        pixels = lease.frame().pixels
        y, x = np.indices((48, 100 * 3))
        wanted = (x + y + lease.frame_id).astype(np.uint8).reshape(48, 100, 3)
        if not np.array_equal(pixels, wanted):
            wrong.append(lease.frame_id)

    with broker_at(path) as broker, Consumer(broker, look):
        arguments = [str(binary), str(path), "c-door", "100", "48", "25"]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"frame {n} code 0 decision 1 score 0.900 gate -" for n in range(1, 26)
    ]
    assert wrong == []


def test_frames_of_four_processes_are_whole_and_come_once(path: Path, zygote: Zygote) -> None:
    """Pattern frames with checksums under stalls: none torn, none twice, none out of order."""
    seen: dict[str, list[int]] = {}
    torn: list[tuple[str, int]] = []

    def look(lease: Lease) -> None:
        pixels = lease.frame().pixels
        if not is_whole(pixels) or number_of(pixels) != lease.frame_id:
            torn.append((lease.camera, lease.frame_id))
        seen.setdefault(lease.camera, []).append(lease.frame_id)

    names = ("a", "b", "c", "d")
    with broker_at(path) as broker, Consumer(broker, look):
        puppets = [zygote.spawn() for _ in names]
        for name, puppet in zip(names, puppets, strict=True):
            assert puppet.do(f"connect {path} {name} 320 240") == "ok 4"
            puppet.tell(f"run {ord(name)}")
        eventually(lambda: all(len(seen.get(name, ())) >= 100 for name in names), "400 frames")
        for puppet in puppets:
            puppet.kill()
        eventually(lambda: broker.status == (), "the end of the dead")
    assert torn == []
    for numbers in seen.values():
        assert numbers == sorted(set(numbers))


def test_torn_frame_is_seen_by_the_check_of_these_tests(path: Path) -> None:
    """The check above can fail: a producer that writes after its publish is found out."""
    with broker_at(path) as broker:
        peer = RawPeer(path)
        grant = peer.hello(width=320, height=240)
        loaned = peer.loan()
        whole = np.zeros((240, 320, 3), np.uint8)
        paint(whole, 5)
        os.pwrite(peer.fd, whole.tobytes(), loaned.offset)
        peer.publish(loaned, frame_id=5)
        with broker.pop(timeout_s=60) as lease:
            assert is_whole(lease.frame().pixels)
            os.pwrite(peer.fd, b"\xff\x00\xff", loaned.offset + grant.stride * 100)
            assert not is_whole(lease.frame().pixels)
        peer.close()


def test_descriptors_threads_and_memory_are_flat_over_many_producers(path: Path) -> None:
    """A hundred producers come and go; nothing of them stays."""
    with broker_at(path) as broker, Consumer(broker):
        with produce(path) as producer, producer.loan():
            pass
        eventually(lambda: broker.connections == 0, "the first one's end")
        before = (open_fds(), threading.active_count())
        for number in range(100):
            with produce(path, camera=f"cam{number}") as producer:
                with producer.loan():
                    pass
                producer.results(timeout_s=60)
        eventually(lambda: broker.connections == 0, "the last one's end")
        eventually(lambda: threading.active_count() == before[1], "the last thread's end")
        broker.sweep()
        assert broker.budget.taken_bytes == 0
        assert open_fds() == before[0]


def test_view_kept_after_the_producer_left_is_still_readable(path: Path) -> None:
    """No fault: the mapping lives as long as the array, the budget until it is dead."""
    with broker_at(path) as broker:
        with produce(path) as producer:
            with producer.loan() as pixels:
                paint(pixels, 3)
            lease = broker.pop(timeout_s=60)
            kept = lease.frame().pixels[1:]
            lease.finish(GENUINE)
        eventually(lambda: broker.connections == 0, "the producer's end")
        assert int(kept.sum()) > 0
        assert broker.budget.taken_bytes > 0
        del kept
        with refused(ErrorCode.QUEUE_EMPTY):
            broker.pop(timeout_s=0)
        assert broker.budget.taken_bytes == 0


def test_silent_peer_is_hung_up_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says no HELLO in time gives its place to others: 1011."""
    monkeypatch.setattr("livegate.shm.connection.HELLO_TIMEOUT_S", 0.05)
    with broker_at(path) as broker:
        peer = RawPeer(path)
        peer.expect_error(ErrorCode.TIMEOUT)
        assert peer.receive() is None
        eventually(lambda: broker.connections == 0, "its end")
        peer.close()


def test_reconnect_after_the_server_restarted_works(path: Path) -> None:
    """Explicitly, and with new memory."""
    producer = produce(path)
    with broker_at(path) as broker, Consumer(broker):
        producer.connect()
    with refused(ErrorCode.CONNECTION_CLOSE), producer.loan():
        pass
    with broker_at(path) as broker, Consumer(broker):
        producer.reconnect()
        with producer.loan():
            pass
        assert producer.results(timeout_s=60)[0].has_verdict
        producer.close()


def test_stale_captured_frame_is_not_judged(path: Path) -> None:
    """A camera that stalled hands over the past: 1011."""
    with broker_at(path, max_frame_age_ms=1000) as broker, Consumer(broker), produce(path) as producer:
        with producer.loan(captured_ns=time.monotonic_ns() - 5_000_000_000):
            pass
        (result,) = producer.results(timeout_s=60)
        assert (result.outcome.code, result.has_verdict) == (ErrorCode.TIMEOUT, False)


def test_producer_whose_clock_was_wrong_goes_on(path: Path) -> None:
    """A capture in the future is refused, and the next frame gets a slot all the same."""
    with broker_at(path) as broker, Consumer(broker), produce(path) as producer:
        for _ in range(5):
            with producer.loan(captured_ns=time.time_ns()):
                pass
            with pytest.raises(LiveGateError, match="in the future"):
                producer.results(timeout_s=60)
        with producer.loan():
            pass
        assert producer.results(timeout_s=60)[0].has_verdict


def test_broker_stopped_before_its_start_is_harmless(path: Path) -> None:
    """A start that failed elsewhere is cleaned up by the same call."""
    broker = Broker(path, FramesConfig())
    broker.stop()
    with refused(ErrorCode.QUEUE_STOPED):
        broker.pop()
