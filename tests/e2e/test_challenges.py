"""Challenges through a real server: who may answer, when, how often, and what everybody hears."""

from __future__ import annotations

import io
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run
from typing import Any

import av
import grpc
import numpy as np
import pytest
import requests

from challenge_kit import FPS, Pictures, acted, prompts_for, rendered
from client_kit import KINDS, connector
from clips import GREY, clip
from e2e.linkface_kit import CHECK, GOOD
from e2e.pictures import jpeg
from e2e.running import HANG_S, Running, environment, run_cli, start, wait_until
from e2e.wire import WAIT_S, framed, opened, told, wire
from frame_queue_kit import refused
from livegate.client import Action, FrameProducer, GateDecision, LivenessClient, PromptKind
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.v1 import liveness_pb2 as pb
from support import ROOT, reference_flags, shared

EXAMPLE = ROOT / "docs" / "examples" / "answer_challenge.py"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A second and a half of grey."""
    path = tmp_path_factory.mktemp("v") / "a.mp4"
    return clip(path, [GREY] * 36, size=(128, 96), fps=24).read_bytes()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose challenges live for a second, two at a time."""
    keys = ("challenge.lifetime_s=1", "challenge.max_open=2")
    sets = [argument for key in keys for argument in ("--set", key)]
    running = start(tmp_path_factory.mktemp("h"), *sets)
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture
def client(server: Running) -> Iterator[LivenessClient]:
    with LivenessClient(server.grpc, retries=0) as made:
        yield made


def producer_at(running: Running, camera: str, width: int = 96, height: int = 64) -> FrameProducer:
    path = Path(running.socket).with_name("frames.sock")
    return FrameProducer(path, camera=camera, width=width, height=height)


def ended(running: Running, outcome: str) -> float:
    """How many challenges ended in that way, by the metrics."""
    name = f'livegate_challenges_total{{outcome="{outcome}"}}'
    (line,) = [one for one in running.get("/metrics")[1].splitlines() if one.startswith(name)]
    return float(line.split()[-1])


# --- who may answer, when, how often ------------------------------------------------------------


def test_challenge_is_started_over_the_wire(server: Running) -> None:
    """9011 is answered by 9012; anything else is 1031 with its details."""
    with wire(server.grpc) as spoken:
        found = spoken.start_challenge(pb.StartChallengeRequest(code=9011, task_id="t"))
        with pytest.raises(grpc.RpcError) as caught:
            spoken.start_challenge(pb.StartChallengeRequest(code=9002))
    assert (found.code, found.task_id, len(found.actions)) == (9012, "t", 3)
    assert [prompt.action for prompt in found.prompts] == list(found.actions)
    assert found.deadline > time.time_ns() // 1_000_000
    assert told(caught.value)[0] == 1031


def test_orders_differ(client: LivenessClient) -> None:
    """Ten draws of thirty-six; the same every time would be no chance."""
    drawn = {client.start_challenge().actions for _ in range(10)}
    assert len(drawn) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_video_answers_a_challenge_once(server: Running, kind: str, video: bytes) -> None:
    """Judged by its actions, then 1015; a stranger's nonce is 1016."""
    with connector(kind) as connect, connect(server.grpc, retries=0) as client:
        started = client.start_challenge()
        answer = client.verify_actions(video, challenge=started.nonce)
        assert tuple(one.action for one in answer.actions) == started.actions
        assert not answer.is_alive
        for nonce, code in ((started.nonce, ErrorCode.EXIST), ("nobody's", ErrorCode.NO_EXIST)):
            with refused(code):
                client.verify_actions(video, challenge=nonce)


def test_of_two_videos_at_once_one_is_judged(client: LivenessClient, video: bytes) -> None:
    """The other one hears 1015."""
    started = client.start_challenge()

    def send(_: int) -> str:
        try:
            client.verify_actions(video, challenge=started.nonce)
        except LiveGateError as error:
            return error.code.name
        return "judged"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, range(2))) == ["EXIST", "judged"]


def test_stream_that_cannot_take_up_a_challenge_has_its_code(server: Running) -> None:
    """Unknown, spent, and a stream that is none: which spends nothing."""
    picture = jpeg(96, 64)
    with wire(server.grpc) as spoken, LivenessClient(server.grpc) as client:
        nonce = client.start_challenge().nonce

        def code(opening: Any) -> int:
            with pytest.raises(grpc.RpcError) as caught:
                spoken.frames(opening, framed(1, image=picture))
            return told(caught.value)[0]

        assert code(opened(challenge="nobody's")) == 1016
        assert code(opened(algo_tasks=(4711,), challenge=nonce)) == 1031
        (answer,) = spoken.frames(opened(challenge=nonce), framed(1, image=picture))
        assert pb.GateDecision.Name(answer.gate) == "GATE_DECISION_HOLD"
        assert list(answer.reasons) == ["CHALLENGE_OPEN"]
        assert answer.HasField("prompt")
        assert code(opened(challenge=nonce)) == 1015


def test_client_that_goes_away_midway_spends_its_challenge(server: Running) -> None:
    """Counted as abandoned; the camera is free for the next one."""
    before = ended(server, "ABANDONED")
    with LivenessClient(server.grpc) as client, producer_at(server, "leavers"):
        nonces = [client.start_challenge().nonce for _ in range(2)]
        with client.stream(challenge=nonces[0], timeout_s=WAIT_S) as stream:
            assert stream.ask(jpeg(96, 64)).gate is GateDecision.HOLD
        wait_until(lambda: ended(server, "ABANDONED") == before + 1)
        first = client.watch("leavers", challenge=nonces[1])
        wait_until(lambda: _is_spent(client, nonces[1]))
        second = client.watch("leavers", challenge=client.start_challenge().nonce)
        with second, refused(ErrorCode.BUSY):
            next(second)
        first.close()
        wait_until(lambda: ended(server, "ABANDONED") == before + 2)
        with refused(ErrorCode.EXIST):
            client.verify_actions(b"video", challenge=nonces[1])


def test_too_many_open_challenges_are_1018_until_their_time_is_up(hasty: Running, video: bytes) -> None:
    """Expired ones are 1011, whatever answers them."""
    with LivenessClient(hasty.grpc, retries=0) as client:
        nonce = client.start_challenge().nonce
        with refused(ErrorCode.FULL):
            while True:
                client.start_challenge()
        wait_until(lambda: _can_start(client))
        with refused(ErrorCode.TIMEOUT):
            client.verify_actions(video, challenge=nonce)
        with client.stream(challenge=nonce, timeout_s=WAIT_S) as stream, refused(ErrorCode.TIMEOUT):
            stream.ask(jpeg(96, 64))
    assert ended(hasty, "EXPIRED") >= 1


def _is_spent(client: LivenessClient, nonce: str) -> bool:
    """Asked in a way that spends nothing: a video without a byte is refused before."""
    try:
        client.verify_actions(b"", challenge=nonce)
    except LiveGateError as error:
        return error.code is ErrorCode.EXIST
    raise AssertionError("an empty video was judged")


def _can_start(client: LivenessClient) -> bool:
    try:
        client.start_challenge()
    except LiveGateError:
        return False
    return True


def fresh(client: LivenessClient) -> str:
    """A nonce, as soon as there is room for one."""
    while True:
        try:
            return client.start_challenge().nonce
        except LiveGateError as error:
            assert error.code is ErrorCode.FULL  # noqa: PT017
            time.sleep(0.05)


# --- until the deadline -------------------------------------------------------------------------


def test_camera_without_a_picture_tells_the_deadline(hasty: Running) -> None:
    """Nobody stands there and nothing moves, not even the camera: FAILED comes, DENY with it."""
    with (
        LivenessClient(hasty.grpc) as client,
        producer_at(hasty, "still"),
        client.watch("still", challenge=fresh(client), timeout_s=WAIT_S) as answers,
    ):
        answer = next(answers)
    assert answer.prompt is not None
    assert answer.prompt.kind is PromptKind.FAILED
    assert answer.challenge is not None
    assert answer.challenge.reasons[0] == "TIMEOUT"
    assert answer.gate is GateDecision.DENY


def test_stream_goes_on_after_its_challenge(hasty: Running) -> None:
    """Told once; the gate stays shut for everybody on it."""
    answers = []
    with (
        LivenessClient(hasty.grpc) as client,
        client.stream(challenge=fresh(client), timeout_s=WAIT_S) as stream,
    ):
        while not answers or answers[-1].challenge is None:
            answers.append(stream.ask(jpeg(96, 64)))
        after = [stream.ask(jpeg(96, 64)) for _ in range(5)]
    assert answers[-1].gate is GateDecision.DENY
    assert not answers[-1].challenge.is_alive
    assert [(one.gate, one.challenge, one.prompt) for one in after] == [(None, None, None)] * 5
    assert {one.reasons for one in after} == {("CHALLENGE_FAILED",)}
    assert all(one.results for one in after)


def test_frame_that_fails_during_a_challenge_opens_nothing_and_does_not_end_it(server: Running) -> None:
    """Its answer has the error; the next frame is looked at as if nothing had been."""
    with (
        LivenessClient(server.grpc) as client,
        client.stream(challenge=client.start_challenge().nonce, timeout_s=WAIT_S) as stream,
    ):
        answers = [stream.ask(picture) for picture in (b"garbage", jpeg(96, 64), b"garbage")]
    assert [answer.error is not None for answer in answers] == [True, False, True]
    assert [answer.gate for answer in answers] == [None, GateDecision.HOLD, None]
    assert answers[1].prompt is not None
    assert [answer.challenge for answer in answers] == [None] * 3


def test_words_of_a_challenge_are_counted_and_not_the_gates(hasty: Running) -> None:
    """The null backend's gate would say DENY after three frames."""

    def denied() -> float:
        name = 'livegate_gate_words_total{word="DENY"}'
        (line,) = [one for one in hasty.get("/metrics")[1].splitlines() if one.startswith(name)]
        return float(line.split()[-1])

    before = denied()
    with (
        LivenessClient(hasty.grpc) as client,
        client.stream(challenge=fresh(client), timeout_s=WAIT_S) as stream,
    ):
        answers = [stream.ask(jpeg(96, 64)) for _ in range(4)]
    said = sum(answer.gate is GateDecision.DENY for answer in answers)
    assert denied() == before + said


def test_command_tells_the_prompts_and_the_end(hasty: Running) -> None:
    """Exit status 1 for who is not alive, 2 for a camera that there is not."""
    with producer_at(hasty, "cli") as producer, producer.loan() as pixels:
        pixels[:] = 90
    with producer_at(hasty, "cli"):
        done = run_cli("challenge", "cli", "--target", hasty.grpc)
        assert done.returncode == 1, done.stderr
        assert "please start again" in done.stdout
        assert "NOT ALIVE" in done.stdout
        assert "TIMEOUT" in done.stderr
        done = run_cli("challenge", "cli", "--target", hasty.grpc, "--json", "--language", "zh")
        assert '"prompt":"FAILED"' in done.stdout
        assert '"alive":false' in done.stdout
        assert "验证未通过" in done.stdout
    done = run_cli("challenge", "nowhere", "--target", hasty.grpc)
    assert done.returncode == 2
    assert "1016" in done.stderr


def test_example_runs_against_both_kinds_of_camera(hasty: Running, tmp_path: Path) -> None:
    """Until the deadline of a second; a file that ends before is an error."""
    path = clip(tmp_path / "a.avi", [GREY] * 10, size=(128, 96), codec="mjpeg", pixel_format="yuvj420p")

    def example(*arguments: str) -> Any:
        command = [sys.executable, str(EXAMPLE), *arguments, "--target", hasty.grpc]
        return run(
            command, capture_output=True, text=True, timeout=HANG_S, check=False, env=environment()
        )

    def example_until(fact: str, *arguments: str) -> Any:
        """Again while other tests' challenges fill the book."""
        while "1018" in (found := example(*arguments)).stderr:
            time.sleep(0.05)
        assert fact in found.stdout + found.stderr
        return found

    with producer_at(hasty, "example"):
        assert example_until("NOT ALIVE: TIMEOUT", "example").returncode == 1
    assert example_until("ended before", "--camera", str(path)).returncode == 2


# --- required -----------------------------------------------------------------------------------


def test_required_challenge_refuses_what_answers_none(folder: Path, video: bytes) -> None:
    """gRPC hears 1031, a cloud's client that its method is not served; pictures are judged as ever."""
    running = start(folder, "--set", "challenge.required=true")
    try:
        with LivenessClient(running.grpc, retries=0) as client:
            with refused(ErrorCode.PARAM_FAILURE):
                client.verify_actions(video, (1, 3))
            answer = client.verify_actions(video, challenge=client.start_challenge().nonce)
            assert answer.frames == 36
            assert client.analyze(jpeg()).code == 1020
        found = requests.post(
            running.url("/v1/project/live-detect"),
            files={"video_file": video},
            data={"actions": "1,3"},
            timeout=HANG_S,
        )
        assert found.json()["error_code"] == "FRS.0019"
        data = {**GOOD, "motions": "NOD"}
        found = requests.post(running.url(CHECK), files={"file": video}, data=data, timeout=HANG_S)
        assert found.json()["status"] == "NO_PERMISSION"
    finally:
        running.stop()


# --- rendered people ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the reference weights that has all the time of the world."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    models = reference_flags()
    shared("media", "rendered")
    keys = (
        "challenge.lifetime_s=300",
        "gate.max_frame_age_ms=120000",
        "frames.max_frame_age_ms=0",
        "video.max_s=20",
    )
    sets = [argument for key in keys for argument in ("--set", key)]
    folder = tmp_path_factory.mktemp("j")
    running = start(folder, *models, *sets, backend="onnxruntime")
    yield running
    assert running.stop() == 0, running.log.read_text()


def answer_with(actions: Iterable[Action], head: str = "ict_b") -> Pictures:
    """A head that does these and then looks straight."""
    return [*acted(head, actions), *rendered(head, "still")]


def timed(pictures: Pictures) -> Iterator[tuple[int, np.ndarray]]:
    """Each picture with its time of capture, 15 a second, up to now: the server minds no age."""
    begin_ns = time.monotonic_ns() - round(len(pictures) * 1e9 / FPS)
    for number, pixels in enumerate(pictures):
        yield begin_ns + round(number * 1e9 / FPS), pixels


def as_prompted(answers: Iterable[Any]) -> list[Any]:
    """What the person was told; actions in the place of DO and GOOD."""
    told = [answer.prompt for answer in answers if answer.prompt]
    return [(one.kind.value, one.action) if one.action else one.kind for one in told]


def encoded(pictures: Pictures) -> bytes:
    """An MP4 file."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as target:
        stream: Any = target.add_stream("libx264", rate=FPS, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for pixels in pictures:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        target.mux(stream.encode())
    return sink.getvalue()


def test_video_of_the_right_order_passes_and_is_nothing_to_another_challenge(judging: Running) -> None:
    """The recording that passed fails the next challenge, unless chance asks for the same again."""
    with LivenessClient(judging.grpc) as client:
        started = client.start_challenge()
        recording = encoded(answer_with(started.actions))
        answer = client.verify_actions(recording, challenge=started.nonce)
        assert answer.is_alive, answer.reasons
        other = next(
            one
            for one in (client.start_challenge() for _ in itertools.count())
            if one.actions != started.actions
        )
        replayed = client.verify_actions(recording, challenge=other.nonce)
    assert not replayed.is_alive
    assert any(reason.startswith("ACTION_") for reason in replayed.reasons)
    assert ended(judging, "PASSED") >= 1


@pytest.mark.parametrize("way", ["raw", "ticket"])
def test_person_on_a_stream_is_prompted_and_let_in(judging: Running, way: str) -> None:
    """From HOLD to OPEN, whichever way the pictures come."""
    answers = []
    with (
        LivenessClient(judging.grpc) as client,
        producer_at(judging, f"by-{way}", 640, 480) as producer,
    ):
        started = client.start_challenge()
        with client.stream(challenge=started.nonce, timeout_s=WAIT_S) as stream:
            for taken_ns, pixels in timed(answer_with(started.actions)):
                if way == "ticket":
                    with producer.ticket() as ticket:
                        ticket.pixels[:] = pixels
                    answers.append(stream.ask(ticket, captured_ns=taken_ns))
                else:
                    answers.append(stream.ask(pixels, captured_ns=taken_ns))
                if answers[-1].challenge is not None:
                    break
    assert as_prompted(answers) == prompts_for(*started.actions)
    assert answers[-1].challenge.is_alive
    words = [answer.gate for answer in answers if answer.gate]
    assert words == [GateDecision.HOLD, GateDecision.OPEN]
    assert answers[-1].challenge.picture.startswith(b"\xff\xd8")


def test_person_at_a_camera_is_prompted_and_only_the_asker_hears(judging: Running) -> None:
    """The watcher with the challenge opens at its end; the one beside it hears the gate as ever."""
    with (
        LivenessClient(judging.grpc) as client,
        producer_at(judging, "hall", 640, 480) as producer,
    ):
        started = client.start_challenge()
        # They stand there for three seconds: time enough for both to watch.
        person = [*rendered("ict_b", "still"), *answer_with(started.actions)]
        with (
            client.watch("hall", challenge=started.nonce, timeout_s=WAIT_S) as mine,
            client.watch("hall", timeout_s=WAIT_S) as beside,
        ):
            answers = iter_until_end(mine, producer, person)
            others = [next(beside) for _ in range(3)]
    assert as_prompted(answers) == prompts_for(*started.actions)
    assert answers[-1].challenge.is_alive, answers[-1].challenge.reasons
    assert [answer.gate for answer in answers if answer.gate] == [
        GateDecision.HOLD,
        GateDecision.OPEN,
    ]
    assert not any(answer.prompt or answer.challenge for answer in others)
    assert not any(reason.startswith("CHALLENGE") for one in others for reason in one.reasons)
    assert any(answer.gate for answer in others)


def play(producer: FrameProducer, pictures: Pictures) -> None:
    """Hand over each picture when the one before it was looked at."""
    for taken_ns, pixels in timed(pictures):
        with producer.loan(captured_ns=taken_ns) as slot:
            slot[:] = pixels
        for _ in producer.results(timeout_s=WAIT_S):
            break


def iter_until_end(mine: Any, producer: FrameProducer, pictures: Pictures) -> list[Any]:
    """Every answer up to the challenge's end, while the pictures are played."""
    answers: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(play, producer, pictures)
        for answer in mine:
            answers.append(answer)
            if answer.challenge is not None:
                break
        playing.result(2 * HANG_S)
    return answers
