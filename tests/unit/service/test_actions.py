"""verify_actions on the null backend: refusals, places, deadlines, and its turn among the others."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clips import GREY, clip
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.request import CODE_CHALLENGE, CODE_VERIFY, VerifyRequest
from livegate.core.results import Action, Reason
from livegate.core.telemetry import Metrics
from livegate.engines.pool import EnginePool
from livegate.service.actions import ActionService, check
from livegate.service.challenges import Challenges
from livegate.service.liveness import LivenessService
from support import HANG_S, Gate, config_with, null_pipeline


class Box:
    """A service with one worker, and its videos."""

    def __init__(self, config: Config | None = None, *, tasks: str = "all") -> None:
        """Warm, unless `tasks` is none."""
        self.config = config or Config()
        self.metrics = Metrics()
        self.now_ns = 0
        self.service = LivenessService(self.config, EnginePool(1, 4), self.metrics)
        if tasks != "none":
            self.service.start(null_pipeline(self.config, with_actions=tasks == "all"))
        self.challenges = Challenges(self.config, self.service, self.metrics, now_ns=lambda: self.now_ns)
        self.actions = ActionService(
            self.config, self.service, self.metrics, self.challenges, now_ns=lambda: self.now_ns
        )

    def close(self) -> None:
        """End all threads."""
        self.actions.close()
        self.service.close()


@pytest.fixture
def box() -> Iterator[Box]:
    """Warm."""
    box = Box()
    yield box
    box.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A second and a half of grey."""
    path = tmp_path_factory.mktemp("v") / "a.mp4"
    return clip(path, [GREY] * 36, size=(128, 96), fps=24).read_bytes()


def request(content: bytes, **fields: Any) -> VerifyRequest:
    """A good request, but for what is given."""
    return VerifyRequest(
        **{
            "code": CODE_VERIFY,
            "task_id": "t",
            "actions": (1, 3),
            "video": content,
            "request_id": "r",
            **fields,
        }
    )


def test_verify_tells_what_it_looked_at(box: Box, video: bytes) -> None:
    """The null backend sees a face of its own that does nothing: every field is filled."""
    verdict = box.actions.verify(request(video))
    assert (verdict.code, verdict.task_id, verdict.request_id) == (9003, "t", "r")
    assert not verdict.is_alive
    assert Reason.ACTION_MISSING in verdict.reasons
    assert [result.action for result in verdict.actions] == [Action.SHAKE_LEFT, Action.NOD]
    assert (verdict.src_width, verdict.src_height) == (128, 96)
    assert (verdict.frames, verdict.codec) == (36, "h264")
    assert verdict.duration_ms == pytest.approx(1500, abs=2)
    assert verdict.samples == pytest.approx(1.5 * verdict.sample_fps, abs=2)
    assert {engine.model_id for engine in verdict.engines} == {
        "yunet_n",
        "minifasnet_pair",
        "pfld_ghostone",
        "fsanet_pair",
    }
    assert verdict.stages.decode_ns > 0
    assert verdict.stages.infer_ns > 0


def test_video_may_be_asked_about_without_actions(box: Box, video: bytes) -> None:
    """Only where the request says so: silent liveness and continuity alone."""
    verdict = box.actions.verify(request(video, actions=(), needs_actions=False))
    assert verdict.actions == ()
    assert verdict.samples > 0
    assert not {Reason.ACTION_MISSING, Reason.ACTION_NOT_ASKED_FOR} & set(verdict.reasons)


@pytest.mark.parametrize(
    "fields",
    [
        {"code": 1019},
        {"actions": ()},
        {"actions": (1,) * 11},
        {"actions": (1,) * 11, "needs_actions": False},
        {"actions": (6,)},
        {"actions": (0,)},
        {"windows": ((0, 100),)},
        {"windows": ((0, 100), (100, 100))},
        {"windows": ((-1, 100), (100, 200))},
        {"nod_deg": 0.5},
        {"nod_deg": 91.0},
        {"nod_deg": float("nan")},
        {"video": b""},
    ],
)
def test_request_that_is_none_is_1031(fields: dict[str, Any]) -> None:
    """Found before anything is decoded."""
    with pytest.raises(LiveGateError) as caught:
        check(request(b"video", **fields), Config())
    assert caught.value.code is ErrorCode.PARAM_FAILURE


def test_too_large_a_video_is_1009() -> None:
    """One byte more than the limit."""
    with pytest.raises(LiveGateError) as caught:
        check(request(bytes(11)), config_with(video={"max_bytes": 10}))
    assert caught.value.code is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("tasks", "code"), [("none", ErrorCode.NOT_INIT), ("pictures", ErrorCode.PARAM_FAILURE)]
)
def test_box_that_cannot_says_so(tasks: str, code: ErrorCode, video: bytes) -> None:
    """1012 while it warms; 1031 where the models are not there, and 9002 is not among its tasks."""
    box = Box(tasks=tasks)
    with pytest.raises(LiveGateError) as caught:
        box.actions.submit(request(video))
    assert caught.value.code is code
    assert 9002 not in box.service.status.algo_tasks
    box.close()


def test_bad_video_has_its_own_code_and_the_next_is_fine(box: Box, video: bytes) -> None:
    """The error belongs to that video."""
    with pytest.raises(LiveGateError) as caught:
        box.actions.verify(request(b"garbage"))
    assert caught.value.code is ErrorCode.DECODE_FAIL
    assert box.actions.verify(request(video)).frames == 36


def test_too_many_videos_are_5003_and_a_cancelled_one_frees_its_place(video: bytes) -> None:
    """One is looked at, one waits, the third is refused until one is gone."""
    box = Box(config_with(video={"at_once": 1, "max_waiting": 1}))
    gate = Gate()
    box.service.queue(gate)  # the worker is busy: no video gets on
    assert gate.entered.wait(HANG_S)
    first, second = (box.actions.submit(request(video)) for _ in range(2))
    with pytest.raises(LiveGateError) as caught:
        box.actions.submit(request(video))
    assert caught.value.code is ErrorCode.QUEUE_FULL
    assert second.cancel()
    third = box.actions.submit(request(video))
    gate.open()
    assert first.result(HANG_S).frames == third.result(HANG_S).frames == 36
    box.close()


def test_cancelled_videos_do_not_stay_in_memory(video: bytes) -> None:
    """Until a thread is free, whoever sends and hangs up would fill it."""
    box = Box(config_with(video={"at_once": 1, "max_waiting": 1}))
    gate = Gate()
    box.service.queue(gate)
    assert gate.entered.wait(HANG_S)
    first = box.actions.submit(request(video))
    content = video + b" "
    before = sys.getrefcount(content)
    for _ in range(20):
        assert box.actions.submit(request(content)).cancel()
    assert sys.getrefcount(content) == before
    gate.open()
    assert first.result(HANG_S).frames == 36
    box.close()


def test_full_queue_is_waited_for(video: bytes) -> None:
    """A video that is under way does not end because pictures fill the queue for a moment."""
    box = Box()
    gate = Gate()
    blocked = [box.service.queue(gate)]
    assert gate.entered.wait(HANG_S)
    blocked += [box.service.queue(lambda: "done") for _ in range(4)]
    future = box.actions.submit(request(video))
    gate.open()
    assert future.result(HANG_S).frames == 36
    assert [job.result(HANG_S) for job in blocked[1:]] == ["done"] * 4
    box.close()


def test_pictures_of_others_come_in_between(box: Box, video: bytes) -> None:
    """While a video is looked at, a request of somebody else gets its turn."""
    future = box.actions.submit(request(video))
    assert box.service.queue(lambda: "in between").result(HANG_S) == "in between"
    assert future.result(HANG_S).frames == 36


def test_deadline_that_passed_is_1011(box: Box, video: bytes) -> None:
    """Nobody waits any more: nothing is decoded."""
    box.now_ns = 10
    with pytest.raises(LiveGateError) as caught:
        box.actions.verify(request(video, deadline_ns=5))
    assert caught.value.code is ErrorCode.TIMEOUT


def test_drain_refuses_new_ones_and_finishes_accepted_ones(box: Box, video: bytes) -> None:
    """5002 for the new one; the one before is answered."""
    gate = Gate()
    box.service.queue(gate)
    assert gate.entered.wait(HANG_S)
    future = box.actions.submit(request(video))
    drained: list[bool] = []
    thread = threading.Thread(target=lambda: drained.append(box.actions.drain(HANG_S)))
    thread.start()
    while True:
        try:
            box.actions.submit(request(video)).cancel()
        except LiveGateError as error:
            assert error.code is ErrorCode.QUEUE_STOPED  # noqa: PT017 - it takes a moment
            break
    gate.open()
    thread.join(HANG_S)
    assert drained == [True]
    assert future.result(HANG_S).frames == 36


def test_close_ends_what_is_under_way(video: bytes) -> None:
    """5002, for the one that is looked at and the one that waits."""
    box = Box(config_with(video={"at_once": 1}))
    gate = Gate()
    box.service.queue(gate)
    assert gate.entered.wait(HANG_S)
    futures = [box.actions.submit(request(video)) for _ in range(2)]
    closing = threading.Thread(target=box.actions.close)
    closing.start()
    assert futures[1].exception(HANG_S) is not None
    gate.open()
    closing.join(HANG_S)
    for future in futures:
        error = future.exception(HANG_S)
        assert isinstance(error, LiveGateError)
        assert error.code is ErrorCode.QUEUE_STOPED
    box.close()


def test_path_is_unused(tmp_path: Path, video: bytes, box: Box, monkeypatch: Any) -> None:
    """No video touches a disk: nothing is written where temporary files go."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    box.actions.verify(request(video))
    assert list(tmp_path.iterdir()) == []


# --- challenges ---------------------------------------------------------------------------------


def answer_to(nonce: str, content: bytes) -> VerifyRequest:
    """A video for a challenge, which knows the actions itself."""
    return request(content, actions=(), challenge=nonce)


def refusal(box: Box, nonce: str, content: bytes) -> ErrorCode:
    with pytest.raises(LiveGateError) as caught:
        box.actions.submit(answer_to(nonce, content))
    return caught.value.code


def ended(box: Box, outcome: str) -> float:
    return float(box.metrics.challenges.labels(outcome)._value.get())


def test_video_answers_its_challenge_once(box: Box, video: bytes) -> None:
    """Judged by the challenge's actions; the second one is 1015, an unknown one 1016."""
    started = box.challenges.start(CODE_CHALLENGE)
    verdict = box.actions.verify(answer_to(started.nonce, video))
    assert tuple(result.action for result in verdict.actions) == started.actions
    assert ended(box, "FAILED") == 1
    assert refusal(box, started.nonce, video) is ErrorCode.EXIST
    assert refusal(box, "nobody's", video) is ErrorCode.NO_EXIST


def test_video_that_comes_after_the_deadline_is_1011(box: Box, video: bytes) -> None:
    """In time is when all of it had arrived; how long it is looked at does not count."""
    late, early = (box.challenges.start(CODE_CHALLENGE) for _ in range(2))
    gate = Gate()
    box.service.queue(gate)
    box.now_ns = late.deadline_ns
    future = box.actions.submit(answer_to(early.nonce, video))
    box.now_ns += 1
    assert refusal(box, late.nonce, video) is ErrorCode.TIMEOUT
    gate.open()
    assert future.result(HANG_S).frames == 36


def test_refused_request_leaves_the_challenge_open(video: bytes) -> None:
    """A full queue and a request that is none; then it is answered."""
    box = Box(config_with(video={"at_once": 1, "max_waiting": 1}))
    started = box.challenges.start(CODE_CHALLENGE)
    gate = Gate()
    box.service.queue(gate)
    first, second = (box.actions.submit(request(video)) for _ in range(2))
    assert refusal(box, started.nonce, video) is ErrorCode.QUEUE_FULL
    assert refusal(box, started.nonce, b"") is ErrorCode.PARAM_FAILURE
    gate.open()
    assert first.result(HANG_S).frames == second.result(HANG_S).frames == 36
    assert box.actions.verify(answer_to(started.nonce, video)).frames == 36
    box.close()


def test_video_that_cannot_be_read_spends_the_challenge(box: Box, video: bytes) -> None:
    """It was accepted: whatever comes of it, there is no second try."""
    started = box.challenges.start(CODE_CHALLENGE)
    with pytest.raises(LiveGateError) as caught:
        box.actions.verify(answer_to(started.nonce, b"no video" * 99))
    assert caught.value.code is ErrorCode.DECODE_FAIL
    assert refusal(box, started.nonce, video) is ErrorCode.EXIST
    assert ended(box, "ABANDONED") == 1


def test_of_two_videos_at_once_one_is_looked_at(box: Box, video: bytes) -> None:
    """Sent by many threads together; the others' places are free again."""
    for _ in range(5):
        started = box.challenges.start(CODE_CHALLENGE)
        begin, won, codes = threading.Barrier(4), [], []

        def send(nonce: str = started.nonce, begin: threading.Barrier = begin) -> None:
            begin.wait(HANG_S)
            try:
                won.append(box.actions.submit(answer_to(nonce, video)))  # noqa: B023 - joined below
            except LiveGateError as error:
                codes.append(error.code)  # noqa: B023

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG_S)
        assert codes == [ErrorCode.EXIST] * 3
        assert won[0].result(HANG_S).frames == 36
    assert box.actions.drain(HANG_S)


def test_service_without_challenges_takes_none(box: Box, video: bytes) -> None:
    """A nonce that nobody looks at must not look as if it had been."""
    alone = ActionService(box.config, box.service, box.metrics)
    with pytest.raises(LiveGateError) as caught:
        alone.submit(request(video, challenge="x"))
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    alone.close()
