"""Both clients' streams and watches against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from client_kit import KINDS, Connect, connector
from clips import clip
from e2e.pictures import jpeg
from e2e.running import Running, run_cli, start, wait_until
from frame_queue_kit import refused
from livegate.client import CameraState, FrameProducer, GateDecision, LivenessClient, View
from livegate.core.errors import ErrorCode, LiveGateError
from support import noise, reference_flags, shared

WAIT_S = 60.0
HOLD, OPEN, DENY = GateDecision.HOLD, GateDecision.OPEN, GateDecision.DENY


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    with connector(request.param) as made:
        yield made


@pytest.fixture
def client(connect: Connect, server: Running) -> Iterator[Any]:
    with connect(server.grpc) as made:
        yield made


def producer_at(running: Running, camera: str = "door") -> FrameProducer:
    path = Path(running.socket).with_name("frames.sock")
    return FrameProducer(path, camera=camera, width=320, height=240)


def test_words_come_once_and_answers_in_order(client: Any) -> None:
    """The null backend calls everybody a spoof: HOLD, then DENY, then nothing new."""
    with client.stream(algo_tasks=(1031, 9001), timeout_s=WAIT_S) as stream:
        answers = [stream.ask(jpeg(96, 64), frame_pts=pts) for pts in range(4)]
        stream.finish()
        assert list(stream) == []
    assert [answer.gate for answer in answers] == [HOLD, None, DENY, None]
    assert [(answer.frame_id, answer.frame_pts) for answer in answers] == [
        (1, 0),
        (2, 1),
        (3, 2),
        (4, 3),
    ]
    assert [result.algo_task for result in answers[0].results] == [1031, 9001]
    assert answers[0].faces
    assert answers[0].person == 1
    assert "infer" in answers[0].stages_ms


def test_every_kind_of_picture_is_judged_alike(client: Any, server: Running) -> None:
    """Pixels, NV12, a slot of shared memory: the same faces in the same places."""
    bgr = noise(320, 240)
    nv12 = np.concatenate([np.full((240, 320), 90, np.uint8), np.full((120, 320), 128, np.uint8)])
    with (
        producer_at(server, "tickets") as producer,
        client.stream(algo_tasks=(9001,), view=View(rotation=90), timeout_s=WAIT_S) as stream,
    ):
        raw = stream.ask(bgr)
        with producer.ticket() as ticket:
            ticket.pixels[:] = bgr
        queued = stream.ask(ticket)
        assert stream.ask(nv12, pixel_format="NV12").error is None
        again = stream.ask(ticket)
    assert raw.error is None
    assert (raw.src_width, raw.frame_width) == (320, 240)
    assert queued.faces == raw.faces
    assert again.error.code is ErrorCode.NO_EXIST  # a ticket is good for one use


def test_bad_frame_is_told_and_the_stream_goes_on(client: Any) -> None:
    """A code and a text; the next frame does not notice."""
    with client.stream(timeout_s=WAIT_S) as stream:
        bad, good = stream.ask(b"no picture"), stream.ask(jpeg(96, 64))
    assert bad.error.code is ErrorCode.DECODE_FAIL
    assert bad.error.message
    assert bad.gate is not OPEN
    assert good.error is None


def test_camera_that_is_faster_than_the_box_gets_every_answer(client: Any) -> None:
    """One thread sends without pause, one takes: judged or 5003, none is lost, the last is judged."""
    frames = 60
    with (
        client.stream(overflow="newest_wins", timeout_s=WAIT_S) as stream,
        ThreadPoolExecutor(1) as pool,
    ):

        def send_all() -> None:
            picture = jpeg(900, 900)
            for _ in range(frames):
                stream.send(picture)
            stream.finish()

        sending = pool.submit(send_all)
        answers = list(stream)
        sending.result(WAIT_S)
    assert sorted(answer.frame_id for answer in answers) == list(range(1, frames + 1))
    codes = {answer.error and answer.error.code for answer in answers}
    assert codes <= {None, ErrorCode.QUEUE_FULL}
    assert answers[-1].error is None


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"algo_tasks": (4711,)}, ErrorCode.PARAM_FAILURE),
        ({"algo_tasks": ()}, ErrorCode.PARAM_FAILURE),
    ],
)
def test_stream_that_cannot_be_ends_with_its_code(
    client: Any, options: dict[str, Any], code: ErrorCode
) -> None:
    """At the first answer that is waited for."""
    with client.stream(timeout_s=WAIT_S, **options) as stream, refused(code):
        stream.ask(jpeg(96, 64))


def test_one_stream_too_many_is_refused_and_a_place_comes_back(connect: Connect, folder: Path) -> None:
    """A stream that is left early is gone at the server, too."""
    running = start(folder, "--set", "grpc.max_streams=1")
    try:
        with connect(running.grpc) as client:
            with client.stream(timeout_s=WAIT_S) as first:
                first.ask(jpeg(96, 64))
                with client.stream(timeout_s=WAIT_S) as second, refused(ErrorCode.FULL):
                    second.ask(jpeg(96, 64))
            wait_until(lambda: "livegate_streams 0.0" in running.get("/metrics")[1])
            with client.stream(timeout_s=WAIT_S) as third:
                assert third.ask(jpeg(96, 64)).error is None
    finally:
        assert running.stop() == 0


def ask_for_ever(stream: Any) -> None:
    while True:
        stream.ask(jpeg(96, 64))


def test_stop_and_kill_of_the_server_are_heard(connect: Connect, folder: Path) -> None:
    """A drain says 5002; a kill is a lost connection; then a new server answers the same client."""
    running = start(folder)
    for how, codes in (
        ("terminate", {ErrorCode.QUEUE_STOPED}),
        ("kill", {ErrorCode.CONNECTION_FAILURE, ErrorCode.CONNECTION_CLOSE}),
    ):
        with connect(f"unix:{running.socket}") as client:
            with client.stream(timeout_s=WAIT_S) as stream:
                stream.ask(jpeg(96, 64))
                getattr(running.process, how)()
                with pytest.raises(LiveGateError) as caught:
                    ask_for_ever(stream)
                assert caught.value.code in codes
            running.process.wait(WAIT_S)
            running = start(folder)
            assert client.status(timeout_s=WAIT_S)["state"] == "READY"
    assert running.stop() == 0


def test_watcher_hears_a_producers_frames_and_the_servers_end(connect: Connect, folder: Path) -> None:
    """The words that the producer heard, and then why it is over."""
    running = start(folder)
    with (
        connect(running.grpc) as client,
        producer_at(running) as producer,
        client.watch("door") as watch,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until(lambda: "livegate_streams 1.0" in running.get("/metrics")[1])
        heard = []
        for _ in range(4):
            with producer.loan() as pixels:
                pixels[:] = noise(320, 240)
            (result,) = producer.results(timeout_s=WAIT_S)
            answer = watch.receive(timeout_s=WAIT_S)
            assert (answer.frame_id, answer.gate) == (result.frame_id, result.outcome.gate)
            heard.append(answer.gate)
        assert heard == [HOLD, None, DENY, None]
        ending = pool.submit(list, watch)
        running.process.terminate()
        with pytest.raises(LiveGateError) as caught:
            ending.result(WAIT_S)
        assert caught.value.code is ErrorCode.QUEUE_STOPED
    assert running.process.wait(WAIT_S) == 0


def test_watch_of_an_unknown_camera_is_1016(client: Any) -> None:
    """At once."""
    with client.watch("nowhere") as watch, refused(ErrorCode.NO_EXIST):
        watch.receive(timeout_s=WAIT_S)


def test_who_may_change_cameras(connect: Connect, server: Running) -> None:
    """Not everybody on loopback TCP; the Unix socket may, and hears what is wrong with a URL."""
    with connect(server.grpc) as client, refused(ErrorCode.NO_PERMISSION):
        client.add_camera("x", "nonsense:")
    with connect(f"unix:{server.socket}") as client:
        with refused(ErrorCode.CONFIG_ADD_FAIL):
            client.add_camera("x", "nonsense:")
        with refused(ErrorCode.CONFIG_DELETE_FAIL):
            client.remove_camera("nowhere")


@pytest.fixture
def film(folder: Path) -> Path:
    """A second of one colour, 96x64."""
    return clip(folder / "film.mp4", [(40, 90, 200)] * 15, fps=15)


def test_camera_is_added_watched_changed_and_removed(
    connect: Connect, server: Running, film: Path
) -> None:
    """From the first frame to the word that ends the watch."""
    with connect(f"unix:{server.socket}") as client:
        report = client.add_camera("yard", f"file:{film}?loop", timeout_s=WAIT_S)
        assert report.camera == "yard"
        with client.watch("yard", timeout_s=WAIT_S) as watch:
            assert frame_width(watch) == 96
            client.change_camera("yard", f"file:{film}?loop", view=View(rotation=90), timeout_s=WAIT_S)
            wait_until(lambda: frame_width(watch) == 64)
            (camera,) = [one for one in client.cameras() if one.camera == "yard"]
            assert (camera.state, camera.code, camera.width) == (CameraState.STREAMING, 0, 96)
            client.remove_camera("yard", timeout_s=WAIT_S)
            with refused(ErrorCode.EXIT):
                for _ in watch:
                    pass
        with refused(ErrorCode.CONFIG_UPDATE_FAIL):
            client.change_camera("yard", f"file:{film}")


def frame_width(watch: Any) -> int:
    """Of the next answer to a frame."""
    return next(answer.frame_width for answer in watch if answer.frame_id and answer.frame_width)


def test_cameras_from_the_shell(server: Running, film: Path) -> None:
    """Add, list, watch to the end, a status that is well, remove."""
    target = ("--target", f"unix:{server.socket}")
    added = run_cli("cameras", "add", "porch", f"file:{film}", "--mirror", *target)
    assert added.returncode == 0, added.stderr
    watched = run_cli("cameras", "watch", "porch", "--json", *target)
    assert watched.returncode == 0, watched.stderr
    assert "1023" in watched.stderr
    errors = [json.loads(line)["error"] for line in watched.stdout.splitlines()]
    assert 2003 in [error["code"] for error in errors if error]  # a frame under way may come after it
    listed = run_cli("cameras", "list", "--json", *target)
    assert [json.loads(line)["state"] for line in listed.stdout.splitlines()] == ["ENDED"]
    assert run_cli("status", *target).returncode == 0
    assert run_cli("cameras", "remove", "porch", *target).returncode == 0
    assert run_cli("cameras", "remove", "porch", *target).returncode == 2


def test_status_is_1_while_a_camera_is_not_well(server: Running, folder: Path) -> None:
    """A file that is not there is tried again, and an operator should know."""
    with LivenessClient(f"unix:{server.socket}") as client:
        client.add_camera("lost", f"file:{folder / 'nothing.mp4'}", timeout_s=WAIT_S)
        troubled = (CameraState.RETRYING, CameraState.FAILED)
        wait_until(lambda: client.cameras()[0].state in troubled)
        done = run_cli("status", "--target", f"unix:{server.socket}")
        assert done.returncode == 1
        assert "2001" in done.stdout
        client.remove_camera("lost", timeout_s=WAIT_S)


def test_status_and_cameras_from_the_shell(server: Running) -> None:
    """READY is 0; a producer is a camera that streams; who may not add one hears 1010."""
    target = ("--target", server.grpc)
    with producer_at(server, "shell"):
        done = run_cli("status", *target)
        assert done.returncode == 0, done.stderr
        assert "READY" in done.stdout
        listed = run_cli("cameras", "list", *target)
        assert "shell" in listed.stdout
        assert "320x240" in listed.stdout
    refusal = run_cli("cameras", "add", "x", "rtsp://127.0.0.1:1/x", *target)
    assert refusal.returncode == 2
    assert "1010" in refusal.stderr


def test_person_opens_through_a_stream(connect: Connect, folder: Path) -> None:
    """The three stills, frame by frame and through shared memory: one OPEN, two DENY."""
    running = start(folder, *reference_flags(), backend="onnxruntime")
    try:
        with connect(running.grpc) as client:
            for name, word in (("T1", OPEN), ("F1", DENY), ("F2", DENY)):
                path = shared("media", "stills", f"image_{name}.jpg")
                with client.stream(timeout_s=WAIT_S) as stream:
                    words = [stream.ask(path.read_bytes()).gate for _ in range(8)]
                assert [word for word in words if word] == [HOLD, word]
                assert ticket_words(client, running, path) == [HOLD, word]
    finally:
        running.stop()


def ticket_words(client: Any, running: Running, path: Path) -> list[GateDecision]:
    pixels = cv2.imread(str(path))
    height, width = pixels.shape[:2]
    socket = Path(running.socket).with_name("frames.sock")
    words = []
    with (
        FrameProducer(socket, camera=path.stem, width=width, height=height) as producer,
        client.stream(timeout_s=WAIT_S) as stream,
    ):
        for _ in range(8):
            with producer.ticket() as ticket:
                ticket.pixels[:] = pixels
            words.append(stream.ask(ticket).gate)
            assert producer.results(timeout_s=WAIT_S)
    return [word for word in words if word]
