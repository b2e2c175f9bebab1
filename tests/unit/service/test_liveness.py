"""What every edge calls, on the null backend: refusals, life cycle, and the answer's frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from livegate.core.config import Config
from livegate.core.errors import DeadlineError, ErrorCode, LiveGateError, QueueError, RequestError
from livegate.core.frame import Frame
from livegate.core.request import CODE_ANALYZE, AnalyzeRequest
from livegate.core.results import Decision, EngineInfo
from livegate.core.telemetry import Metrics
from livegate.engines.pool import EnginePool
from livegate.ingest.image import decode_frame
from livegate.service.liveness import STUCK_COMPILING_S, STUCK_S, LivenessService, State, Status
from support import (
    HANG_S,
    FakeClock,
    Gate,
    config_with,
    encoded,
    jpeg_with_exif,
    noise,
    null_pipeline,
    picture,
    tiff_with_orientation,
)

SILENT, DETECTION = 1031, 9001
PICTURE = encoded(".png", noise(96, 64))


class Box:
    """A service with the parts that a test looks into."""

    def __init__(self, config: Config | None = None, *, is_warm: bool = True) -> None:
        """One worker, no deadline thread."""
        self.config = config or Config()
        self.clock = FakeClock()
        self.pool = EnginePool(
            1, self.config.server.queue_capacity, now_ns=self.clock, watches_deadlines=False
        )
        self.metrics = Metrics()
        self.service = LivenessService(self.config, self.pool, self.metrics)
        if is_warm:
            self.service.start(null_pipeline(self.config))


@pytest.fixture
def box() -> Iterator[Box]:
    """A warm service, closed afterwards."""
    box = Box()
    yield box
    box.service.close()


def request(*images: bytes, **fields: Any) -> AnalyzeRequest:
    """A good request, but for what is given."""
    return AnalyzeRequest(
        **{
            "code": CODE_ANALYZE,
            "task_id": "task_1",
            "algo_tasks": (SILENT,),
            "images": images,
            "request_id": "r-1",
            **fields,
        }
    )


def refusal(box: Box, asked: AnalyzeRequest) -> RequestError:
    """The error of a request that the caller can mend."""
    with pytest.raises(RequestError) as caught:
        box.service.analyze(asked)
    return caught.value


def test_analyze_one_picture_is_answered(box: Box) -> None:
    """The answer carries the request's ids, the picture's size and one verdict."""
    analysis = box.service.analyze(request(PICTURE))
    assert (analysis.task_id, analysis.request_id) == ("task_1", "r-1")
    assert (analysis.src_width, analysis.src_height) == (96, 64)
    (verdict,) = analysis.verdicts
    assert verdict.algo_task == SILENT
    assert verdict.decision is Decision.SPOOF
    assert len(verdict.image_scores) == 1


def test_analyze_two_tasks_are_answered_in_their_order(box: Box) -> None:
    """Each number that is asked for has a verdict, in the order of the request."""
    analysis = box.service.analyze(request(PICTURE, algo_tasks=(DETECTION, SILENT)))
    assert [verdict.algo_task for verdict in analysis.verdicts] == [DETECTION, SILENT]
    assert analysis.verdicts[0].faces


def test_analyze_engines_are_those_that_ran(box: Box) -> None:
    """The answer names every network that ran for it, and no other."""
    silent = box.service.analyze(request(PICTURE))
    faces = box.service.analyze(request(PICTURE, algo_tasks=(DETECTION,)))
    assert {engine.network for engine in silent.engines} == {"detector", "crop_2_7", "crop_4_0"}
    assert {engine.network for engine in faces.engines} == {"detector"}
    assert {engine.provider for engine in silent.engines} == {"null"}


@pytest.mark.parametrize("code", [0, 1020, 1031, -1019])
def test_analyze_unknown_message_code_is_1031(box: Box, code: int) -> None:
    """A message code other than 1019 is refused and repeated."""
    error = refusal(box, request(PICTURE, code=code))
    assert error.code is ErrorCode.PARAM_FAILURE
    assert str(code) in error.message


@pytest.mark.parametrize("algo_tasks", [(), (7,), (SILENT, 7)])
def test_analyze_unknown_algo_task_is_1031(box: Box, algo_tasks: tuple[int, ...]) -> None:
    """A number that no task has is refused, with those that exist."""
    error = refusal(box, request(PICTURE, algo_tasks=algo_tasks))
    assert error.code is ErrorCode.PARAM_FAILURE
    assert "1031, 9001" in error.hint


def test_analyze_no_picture_is_1031(box: Box) -> None:
    """A request without pictures is refused."""
    assert refusal(box, request()).code is ErrorCode.PARAM_FAILURE


def test_analyze_seventeen_pictures_are_1031(box: Box) -> None:
    """One picture more than the limit is refused, with both numbers."""
    error = refusal(box, request(*[PICTURE] * 17))
    assert error.code is ErrorCode.PARAM_FAILURE
    assert "17" in error.message
    assert "16" in error.message


@pytest.mark.parametrize("count", [1, 8, 9, 16])
def test_analyze_up_to_sixteen_pictures_are_answered(box: Box, count: int) -> None:
    """The contract advises eight pictures; up to sixteen are answered, each with its score."""
    analysis = box.service.analyze(request(*[PICTURE] * count))
    assert len(analysis.verdicts[0].image_scores) == count


def test_analyze_many_slow_pictures_are_no_worker_that_is_stuck(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box that needs 20 s for each is slow; systemd would restart it for one that hangs."""
    spent: list[float] = []

    def slow(*asked: Any, **named: Any) -> Frame:
        box.clock.now_ns += 20_000_000_000
        spent.append(box.service.status.longest_run_s)
        return decode_frame(*asked, **named)

    monkeypatch.setattr("livegate.service.liveness.decode_frame", slow)
    box.service.analyze(request(PICTURE, PICTURE, PICTURE))
    assert spent == [20, 20, 20]


def test_status_heeds_the_threads_beside_the_workers(box: Box) -> None:
    """The slowest of all of them, whoever has it."""
    runs = [0.0, 0.0]
    box.service.watch(lambda: runs[0])
    box.service.watch(lambda: runs[1])
    assert not box.service.status.is_stuck
    runs[:] = STUCK_S + 1, 2.0
    assert box.service.status.longest_run_s == STUCK_S + 1
    assert box.service.status.is_stuck


@pytest.mark.parametrize(("compiles", "is_stuck"), [(False, True), (True, False)])
def test_status_worker_whose_engine_compiles_in_a_run_is_not_stuck(
    compiles: bool, is_stuck: bool
) -> None:
    """Minutes on a picture of a new size; restarted, it would begin anew and never serve."""
    engine = EngineInfo("m", "n", "0" * 64, "onnxruntime 1", "cann", "cann", "fp32", compiles)
    told = Status(State.READY, 1, 1, 0, 1, (), (engine,), longest_run_s=STUCK_S + 1)
    assert told.is_stuck is is_stuck
    hung = dataclasses.replace(told, longest_run_s=STUCK_COMPILING_S + 1)
    assert hung.is_stuck


def test_analyze_limit_of_pictures_is_the_configurations() -> None:
    """The number of pictures is the configuration's, not a constant."""
    box = Box(config_with(limits={"max_images": 2}))
    assert refusal(box, request(*[PICTURE] * 3)).code is ErrorCode.PARAM_FAILURE
    assert box.service.analyze(request(PICTURE, PICTURE)).verdicts
    box.service.close()


def test_analyze_pictures_of_two_resolutions_are_1031(box: Box) -> None:
    """Pictures of different sizes in one request are refused, with both sizes and the number."""
    error = refusal(box, request(PICTURE, PICTURE, encoded(".png", noise(64, 96))))
    assert error.code is ErrorCode.PARAM_FAILURE
    assert "image 3" in error.message
    assert "64x96" in error.message
    assert "96x64" in error.message


def test_analyze_resolutions_are_compared_upright(box: Box) -> None:
    """A picture stored on its side counts with the size that it has once it is upright."""
    upright = encoded(".jpg", picture(96, 64))
    on_its_side = jpeg_with_exif(
        encoded(".jpg", np.ascontiguousarray(np.rot90(picture(96, 64)))), tiff_with_orientation(6)
    )
    analysis = box.service.analyze(request(upright, on_its_side))
    assert (analysis.src_width, analysis.src_height) == (96, 64)


def test_analyze_same_stored_size_turned_differently_is_1031(box: Box) -> None:
    """Two pictures stored at one size, one of them to be turned, are of two resolutions."""
    jpeg = encoded(".jpg", picture(96, 64))
    error = refusal(box, request(jpeg, jpeg_with_exif(jpeg, tiff_with_orientation(6))))
    assert error.code is ErrorCode.PARAM_FAILURE
    assert "64x96" in error.message


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"", ErrorCode.DECODE_FAIL),
        (b"text", ErrorCode.DECODE_FAIL),
        (encoded(".jpg", noise(96, 64))[:-300], ErrorCode.DECODE_FAIL),
        (encoded(".png", noise(8, 8)), ErrorCode.PARAM_FAILURE),
    ],
    ids=["empty", "text", "cut short", "small"],
)
def test_analyze_bad_picture_is_named_by_its_number(box: Box, bad: bytes, code: ErrorCode) -> None:
    """One bad picture refuses the request and says which one it is, counting from one."""
    error = refusal(box, request(PICTURE, bad, PICTURE))
    assert error.code is code
    assert "image 2 of 3" in error.message


def test_analyze_bad_last_picture_is_refused_before_the_first_is_decoded(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All headers are looked at first, so that a bad last picture costs no decoding."""

    def decode(*arguments: Any, **options: Any) -> None:
        pytest.fail("a picture was decoded")

    monkeypatch.setattr("livegate.service.liveness.decode_frame", decode)
    assert refusal(box, request(PICTURE, b"text")).code is ErrorCode.DECODE_FAIL


def test_analyze_after_a_refusal_the_worker_lives(box: Box) -> None:
    """A refused request leaves nothing behind that the next one stumbles over."""
    refusal(box, request(PICTURE, encoded(".png", noise(64, 96))))
    assert box.service.analyze(request(PICTURE)).verdicts


def test_analyze_before_the_models_are_warm_is_1012() -> None:
    """A request before the pipeline is there is 1012, and the status says why."""
    box = Box(is_warm=False)
    assert box.service.status.state is State.WARMING
    assert box.service.status.algo_tasks == ()
    with pytest.raises(LiveGateError) as caught:
        box.service.analyze(request(PICTURE))
    assert caught.value.code is ErrorCode.NOT_INIT
    box.service.close()


def test_analyze_while_draining_is_5002(box: Box) -> None:
    """After the drain has begun a request is 5002 and the gauge says not ready."""
    assert box.service.status.state is State.READY
    assert b"livegate_ready 1.0" in box.metrics.exposition()
    assert box.service.drain(HANG_S)
    assert box.service.status.state is State.DRAINING
    assert b"livegate_ready 0.0" in box.metrics.exposition()
    with pytest.raises(QueueError) as caught:
        box.service.analyze(request(PICTURE))
    assert caught.value.code is ErrorCode.QUEUE_STOPED


def test_refused_requests_leave_the_workers_to_videos(box: Box) -> None:
    """From the stop on a request is 5002, also while a video under way still needs the workers."""
    box.service.refuse()
    with pytest.raises(QueueError) as caught:
        box.service.analyze(request(PICTURE))
    assert caught.value.code is ErrorCode.QUEUE_STOPED
    assert box.service.status.state is State.DRAINING
    assert box.service.queue(lambda: "looked at").result(HANG_S) == "looked at"


def test_submit_full_queue_is_5003_at_once() -> None:
    """With the worker busy and every place taken a good request is 5003."""
    box = Box(config_with(server={"queue_capacity": 1}))
    gate = Gate()
    box.pool.submit(gate)
    assert gate.entered.wait(HANG_S)
    waiting = box.service.submit(request(PICTURE))
    assert box.service.status.queue_depth == 1
    with pytest.raises(QueueError) as caught:
        box.service.submit(request(PICTURE))
    assert caught.value.code is ErrorCode.QUEUE_FULL
    gate.open()
    assert waiting.result(HANG_S).verdicts
    box.service.close()


def test_submit_in_a_flood_leaves_places_to_videos_and_streams() -> None:
    """After a refusal new requests have half of the places, what is under way all of them."""
    box = Box(config_with(server={"queue_capacity": 4}))
    gate = Gate()
    box.pool.submit(gate)
    assert gate.entered.wait(HANG_S)
    waiting = [box.service.submit(request(PICTURE)) for _ in range(4)]
    for more in (3, 0):
        with pytest.raises(QueueError):
            box.service.submit(request(PICTURE))
        while len(waiting) > more:
            waiting.pop().cancel()
    waiting = [box.service.queue(int) for _ in range(4)]
    with pytest.raises(QueueError):
        box.service.submit(request(PICTURE))
    gate.open()
    assert [one.result(HANG_S) for one in waiting] == [0] * 4
    box.service.close()


def test_submit_bad_request_takes_no_place(box: Box) -> None:
    """What can be refused by looking at it never enters the queue, however busy the workers are."""
    gate = Gate()
    box.pool.submit(gate)
    assert gate.entered.wait(HANG_S)
    for bad in (request(PICTURE, code=1), request(), request(PICTURE, algo_tasks=(7,))):
        with pytest.raises(RequestError):
            box.service.submit(bad)
    assert box.pool.depth == 0
    gate.open()


def test_submit_deadline_of_the_request_is_the_queues(box: Box) -> None:
    """A request whose deadline passes in the queue is 1011 although the worker is busy."""
    gate = Gate()
    box.pool.submit(gate)
    assert gate.entered.wait(HANG_S)
    job = box.service.submit(request(PICTURE, deadline_ns=500))
    box.clock.now_ns = 500
    box.pool.expire()
    with pytest.raises(DeadlineError):
        job.result(timeout=0)
    gate.open()


def test_submit_without_deadline_has_the_configured_one(box: Box) -> None:
    """A request without a deadline still does not wait for ever."""
    gate = Gate()
    box.pool.submit(gate)
    assert gate.entered.wait(HANG_S)
    box.service.submit(request(PICTURE))
    assert box.pool.expire() is not None
    gate.open()


def test_status_shows_the_box(box: Box) -> None:
    """Workers, places, tasks and engines are those that were built."""
    status = box.service.status
    assert (status.workers, status.queue_depth) == (1, 0)
    assert status.queue_capacity == box.config.server.queue_capacity
    assert status.algo_tasks == (SILENT, DETECTION)
    assert len(status.engines) == 3


def test_analyze_is_counted_in_the_metrics(box: Box) -> None:
    """Verdicts, faces and stages of an answered request are in the exposition."""
    analysis = box.service.analyze(request(PICTURE, PICTURE, algo_tasks=(SILENT, DETECTION)))
    text = box.metrics.exposition().decode()
    assert 'livegate_verdicts_total{decision="SPOOF",task="silent_liveness"} 1.0' in text
    assert f"livegate_faces_total {len(analysis.verdicts[1].faces)}.0" in text
    assert 'livegate_stage_seconds_count{stage="infer"} 1.0' in text


def test_close_ends_the_workers(box: Box) -> None:
    """After closing, no worker is left and requests are 5002."""
    box.service.close()
    with pytest.raises(QueueError):
        box.service.analyze(request(PICTURE))
