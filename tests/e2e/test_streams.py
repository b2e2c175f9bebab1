"""StreamFrames and WatchCamera against a real server."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2

from e2e.pictures import jpeg
from e2e.running import Running, start, wait_until
from e2e.wire import WAIT_S, Wire, framed, opened, told, wire
from livegate.client import FrameProducer, FrameTicket, LivenessClient
from livegate.core.errors import LiveGateError
from livegate.v1 import liveness_pb2 as pb
from support import noise, reference_flags, shared

FRAMES = 6


@pytest.fixture
def calls(server: Running) -> Iterator[Wire]:
    with wire(server.grpc) as spoken:
        yield spoken


def refused(call: Any) -> tuple[int, str]:
    """The code that ends a stream, after whatever answers it gave."""
    with pytest.raises(grpc.RpcError) as caught:
        for _ in call:
            pass
    return told(caught.value)


def test_frames_are_answered_in_order_with_their_numbers(calls: Wire) -> None:
    """Each frame gets one answer that names it, its size and what was found."""
    picture = jpeg(96, 64)
    sent = [framed(10 + n, image=picture) for n in range(FRAMES)]
    answers = calls.frames(opened(task_id="gate 1"), *sent)
    assert [answer.frame_id for answer in answers] == list(range(10, 10 + FRAMES))
    for answer in answers:
        assert answer.code == 9022
        assert answer.task_id == "gate 1"
        assert answer.frame_pts == 40 * answer.frame_id
        assert (answer.src_width, answer.src_height) == (96, 64)
        assert (answer.frame_width, answer.frame_height) == (96, 64)
        assert [result.algo_type for result in answer.results] == ["1031", "9001"]
        assert answer.detect_objects
        assert answer.task_code == 0
        assert answer.timestamp > 0


def test_words_of_the_gate_come_once_and_never_open_on_a_spoof(calls: Wire) -> None:
    """The null backend calls everybody a spoof: HOLD at first, then DENY, then silence."""
    picture = jpeg(96, 64)
    answers = calls.frames(opened(), *(framed(n, image=picture) for n in range(8)))
    words = [pb.GateDecision.Name(a.gate).removeprefix("GATE_DECISION_") for a in answers]
    assert words == ["HOLD", "UNSPECIFIED", "DENY", *["UNSPECIFIED"] * 5]
    assert {answer.person for answer in answers} == {1}
    assert list(answers[-1].reasons) == ["ENOUGH_SPOOF_FRAMES"]


def test_raw_pictures_are_judged_as_files_are(calls: Wire) -> None:
    """BGR and NV12 bytes without a file around them."""
    bgr = noise(96, 64)
    nv12 = np.zeros((96, 96), np.uint8)
    raws = (
        pb.RawPicture(width=96, height=64, pixel_format="PIXEL_FORMAT_BGR", pixels=bgr.tobytes()),
        pb.RawPicture(width=96, height=64, pixel_format="PIXEL_FORMAT_NV12", pixels=nv12.tobytes()),
    )
    answers = calls.frames(opened(), *(framed(n, raw=raw) for n, raw in enumerate(raws)))
    assert [answer.task_code for answer in answers] == [0, 0]
    assert [answer.src_width for answer in answers] == [96, 96]


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        ({"image": b""}, 1028),
        ({"image": b"garbage"}, 1028),
        ({"image": jpeg(64, 64)[:200]}, 1028),
        ({"image": jpeg(16, 16)}, 1031),
        ({}, 1028),
        ({"raw": pb.RawPicture(width=64, height=64, pixel_format="PIXEL_FORMAT_BGR")}, 1031),
        ({"raw": pb.RawPicture(width=64, height=64, pixels=bytes(64 * 64 * 3))}, 1031),
        ({"raw": pb.RawPicture(width=-1, height=64, pixel_format="PIXEL_FORMAT_BGR")}, 1031),
        ({"raw": pb.RawPicture(width=1 << 30, height=64, pixel_format="PIXEL_FORMAT_BGR")}, 1009),
        ({"raw": pb.RawPicture(width=65, height=64, pixel_format="PIXEL_FORMAT_NV12")}, 1031),
        ({"ticket": pb.FrameTicket(segment_id=1, slot=0, generation=1)}, 1016),
    ],
)
def test_bad_frame_is_answered_and_the_stream_goes_on(
    calls: Wire, picture: dict[str, Any], code: int
) -> None:
    """A code and a text for the bad one; the good ones beside it do not notice."""
    good = jpeg(96, 64)
    answers = calls.frames(opened(), framed(1, image=good), framed(2, **picture), framed(3, image=good))
    assert [answer.frame_id for answer in answers] == [1, 2, 3]
    assert [answer.task_code for answer in answers] == [0, code, 0]
    assert answers[1].msg
    assert not answers[1].results
    assert answers[1].gate != pb.GATE_DECISION_OPEN
    assert list(answers[1].reasons) == ["FAILURE"]


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ((), 1031),
        ((framed(1, image=b"x"),), 1031),
        ((b"\xff\xff\xff",), 1004),
        ((opened(code=1019),), 1031),
        ((opened(algo_tasks=()),), 1031),
        ((opened(algo_tasks=(4711,)),), 1031),
        ((opened(rotation=45),), 1031),
        ((opened(min_face_height=2.0),), 1031),
        ((opened(region=pb.Region(x=0.5, y=0.5, width=0.6, height=0.5)),), 1027),
        ((opened(region=pb.Region(x=float("nan"), y=0, width=1, height=1)),), 1027),
        ((opened(region=pb.Region()),), 1027),
        ((opened(task_id="x" * 1025),), 1031),
        ((opened(overflow=77),), 1031),
        ((opened(), opened()), 1031),
        ((opened(), b"\xff\xff\xff"), 1004),
    ],
)
def test_bad_stream_ends_with_its_code(calls: Wire, messages: tuple[Any, ...], code: int) -> None:
    """What cannot be a stream is refused as a whole."""
    assert refused(calls.stream_frames(iter(messages), timeout=WAIT_S))[0] == code


def test_answers_before_a_broken_message_still_come(calls: Wire) -> None:
    """The frame before it is answered, then the stream ends."""
    call = calls.stream_frames(
        iter((opened(), framed(7, image=jpeg(96, 64)), b"\xff\xff")), timeout=WAIT_S
    )
    assert next(call).frame_id == 7
    assert refused(call)[0] == 1004


def test_rotation_and_mirroring_give_an_upright_picture(calls: Wire) -> None:
    """The answer tells the size as it came and as it was looked at."""
    for rotation, size in ((0, (96, 64)), (90, (64, 96)), (180, (96, 64)), (270, (64, 96))):
        for mirror in (False, True):
            (answer,) = calls.frames(
                opened(rotation=rotation, mirror=mirror), framed(1, image=jpeg(96, 64))
            )
            assert (answer.src_width, answer.src_height) == (96, 64)
            assert (answer.frame_width, answer.frame_height) == size


def test_faces_that_do_not_count_are_told_with_the_reason(calls: Wire) -> None:
    """Too small a face, or one outside the region: found, but nobody stands in front."""
    far = calls.frames(opened(min_face_height=1.0), framed(1, image=jpeg(96, 64)))[0]
    assert far.person == 0
    assert far.detect_objects
    assert list(far.reasons) == ["FACE_TOO_SMALL"]
    assert far.results[0].score == -1
    corner = pb.Region(x=0.9, y=0.9, width=0.1, height=0.1)
    outside = calls.frames(opened(region=corner), framed(1, image=jpeg(96, 64)))[0]
    assert outside.person == 0
    assert list(outside.reasons) == ["FACE_OUTSIDE_REGION"]


def test_frames_that_waited_on_their_way_open_nothing(calls: Wire) -> None:
    """A client on the box tells when a frame was taken; one from the future is refused."""
    now_ns = time.monotonic_ns()
    old, future = framed(1, image=jpeg(96, 64)), framed(2, image=jpeg(96, 64))
    old.frame.captured_ns = now_ns - 5 * 10**9
    future.frame.captured_ns = now_ns + 3600 * 10**9
    answers = calls.frames(opened(), old, future)
    assert list(answers[0].reasons) == ["STALE_FRAME"]
    assert answers[1].task_code == 1031
    assert "future" in answers[1].msg


def test_detection_alone_has_no_gate(calls: Wire) -> None:
    """Without silent liveness nothing is said to a turnstile."""
    answers = calls.frames(
        opened(algo_tasks=(9001,)), *(framed(n, image=jpeg(96, 64)) for n in range(4))
    )
    assert {answer.gate for answer in answers} == {0}


def test_newest_frame_wins_where_that_is_asked_for(folder: Path) -> None:
    """While one is looked at the next waits, and is answered 5003 when a newer one comes."""
    running = start(folder, "--workers", "1")
    try:
        with wire(running.grpc) as spoken:
            picture = jpeg(2000, 2000)
            sent = [framed(n, image=picture) for n in range(30)]
            answers = spoken.frames(opened(overflow="OVERFLOW_NEWEST_WINS"), *sent)
    finally:
        running.stop()
    assert [answer.frame_id for answer in answers] == list(range(30))
    codes = {answer.task_code for answer in answers}
    assert codes == {0, 5003}
    assert answers[-1].task_code == 0  # the newest is always looked at


SMALL_WINDOW = (("grpc.http2.lookahead_bytes", 4096), ("grpc.http2.bdp_probe", 0))
"""Of a client: a few answers fill it."""


def test_reader_that_does_not_read_stops_the_sender_and_takes_no_memory(folder: Path) -> None:
    """Hundreds of large frames against a reader that never reads: the server takes in a handful."""
    running = start(folder)
    sent = 0

    def messages() -> Iterator[Any]:
        nonlocal sent
        yield opened()
        for number in range(400):
            sent = number
            yield framed(number, image=picture)

    picture = jpeg(900, 900)
    try:
        with grpc.insecure_channel(running.grpc, options=SMALL_WINDOW) as channel:
            resident = psutil.Process(running.process.pid).memory_info().rss
            call = Wire(channel).stream_frames(messages(), timeout=WAIT_S)
            wait_until(lambda: sent > 4)
            judged = None
            while judged != (judged := _judged(running)):
                threading.Event().wait(0.5)  # until nothing moves any more
            assert sent < 100
            grown = psutil.Process(running.process.pid).memory_info().rss - resident
            assert grown < 150 << 20
            call.cancel()
        wait_until(lambda: "livegate_streams 0.0" in running.get("/metrics")[1])
        assert running.queue_depth() == 0
    finally:
        assert running.stop() == 0


def _judged(running: Running) -> float:
    rows = running.get("/metrics")[1].splitlines()
    name = 'livegate_verdicts_total{decision="SPOOF",task="silent_liveness"}'
    return next((float(row.rpartition(" ")[2]) for row in rows if row.startswith(name)), 0.0)


def test_one_stream_too_many_is_refused_and_a_place_comes_back(folder: Path) -> None:
    """grpc.max_streams holds; closing one makes room."""
    running = start(folder, "--set", "grpc.max_streams=1")
    try:
        with wire(running.grpc) as spoken:
            ended = threading.Event()

            def open_until_told() -> Iterator[Any]:
                yield opened()
                yield framed(1, image=jpeg(96, 64))
                ended.wait(WAIT_S)

            first = spoken.stream_frames(open_until_told(), timeout=WAIT_S)
            assert next(first).frame_id == 1
            assert refused(spoken.stream_frames(iter([opened()]), timeout=WAIT_S))[0] == 1018
            ended.set()
            assert list(first) == []
            assert len(spoken.frames(opened(), framed(1, image=jpeg(96, 64)))) == 1
    finally:
        running.stop()


def test_stream_hears_that_the_server_stops(folder: Path) -> None:
    """A stream that is open at the stop ends; the server's exit is clean."""
    running = start(folder)
    with wire(running.grpc) as spoken:
        ended = threading.Event()

        def messages() -> Iterator[Any]:
            yield opened()
            number = 0
            while not ended.is_set():
                number += 1
                yield framed(number, image=jpeg(96, 64))

        call = spoken.stream_frames(messages(), timeout=WAIT_S)
        next(call)
        running.process.terminate()
        with pytest.raises(grpc.RpcError) as caught:
            for _ in call:
                pass
        ended.set()
        assert told(caught.value)[0] == 5002
    assert running.process.wait(WAIT_S) == 0, running.log.read_text()


def test_idle_stream_hears_that_the_server_stops(folder: Path) -> None:
    """One that sends nothing, and one that has not opened: 5002 to the first, both end, exit 0."""
    running = start(folder)
    released = threading.Event()

    def silent(*messages: Any) -> Iterator[Any]:
        yield from messages
        released.wait(WAIT_S)

    with wire(running.grpc) as spoken:
        idle = spoken.stream_frames(silent(opened(), framed(1, image=jpeg(96, 64))), timeout=WAIT_S)
        assert next(idle).frame_id == 1
        running.process.terminate()
        assert refused(idle)[0] == 5002
        released.set()
    assert running.process.wait(WAIT_S) == 0, running.log.read_text()


def test_health_watchers_do_not_take_every_place(folder: Path) -> None:
    """Watching the health needs no token, so there is a bound; the service goes on."""
    running = start(folder)
    try:
        with grpc.insecure_channel(running.grpc) as channel, wire(running.grpc) as spoken:
            watch = channel.unary_stream(
                "/grpc.health.v1.Health/Watch",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            calls = [watch(health_pb2.HealthCheckRequest(), timeout=WAIT_S) for _ in range(300)]
            ends = sum(not _has_answer(call) for call in calls)
            assert ends >= 280
            assert len(spoken.frames(opened(), framed(1, image=jpeg(96, 64)))) == 1
            for call in calls:
                call.cancel()
    finally:
        assert running.stop() == 0


def _has_answer(call: Any) -> bool:
    try:
        next(call)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return False
    return True


# --- tickets ------------------------------------------------------------------------------------


def frames_socket(running: Running) -> Path:
    return Path(running.socket).with_name("frames.sock")


def test_watcher_hears_of_every_frame_of_a_camera(server: Running, calls: Wire) -> None:
    """A producer's frames, its leaving, and the same words that the producer heard."""
    written = answers_written(server)
    with FrameProducer(frames_socket(server), camera="hall", width=320, height=240) as producer:
        watch = calls.watch_camera(pb.WatchCameraRequest(camera="hall"), timeout=WAIT_S)
        heard: list[Any] = []
        reading = threading.Thread(target=lambda: heard.extend(_until_gone(watch)))
        reading.start()
        wait_until(lambda: "livegate_streams 1.0" in server.get("/metrics")[1])
        results = []
        for number in range(1, 5):
            with producer.loan(frame_id=number) as slot:
                slot[:] = noise(320, 240)
            results.extend(producer.results(timeout_s=WAIT_S))
    reading.join(WAIT_S)
    watch.cancel()
    told_frames = [answer for answer in heard if answer.frame_id]
    assert [answer.frame_id for answer in told_frames] == [1, 2, 3, 4]
    words = [result.outcome.gate.value if result.outcome.gate else "UNSPECIFIED" for result in results]
    assert words == ["HOLD", "UNSPECIFIED", "DENY", "UNSPECIFIED"]
    assert [pb.GateDecision.Name(a.gate).rpartition("_")[2] for a in told_frames] == words
    assert heard[-1].task_code == 1024
    assert answers_written(server) - written == len(heard)


def answers_written(running: Running) -> int:
    """How many answers the time of writing was taken of."""
    text = running.get("/metrics")[1]
    (line,) = [one for one in text.splitlines() if 'seconds_count{stage="serialise"}' in one]
    return int(float(line.rpartition(" ")[2]))


def _until_gone(watch: Any) -> Iterator[Any]:
    for answer in watch:
        yield answer
        if answer.task_code == 1024:
            return


def test_unknown_camera_cannot_be_watched(calls: Wire) -> None:
    """1016, at once."""
    call = calls.watch_camera(pb.WatchCameraRequest(camera="nowhere"), timeout=WAIT_S)
    assert refused(call)[0] == 1016


def test_watch_ends_when_the_server_stops(folder: Path) -> None:
    """5002 to everybody who watches."""
    running = start(folder)
    with (
        wire(running.grpc) as spoken,
        FrameProducer(frames_socket(running), camera="hall", width=320, height=240),
    ):
        call = spoken.watch_camera(pb.WatchCameraRequest(camera="hall"), timeout=WAIT_S)
        wait_until(lambda: "livegate_streams 1.0" in running.get("/metrics")[1])
        running.process.terminate()
        # The producer's leaving may be told first.
        assert refused(call)[0] == 5002
    assert running.process.wait(WAIT_S) == 0, running.log.read_text()


# --- who may change cameras ---------------------------------------------------------------------


def test_admin_calls_need_the_unix_socket_or_a_token_of_their_own(folder: Path) -> None:
    """Loopback TCP alone does not make an operator."""
    running = start(folder, "--set", "grpc.admin_tokens=the-operators-own")
    settings = pb.CameraSettings(name="x", url="nonsense:")
    try:
        with wire(running.grpc) as tcp, wire(f"unix:{running.socket}") as unix:
            for headers, code in (
                ((), 1010),
                ((("authorization", "Bearer something-else"),), 1010),
                ((("authorization", "Bearer the-operators-own"),), 2041),
            ):
                with pytest.raises(grpc.RpcError) as caught:
                    tcp.add_camera(settings, timeout=WAIT_S, metadata=headers)
                assert told(caught.value)[0] == code
            with pytest.raises(grpc.RpcError) as caught:
                unix.add_camera(settings, timeout=WAIT_S)
            assert told(caught.value)[0] == 2041
    finally:
        running.stop()


def test_replaced_frames_do_not_keep_a_gate_shut(folder: Path) -> None:
    """A camera far faster than the box: the person in front still gets their word."""
    models = reference_flags()
    # On a busy machine seconds may lie between two looks.
    patience = [f"--set=gate.{key}=60000" for key in ("gone_ms", "evidence_ms", "max_frame_age_ms")]
    running = start(folder, *models, *patience, "--workers", "1", backend="onnxruntime")
    try:
        image = shared("media", "stills", "image_T1.jpg").read_bytes()
        with wire(running.grpc) as spoken:
            sent = [framed(n, image=image) for n in range(120)]
            answers = spoken.frames(opened(overflow="OVERFLOW_NEWEST_WINS"), *sent)
    finally:
        running.stop()
    looked_at = [answer for answer in answers if not answer.task_code]
    assert len(looked_at) < len(answers)
    words = [pb.GateDecision.Name(a.gate).rpartition("_")[2] for a in looked_at if a.gate]
    assert words == ["HOLD", "OPEN"]
    assert looked_at[2].gate == pb.GATE_DECISION_OPEN


# --- real models --------------------------------------------------------------------------------


def test_a_person_opens_and_a_photograph_is_denied(folder: Path) -> None:
    """The three stills as streams of frames: exactly one OPEN for the person, none for the spoofs."""
    running = start(folder, *reference_flags(), backend="onnxruntime")
    try:
        with wire(running.grpc) as spoken:
            for name, word in (("T1", "OPEN"), ("F1", "DENY"), ("F2", "DENY")):
                image = shared("media", "stills", f"image_{name}.jpg").read_bytes()
                answers = spoken.frames(opened(), *(framed(n, image=image) for n in range(8)))
                words = [pb.GateDecision.Name(a.gate).rpartition("_")[2] for a in answers if a.gate]
                assert words == ["HOLD", word]
            turned = cv2.imread(str(shared("media", "stills", "image_T1.jpg")))
            for rotation, turn in (
                (90, cv2.ROTATE_90_COUNTERCLOCKWISE),
                (180, cv2.ROTATE_180),
                (270, cv2.ROTATE_90_CLOCKWISE),
            ):
                made, image = cv2.imencode(".png", cv2.rotate(turned, turn))
                assert made
                sent = [framed(n, image=image.tobytes()) for n in range(4)]
                answers = spoken.frames(opened(rotation=rotation), *sent)
                assert pb.GATE_DECISION_OPEN in [answer.gate for answer in answers]
    finally:
        running.stop()


def test_tickets_are_judged_in_place_and_given_back(server: Running) -> None:
    """A slot on loan, named over gRPC: no copy, the slot is free again, the producer hears it too."""
    with (
        FrameProducer(frames_socket(server), camera="lane", width=320, height=240) as producer,
        LivenessClient(server.grpc) as client,
        client.stream(algo_tasks=(1031, 9001)) as stream,
    ):
        for number in range(1, 12):  # more than there are slots
            with producer.ticket() as ticket:
                ticket.pixels[:] = noise(320, 240)
            answer = stream.ask(ticket, frame_id=number)
            assert answer.error is None
            assert (answer.frame_id, answer.src_width) == (number, 320)
            (result,) = producer.results(timeout_s=WAIT_S)
            assert result.frame_id == number
            assert result.has_verdict
            assert result.outcome.gate is answer.gate
        metrics = server.get("/metrics")[1]
        assert 'livegate_frame_bytes_copied_total{camera="lane"} 0.0' in metrics
        assert 'livegate_frame_slots{camera="lane",state="leased"} 0.0' in metrics


def test_ticket_is_good_once_and_only_with_its_own_numbers(server: Running) -> None:
    """Used up, of another generation, of a foreign segment: 1016 each, the stream goes on."""
    with (
        FrameProducer(frames_socket(server), camera="lane2", width=320, height=240) as producer,
        LivenessClient(server.grpc) as client,
        client.stream() as stream,
    ):
        with producer.ticket() as ticket:
            ticket.pixels[:] = 0
        foreign = dataclasses.replace(ticket, segment_id=ticket.segment_id ^ 1)
        stale = dataclasses.replace(ticket, generation=ticket.generation + 1)
        future = dataclasses.replace(ticket, captured_ns=time.monotonic_ns() + 10**12)
        outside = dataclasses.replace(ticket, slot=1000)
        codes = [stream.ask(one).error for one in (foreign, stale, future, outside)]
        assert [int(error.code) for error in codes if error] == [1016, 1016, 1031, 1009]
        assert stream.ask(ticket).error is None
        used = stream.ask(ticket).error
        assert used is not None
        assert int(used.code) == 1016


def test_ticket_of_a_stream_that_breaks_off_comes_back(folder: Path) -> None:
    """Cancelled at any moment, and a ticket whose producer is gone: no slot is lost, nothing hangs."""
    running = start(folder, "--workers", "1")
    try:
        with wire(running.grpc) as spoken:
            with FrameProducer(frames_socket(running), camera="a", width=640, height=480) as producer:
                for number in range(60):
                    with producer.ticket(timeout_s=0.2) as ticket:
                        ticket.pixels[:] = 0
                    message = framed(number, ticket=message_of(ticket))
                    call = spoken.stream_frames(iter([opened(), message]), timeout=WAIT_S)
                    time.sleep(number * 0.00025)  # anywhere between before the first byte and the answer
                    call.cancel()
                    with contextlib.suppress(LiveGateError):  # the server may have taken it already
                        producer.give_back(ticket)
                    # Free, or on loan to us again: a loan that we know nothing of ends the next round.
                    wait_until(lambda: slots_at_rest(running) == producer.slots)
            (answer,) = spoken.frames(opened(), framed(1, ticket=message_of(ticket)))
            assert answer.task_code == 1016
    finally:
        assert running.stop() == 0, running.log.read_text()


def slots_at_rest(running: Running) -> int:
    """Those of camera a that neither wait nor are looked at."""
    told = re.findall(
        r'livegate_frame_slots\{camera="a",state="(?:free|loaned)"\} (\d+)', running.get("/metrics")[1]
    )
    return sum(map(int, told))


def message_of(ticket: FrameTicket) -> pb.FrameTicket:
    return pb.FrameTicket(
        segment_id=ticket.segment_id,
        slot=ticket.slot,
        generation=ticket.generation,
    )
