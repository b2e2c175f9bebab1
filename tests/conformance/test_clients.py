"""What both clients do, with threads and with asyncio, against a box that plays its part."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from client_kit import KINDS, Connect, connector
from fake_box import FakeBox, answer_to, fail, in_order
from frame_queue_kit import refused
from livegate.client import Action, CameraState, FrameTicket, GateDecision, RetryPolicy, View
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.v1 import liveness_pb2 as pb
from support import HANG_S, Gate, noise

FULL = LiveGateError(ErrorCode.QUEUE_FULL, "64 wait")
COLD = LiveGateError(ErrorCode.NOT_INIT, "the models are not warm")
SOON_S = 0.05
"""How long a test waits to see that nothing comes."""


@pytest.fixture
def box() -> Iterator[FakeBox]:
    with FakeBox() as made:
        yield made


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a client of either kind."""
    with connector(request.param) as made:
        yield made


@pytest.fixture
def client(connect: Connect, box: FakeBox) -> Iterator[Any]:
    with connect(box.target) as made:
        yield made


def eventually(fact: Callable[[], bool]) -> None:
    """Wait for another thread; only a hang reaches the limit."""
    pause = threading.Event()
    for _ in range(int(HANG_S / 0.005)):
        if fact():
            return
        pause.wait(0.005)
    raise AssertionError("this never came")


# --- questions ----------------------------------------------------------------------------------


def test_question_is_asked_again_while_the_failure_passes(connect: Connect, box: FakeBox) -> None:
    """The same request id each time, pauses as the box asked, and then the answer."""
    box.script["Analyze"] = deque((FULL, COLD, pb.AnalyzeResponse(code=1020)))
    slept: list[float] = []
    policy = RetryPolicy(2, dice=lambda: 0.0)
    with connect(box.target, token="a-token", retries=policy, sleep=slept.append) as client:
        assert client.analyze(b"picture").code == 1020
    assert slept == [pytest.approx(0.2), pytest.approx(0.25)]  # RetryInfo's 200 ms; half of 500 ms
    words = [metadata for _, _, metadata in box.asked]
    assert len({word["x-request-id"] for word in words}) == 1
    assert {word["authorization"] for word in words} == {"Bearer a-token"}
    assert all(list(request.image_list) == [b"picture"] for _, request, _ in box.asked)


def test_question_keeps_the_callers_request_id(client: Any, box: FakeBox) -> None:
    """Given is given."""
    box.script["Analyze"] = deque((pb.AnalyzeResponse(),))
    client.analyze([b"a", b"b"], request_id="mine")
    assert box.asked[0][2]["x-request-id"] == "mine"


def test_question_gives_up_after_its_tries(connect: Connect, box: FakeBox) -> None:
    """The last error is told, with the call that failed as its cause."""
    box.script["GetStatus"] = deque((FULL, FULL, FULL))
    with connect(box.target, retries=1, sleep=lambda pause: None) as client:
        with refused(ErrorCode.QUEUE_FULL) as caught:
            client.status()
        assert isinstance(caught.value.__cause__, grpc.RpcError)
    assert len(box.asked) == 2


@pytest.mark.parametrize("code", [ErrorCode.TIMEOUT, ErrorCode.DECODE_FAIL, ErrorCode.QUEUE_STOPED])
def test_question_is_not_asked_again_when_it_cannot_help(
    code: ErrorCode, client: Any, box: FakeBox
) -> None:
    """A deadline least of all."""
    box.script["Analyze"] = deque((LiveGateError(code, "no"),))
    with refused(code):
        client.analyze(b"picture")
    assert len(box.asked) == 1


def test_question_without_a_server_is_1025_after_its_tries(connect: Connect) -> None:
    """Each pause is longer than gRPC's own before it dials again, else a retry would not dial."""
    slept: list[float] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        with connect(target, sleep=slept.append) as client, refused(ErrorCode.CONNECTION_FAILURE):
            client.analyze(b"picture")
    assert len(slept) == 2
    assert all(pause_s > 0.12 for pause_s in slept)


def test_question_finds_a_server_that_starts_meanwhile(connect: Connect) -> None:
    """A box that restarts costs its clients a pause, not an error."""
    boxes: list[FakeBox] = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def start_box(pause_s: float) -> None:
        if not boxes:
            made = FakeBox(port)
            made.script["GetStatus"] = deque((pb.GetStatusResponse(state="READY"),))
            boxes.append(made.__enter__())
        threading.Event().wait(pause_s)  # gRPC dials again on the real clock

    # More tries than are needed: how soon gRPC dials again is its own affair.
    with connect(f"127.0.0.1:{port}", retries=20, sleep=start_box) as client:
        assert client.status(timeout_s=HANG_S)["state"] == "READY"
    boxes[0].stop()


def test_order_to_the_box_is_given_once(client: Any, box: FakeBox) -> None:
    """Changing cameras or reloading models is never tried again: it may have been done."""
    for method in ("AddCamera", "ChangeCamera", "RemoveCamera", "ReloadModels"):
        box.script[method] = deque((FULL,))
    for call in (
        lambda: client.add_camera("door", "rtsp://x"),
        lambda: client.change_camera("door", "rtsp://x"),
        lambda: client.remove_camera("door"),
        client.reload_models,
    ):
        with refused(ErrorCode.QUEUE_FULL):
            call()
    assert len(box.asked) == 4


def test_models_are_reloaded(client: Any, box: FakeBox) -> None:
    """What is sent, and what comes back as values."""
    engine = pb.Engine(model_id="m", network="n", sha256="0" * 64, backend="b 1", provider="cpu")
    answer = pb.ReloadModelsResponse(engines=[engine], algo_tasks=[1031, 9001], drained=True)
    box.script["ReloadModels"] = deque((answer,))
    reloaded = client.reload_models(pack="reference", use={"silent_liveness": "m"})
    assert [one.model_id for one in reloaded.engines] == ["m"]
    assert reloaded.algo_tasks == (1031, 9001)
    assert reloaded.is_drained
    (sent,) = [request for _, request, _ in box.asked]
    assert (sent.pack, dict(sent.use)) == ("reference", {"silent_liveness": "m"})


def test_cameras_are_added_changed_listed_and_removed(client: Any, box: FakeBox) -> None:
    """What is sent, and what comes back as values."""
    door = pb.Camera(name="door", source="rtsp://x", state="STREAMING", width=640, height=480)
    box.script = {
        "AddCamera": deque((door,)),
        "ChangeCamera": deque((door,)),
        "RemoveCamera": deque((pb.RemoveCameraResponse(),)),
        "GetStatus": deque((pb.GetStatusResponse(cameras=[door]),)),
    }
    view = View(rotation=270, region=(0.0, 0.5, 1.0, 0.5))
    assert client.add_camera("door", "rtsp://x", view=view).state is CameraState.STREAMING
    assert client.change_camera("door", "rtsp://y").width == 640
    assert [camera.camera for camera in client.cameras()] == ["door"]
    assert client.remove_camera("door") is None
    sent = [request for _, request, _ in box.asked]
    assert (sent[0].view.rotation, sent[0].view.region.y) == (270, 0.5)
    assert (sent[1].url, sent[3].name) == ("rtsp://y", "door")


# --- challenges ---------------------------------------------------------------------------------


def test_challenge_is_started_once(connect: Connect, box: FakeBox) -> None:
    """Each try would open another: a full book is told at once."""
    full = LiveGateError(ErrorCode.FULL, "64 wait")
    box.script["StartChallenge"] = deque((full, pb.Challenge(challenge="n", actions=[3, 1])))  # type: ignore[list-item]
    with connect(box.target, sleep=lambda pause: pytest.fail("asked again")) as client:
        with refused(ErrorCode.FULL):
            client.start_challenge()
        started = client.start_challenge(task_id="t")
    assert (started.nonce, started.actions) == ("n", (Action.NOD, Action.SHAKE_LEFT))
    assert [(request.code, request.task_id) for _, request, _ in box.asked] == [(9011, ""), (9011, "t")]


def test_answer_to_a_challenge_is_sent_once_and_a_video_without_one_again(
    connect: Connect, box: FakeBox
) -> None:
    """It may have been spent by the try that failed."""
    box.script["VerifyActions"] = deque((FULL, FULL, pb.VerifyActionsResponse(code=9003)))
    with connect(box.target, sleep=lambda pause: None) as client:
        with refused(ErrorCode.QUEUE_FULL):
            client.verify_actions(b"video", challenge="n")
        assert client.verify_actions(b"video", (1,)).code == 9003
    sent = [(request.challenge, list(request.actions)) for _, request, _ in box.asked]
    assert sent == [("n", []), ("", [1]), ("", [1])]


def test_stream_and_watch_carry_the_challenge_and_its_news(client: Any, box: FakeBox) -> None:
    """The nonce goes with the first message; prompts and the end come with answers."""
    prompt = pb.Prompt(kind="PROMPT_KIND_DO", action="ACTION_NOD", texts={"en": "Nod"})
    end = pb.ChallengeVerdict(alive=True)
    news = pb.StreamResponse(frame_id=1, prompt=prompt, challenge=end).SerializeToString()

    def stream(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        next(requests)
        yield news

    def watch(request: pb.WatchCameraRequest, context: Any) -> Iterator[bytes]:
        assert (request.camera, request.challenge) == ("door", "n")
        yield news
        box.released.wait(HANG_S)

    box.stream, box.watch = stream, watch
    with client.stream(challenge="n") as frames:
        asked = frames.ask(b"picture")
    assert box.opened is not None
    assert box.opened.challenge == "n"
    with client.watch("door", challenge="n") as answers:
        watched = next(iter(answers))
        box.released.set()
    for answer in (asked, watched):
        assert answer.prompt.texts == {"en": "Nod"}
        assert answer.challenge.is_alive


# --- streams ------------------------------------------------------------------------------------


def test_stream_answers_frames_in_order(client: Any, box: FakeBox) -> None:
    """Numbers and times come back; the iteration ends after the last answer."""
    with client.stream(algo_tasks=(1031, 9001), view=View(rotation=90), task_id="t") as stream:
        assert [stream.send(b"f", frame_pts=pts) for pts in (10, 20, 30)] == [1, 2, 3]
        stream.finish()
        answers = list(stream)
    assert [(answer.frame_id, answer.frame_pts) for answer in answers] == [(1, 10), (2, 20), (3, 30)]
    assert answers[0].gate is GateDecision.HOLD
    assert box.opened is not None
    assert (box.opened.code, box.opened.view.rotation, box.opened.task_id) == (9021, 90, "t")


def test_stream_takes_every_kind_of_picture(client: Any, box: FakeBox) -> None:
    """A file, an array of either format, a ticket."""
    seen: list[pb.StreamFrame] = []

    def keep(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        for request in requests:
            seen.append(request.frame)
            yield answer_to(request.frame)

    box.stream = keep
    with client.stream() as stream:
        stream.ask(b"JPEG")
        stream.ask(noise(32, 24))
        stream.ask(np.zeros((36, 32), np.uint8), pixel_format="NV12")
        stream.ask(FrameTicket(noise(2, 2), 5, 1, 2, 3), frame_id=77)
        with refused(ErrorCode.PARAM_FAILURE):
            stream.ask(np.zeros((2, 2), np.float32))
        assert stream.ask(b"JPEG").frame_id == 78
    kinds = [frame.WhichOneof("picture") for frame in seen]
    assert kinds == ["image", "raw", "raw", "ticket", "image"]
    assert (seen[2].raw.height, seen[3].ticket.segment_id) == (24, 5)


def test_stream_goes_on_after_a_frame_that_failed(client: Any) -> None:
    """The failure is in the answer, not an exception."""
    with client.stream() as stream:
        bad, good = stream.ask(b"bad"), stream.ask(b"good")
    assert bad.error.code is ErrorCode.DECODE_FAIL
    assert bad.results == ()
    assert good.error is None


def test_stream_whose_answers_nobody_takes_sends_no_more(client: Any, box: FakeBox) -> None:
    """Four by default; neither frames nor answers pile up, here or on the wire."""
    seen: list[int] = []

    def count(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        for request in requests:
            seen.append(request.frame.frame_id)
            yield answer_to(request.frame)

    box.stream = count
    with client.stream() as stream:
        for _ in range(4):
            stream.send(b"f")
        with refused(ErrorCode.TIMEOUT):
            stream.send(b"f", timeout_s=SOON_S)
        assert stream.unanswered == 4
        assert stream.receive().frame_id == 1
        assert stream.send(b"f") == 6
        stream.finish()
        assert [answer.frame_id for answer in stream] == [2, 3, 4, 6]
    assert seen == [1, 2, 3, 4, 6]


def test_stream_to_a_box_that_never_answers_times_out(client: Any, box: FakeBox) -> None:
    """Whoever sends and whoever takes hear 1011, and the end of the block ends the call."""

    def never(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        box.released.wait(HANG_S)
        yield from ()

    box.stream = never
    with client.stream(max_unanswered=2, timeout_s=SOON_S) as stream:
        stream.send(b"f")
        with refused(ErrorCode.TIMEOUT):
            stream.receive()
        stream.send(b"f")
        with refused(ErrorCode.TIMEOUT):
            stream.send(b"f")
        with refused(ErrorCode.BUSY):
            stream.ask(b"f")
        assert not box.ended.is_set()
    assert box.ended.wait(HANG_S)


def test_stream_with_newest_wins_says_5003_for_replaced_frames(client: Any, box: FakeBox) -> None:
    """One answer for each frame, judged or not."""
    busy = Gate()

    def newest(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        first, second, third = (next(requests).frame for _ in range(3))
        busy()
        yield answer_to(second, ErrorCode.QUEUE_FULL)
        yield answer_to(first)
        yield answer_to(third)

    box.stream = newest
    with client.stream(overflow="newest_wins") as stream:
        for _ in range(3):
            stream.send(b"f")
        stream.finish()
        busy.open()
        found = {answer.frame_id: answer.error and answer.error.code for answer in stream}
    assert found == {1: None, 2: ErrorCode.QUEUE_FULL, 3: None}
    assert box.opened is not None
    assert box.opened.overflow == pb.OVERFLOW_NEWEST_WINS


@pytest.mark.parametrize(
    "code", [ErrorCode.NO_PERMISSION, ErrorCode.FULL, ErrorCode.PARAM_FAILURE, ErrorCode.QUEUE_STOPED]
)
def test_stream_that_fails_says_why_and_is_not_tried_again(
    code: ErrorCode, client: Any, box: FakeBox
) -> None:
    """Status and ErrorInfo, as for unary calls; answers that came before are told first."""
    error = LiveGateError(code, "no more", hint="do this")

    def one_and_out(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        yield answer_to(next(requests).frame)
        next(requests)
        fail(context, error)

    box.stream = one_and_out
    with client.stream() as stream:
        stream.send(b"f")
        stream.send(b"f")
        assert stream.receive().frame_id == 1
        with refused(code) as caught:
            stream.receive()
        assert (caught.value.message, caught.value.hint) == ("no more", "do this")
        with refused(code):
            stream.send(b"f")


def test_stream_that_is_refused_while_frames_are_sent_says_why(client: Any, box: FakeBox) -> None:
    """Whichever comes first, the failed write or the status (grpc#36066), the reason is the box's."""

    def refuse(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        fail(context, LiveGateError(ErrorCode.FULL, "32 streams are open"))
        yield from ()

    box.stream = refuse
    for _ in range(60):
        with client.stream() as stream:
            for _ in range(3):
                with contextlib.suppress(LiveGateError):
                    stream.send(b"f")
            with refused(ErrorCode.FULL):
                stream.receive()


def test_stream_of_a_box_that_dies_says_so_to_all_who_wait(client: Any, box: FakeBox) -> None:
    """Whoever waits to send and whoever waits for an answer hear it at once, without a timeout."""
    got = threading.Event()

    def hold(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        next(requests)
        got.set()
        box.released.wait(HANG_S)
        yield from ()

    box.stream = hold
    gone = (ErrorCode.CONNECTION_CLOSE, ErrorCode.CONNECTION_FAILURE)
    with client.stream(max_unanswered=1, timeout_s=2 * HANG_S) as stream, ThreadPoolExecutor(2) as pool:
        stream.send(b"f")
        waits = [pool.submit(stream.send, b"f"), pool.submit(stream.receive)]
        assert got.wait(HANG_S)
        box.stop()
        for waiting in waits:
            with pytest.raises(LiveGateError) as caught:
                waiting.result(HANG_S)
            assert caught.value.code in gone


def test_stream_that_ends_without_an_answer_is_1024(client: Any, box: FakeBox) -> None:
    """A box, or something between, that ends the call in good order owes its answers all the same."""

    def one_only(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        yield answer_to(next(requests).frame)
        next(requests)

    box.stream = one_only
    with client.stream() as stream:
        stream.send(b"f")
        stream.send(b"f")
        stream.finish()
        assert next(stream).frame_id == 1
        with refused(ErrorCode.CONNECTION_CLOSE):
            next(stream)


def test_stream_without_a_server_is_1025(connect: Connect) -> None:
    """At the first answer that is waited for; it is not tried again."""
    with (
        connect("127.0.0.1:1") as client,
        client.stream() as stream,
        refused(ErrorCode.CONNECTION_FAILURE),
    ):
        stream.ask(b"f")


def test_stream_left_early_is_cancelled(client: Any, box: FakeBox) -> None:
    """A block that is left by an exception ends the call at the box, too."""
    box.stream = in_order
    stream = client.stream()
    with pytest.raises(ZeroDivisionError), stream:
        raise ZeroDivisionError(stream.ask(b"f"))
    assert box.ended.wait(HANG_S)
    with refused(ErrorCode.CONNECTION_CLOSE):
        stream.send(b"f")
    assert list(stream) == []


def test_stream_of_a_client_that_is_closed_ends(connect: Connect, box: FakeBox) -> None:
    """Nobody waits for ever on a channel that is gone."""
    client = connect(box.target)
    stream = client.stream()
    stream.ask(b"f")
    client.close()
    assert box.ended.wait(HANG_S)
    with refused(ErrorCode.CONNECTION_CLOSE):
        stream.ask(b"f")
    stream.close()


def test_box_that_answers_too_much_is_left(client: Any, box: FakeBox) -> None:
    """An answer without a frame breaks the contract: 1004, and the call is over."""

    def chatter(requests: Iterator[pb.StreamRequest], context: Any) -> Iterator[bytes]:
        frame = next(requests).frame
        yield answer_to(frame)
        yield answer_to(frame)
        box.released.wait(HANG_S)

    box.stream = chatter
    with client.stream() as stream:
        stream.send(b"f")
        assert stream.receive().frame_id == 1
        with refused(ErrorCode.INVALID_PARAM):
            stream.receive()
        assert box.ended.wait(HANG_S)


def test_streams_leave_nothing_behind(client: Any) -> None:
    """A hundred streams, and no thread more than before the second one."""
    with client.stream() as stream:
        stream.ask(b"f")
    eventually(lambda: count_of("livegate-answers") == 0)
    for _ in range(100):
        with client.stream() as stream:
            stream.ask(b"f")
    gc.collect()
    eventually(lambda: count_of("livegate-answers") == 0)


def count_of(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


# --- watches ------------------------------------------------------------------------------------


def word(number: int, gate: int = 0) -> bytes:
    return pb.StreamResponse(code=9022, frame_id=number, gate=gate).SerializeToString()


def test_watch_ends_with_the_reason_of_its_end(client: Any, box: FakeBox) -> None:
    """A camera that is removed, or whose file is over, is 1023: the loop does not just fall through."""

    def three(request: pb.WatchCameraRequest, context: Any) -> Iterator[bytes]:
        yield from (word(number, gate=2) for number in (1, 2, 3))
        fail(context, LiveGateError(ErrorCode.EXIT, f"{request.camera} was removed"))

    box.watch = three
    seen = []
    with client.watch("door") as answers, refused(ErrorCode.EXIT) as caught:
        for answer in answers:
            seen.append(answer.frame_id)
    assert caught.value.message == "door was removed"
    assert seen == [1, 2, 3]


def test_watcher_that_is_slow_gets_the_newest_and_every_word(client: Any, box: FakeBox) -> None:
    """A thousand answers while it does something else: the word, and the last of them."""
    is_sent = threading.Event()

    def many(request: pb.WatchCameraRequest, context: Any) -> Iterator[bytes]:
        yield from (word(number, gate=3 if number == 500 else 0) for number in range(1, 1001))
        is_sent.set()
        box.released.wait(HANG_S)

    box.watch = many
    with client.watch("door") as answers:
        assert is_sent.wait(HANG_S)
        found = []
        while not found or found[-1].frame_id < 1000:
            found.append(next(answers))
    assert [answer.frame_id for answer in found if answer.gate] == [500]


def test_watch_of_a_silent_camera_times_out_when_told_to(client: Any, box: FakeBox) -> None:
    """Else it waits; a camera may be at rest."""

    def silent(request: pb.WatchCameraRequest, context: Any) -> Iterator[bytes]:
        box.released.wait(HANG_S)
        yield from ()

    box.watch = silent
    with client.watch("door", timeout_s=SOON_S) as answers, refused(ErrorCode.TIMEOUT):
        next(answers)
    assert box.ended.wait(HANG_S)


def test_watch_of_an_unknown_camera_is_1016(client: Any, box: FakeBox) -> None:
    """The box's error, at the first answer."""

    def refuse(request: pb.WatchCameraRequest, context: Any) -> Iterator[bytes]:
        fail(context, LiveGateError(ErrorCode.NO_EXIST, f"there is no camera {request.camera}"))
        yield from ()

    box.watch = refuse
    with client.watch("attic") as answers, refused(ErrorCode.NO_EXIST):
        next(answers)
