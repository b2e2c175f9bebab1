"""Reloading: what is answered by which models, what a failure leaves, who is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from clips import GREY, clip
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError, SetupError
from livegate.core.frame import Frame
from livegate.core.request import (
    CODE_ANALYZE,
    CODE_CHALLENGE,
    CODE_VERIFY,
    AnalyzeRequest,
    VerifyRequest,
)
from livegate.core.results import Analysis
from livegate.core.telemetry import Metrics, StageClock
from livegate.core.view import View
from livegate.engines.pool import EnginePool
from livegate.pipelines.pipeline import Pipeline
from livegate.service.actions import ActionService
from livegate.service.challenges import Challenges
from livegate.service.liveness import LivenessService, State
from livegate.service.reload import ModelReloader, ModelWish
from pipeline_kit import MarkedPipeline
from support import HANG_S, Gate, encoded, noise, null_pipeline

PICTURE = encoded(".png", noise(96, 64))
WISH = ModelWish()


class Box:
    """A service over marked pipelines; the next reload gets `next`, or what it raises."""

    def __init__(self, first: Pipeline, *, workers: int = 1) -> None:
        self.config = Config()
        self.metrics = Metrics()
        self.pool = EnginePool(workers, 64)
        self.service = LivenessService(self.config, self.pool, self.metrics)
        self.service.start(first)
        self.next: Callable[[], Pipeline] = lambda: MarkedPipeline(0.5)
        self.wishes: list[ModelWish] = []
        self.models = ModelReloader(self.service, self._build, self.metrics, drain_s=0)

    def _build(self, wish: ModelWish) -> Pipeline:
        self.wishes.append(wish)
        return self.next()

    def outcomes(self) -> dict[str, float]:
        names = ("swapped", "failed", "refused")
        counts = {name: self.metrics.reloads.labels(name)._value.get() for name in names}
        return {name: count for name, count in counts.items() if count}

    def drained(self) -> None:
        """Wait for the thread that closes."""
        pause = threading.Event()
        for _ in range(int(HANG_S / 0.005)):
            if not self.metrics.registry.get_sample_value("livegate_retired_pipelines"):
                return
            pause.wait(0.005)
        raise AssertionError("a retired pipeline was never closed")


@pytest.fixture
def old() -> MarkedPipeline:
    return MarkedPipeline(0.1)


@pytest.fixture
def box(old: MarkedPipeline) -> Iterator[Box]:
    made = Box(old)
    yield made
    made.service.close()


def request(count: int = 1) -> AnalyzeRequest:
    return AnalyzeRequest(CODE_ANALYZE, "t", (1031, 9001), (PICTURE,) * count, "r", None)


def require_one_pipeline(analysis: Analysis) -> float:
    """The mark of an answer, which all of it must have."""
    marks = {score for verdict in analysis.verdicts for score in verdict.image_scores}
    (mark,) = marks
    assert {engine.model_id for engine in analysis.engines} == {
        f"face_detection_{mark:g}",
        f"silent_liveness_{mark:g}",
    }
    return mark


def test_reload_serves_the_new_models(box: Box, old: MarkedPipeline) -> None:
    """The answer names them, status and metrics show them and nothing of the old ones."""
    reloaded = box.models.reload(ModelWish(pack="p", use={"silent_liveness": "m"}))
    box.drained()
    assert [engine.model_id for engine in reloaded.engines] == [
        "face_detection_0.5",
        "silent_liveness_0.5",
    ]
    assert reloaded.algo_tasks == (1031, 9001)
    assert box.wishes == [ModelWish("p", {"silent_liveness": "m"})]
    assert require_one_pipeline(box.service.analyze(request())) == 0.5
    assert box.service.status.engines == reloaded.engines
    assert old.closes == [1, 1]
    text = box.metrics.exposition().decode()
    assert 'model="silent_liveness_0.5"' in text
    assert "silent_liveness_0.1" not in text
    assert box.outcomes() == {"swapped": 1}


def test_request_under_way_and_one_that_waits_keep_their_models(box: Box, old: MarkedPipeline) -> None:
    """Both were accepted before the swap: every picture of theirs is the old models'."""
    gate = Gate()
    held = box.service.queue(gate)
    assert gate.entered.wait(HANG_S)
    waiting = box.service.submit(request(3))
    reloaded = box.models.reload(WISH)
    assert not reloaded.is_drained
    assert old.closes == [0, 0]
    assert box.metrics.registry.get_sample_value("livegate_retired_pipelines") == 1
    after = box.service.submit(request())
    gate.open()
    assert held.result(HANG_S) == "through"
    assert require_one_pipeline(waiting.result(HANG_S)) == 0.1
    assert require_one_pipeline(after.result(HANG_S)) == 0.5
    box.drained()
    assert old.closes == [1, 1]


def test_request_that_is_given_up_holds_no_models(box: Box, old: MarkedPipeline) -> None:
    """Cancelled while it waits, and refused for what is wrong with it."""
    gate = Gate()
    box.service.queue(gate)
    assert gate.entered.wait(HANG_S)
    assert box.service.submit(request()).cancel()
    with pytest.raises(LiveGateError):
        box.service.submit(request(0))
    box.models.reload(WISH)
    box.drained()
    assert old.closes == [1, 1]
    gate.open()


def test_failed_reload_leaves_the_old_models(box: Box, old: MarkedPipeline) -> None:
    """The code and the reason go to the caller and into the log; the box is ready all the time."""
    refused = SetupError(ErrorCode.MODELINIT_FAIL, "output x strays", hint="another backend may do")

    def fail() -> Pipeline:
        assert box.service.status.state is State.READY
        raise refused

    box.next = fail
    with pytest.raises(SetupError) as caught, capture_logs() as logs:
        box.models.reload(WISH)
    assert caught.value is refused
    (line,) = [line for line in logs if line["event"].startswith("reload failed")]
    assert (line["code"], line["why"]) == (1029, "output x strays")
    assert require_one_pipeline(box.service.analyze(request())) == 0.1
    assert box.service.status.state is State.READY
    assert old.closes == [0, 0]
    assert box.outcomes() == {"failed": 1}


@pytest.mark.parametrize(
    ("raised", "code"), [(MemoryError(), ErrorCode.OUT_OF_MEM), (KeyError("x"), ErrorCode.INNER)]
)
def test_reload_that_breaks_off_leaves_the_old_models(box: Box, raised: Exception, code: Any) -> None:
    """No memory for two sets, or a defect of ours: a number in any case, and the next one may do."""

    def fail() -> Pipeline:
        raise raised

    box.next = fail
    with pytest.raises(LiveGateError) as caught:
        box.models.reload(WISH)
    assert caught.value.code is code
    assert require_one_pipeline(box.service.analyze(request())) == 0.1
    box.next = lambda: MarkedPipeline(0.7)
    box.models.reload(WISH)
    assert require_one_pipeline(box.service.analyze(request())) == 0.7


def test_second_reload_meanwhile_is_1017(box: Box) -> None:
    """One at a time; the first goes on."""
    gate = Gate()

    def slow() -> Pipeline:
        gate()
        return MarkedPipeline(0.6)

    box.next = slow
    first = threading.Thread(target=box.models.reload, args=(WISH,))
    assert not box.models.is_reloading
    first.start()
    assert gate.entered.wait(HANG_S)
    assert box.models.is_reloading
    with pytest.raises(LiveGateError) as caught:
        box.models.reload(WISH)
    assert caught.value.code is ErrorCode.BUSY
    gate.open()
    first.join(HANG_S)
    assert not box.models.is_reloading
    assert box.service.status.engines[0].model_id == "face_detection_0.6"
    assert box.outcomes() == {"swapped": 1, "refused": 1}


def test_reload_that_would_change_nothing_as_served_is_refused(box: Box, old: MarkedPipeline) -> None:
    """What was built falls back to what serves: it is closed, and the cameras keep their votes."""
    same = MarkedPipeline(0.1)
    box.next = lambda: same
    with pytest.raises(LiveGateError, match="do not serve") as caught:
        box.models.reload(ModelWish(as_served=True))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert (same.closes, old.closes) == ([1, 1], [0, 0])
    assert box.outcomes() == {"failed": 1}


def test_reload_while_warming_is_1012() -> None:
    """The first models must come first."""
    metrics = Metrics()
    service = LivenessService(Config(), EnginePool(1, 1), metrics)
    models = ModelReloader(service, lambda wish: MarkedPipeline(0.5), metrics)
    with pytest.raises(LiveGateError) as caught:
        models.reload(WISH)
    assert caught.value.code is ErrorCode.NOT_INIT
    service.close()


def test_reload_while_draining_is_5002(box: Box) -> None:
    """Asked for after the drain began, or loaded when it began: nothing is left of it."""
    late = MarkedPipeline(0.5)

    def meanwhile() -> Pipeline:
        box.service.refuse()
        return late

    box.next = meanwhile
    for _ in range(2):
        with pytest.raises(LiveGateError) as caught:
            box.models.reload(WISH)
        assert caught.value.code is ErrorCode.QUEUE_STOPED
    assert late.closes == [1, 1]
    assert box.service.status.engines[0].model_id == "face_detection_0.1"
    assert box.outcomes() == {"failed": 1, "refused": 1}


def test_hammered_while_swapping_no_answer_is_a_mix() -> None:
    """Requests of several pictures and frames of streams, forty swaps: each has one mark all over."""
    pipelines = [MarkedPipeline(n / 100) for n in range(1, 42)]
    box = Box(pipelines[0], workers=3)
    rest = iter(pipelines[1:])
    box.next = lambda: next(rest)
    ended = threading.Event()
    failures: list[BaseException] = []
    answered = [0, 0]

    def hammer(number: int, one: Callable[[], None]) -> None:
        try:
            while not ended.is_set():
                one()
                answered[number] += 1
        except BaseException as error:
            failures.append(error)

    def ask() -> None:
        require_one_pipeline(box.service.analyze(request(4)))

    session = box.service.session((1031, 9001), View())
    pixels = np.zeros((80, 100, 3), np.uint8)

    def stream() -> None:
        def look() -> set[float]:
            seen = box.service.look(session, Frame(pixels, 0), 10**18, StageClock())
            return {verdict.score for verdict in seen.verdicts}

        assert len(box.service.queue(look).result(HANG_S)) == 1

    threads = [
        threading.Thread(target=hammer, args=(n, one))
        for n, one in ((0, ask), (0, ask), (1, stream), (1, stream))
    ]
    for thread in threads:
        thread.start()
    for _ in range(40):
        before = answered[0]
        box.models.reload(WISH)
        while answered[0] == before and not failures:
            ended.wait(0.001)
    ended.set()
    for thread in threads:
        thread.join(HANG_S)
    assert failures == []
    assert answered[1] > 0
    box.drained()
    box.service.close()
    assert [pipeline.closes for pipeline in pipelines] == [[1, 1]] * 41


# --- videos and challenges ------------------------------------------------------------------------


def test_video_keeps_its_models_to_its_end(tmp_path: Path) -> None:
    """A video that waits when the models change is looked at by those that it began with."""
    config = Config()
    old, new = (null_pipeline(config, with_actions=True) for _ in range(2))
    box = Box(old)
    box.next = lambda: new
    actions = ActionService(config, box.service, box.metrics)
    gate = Gate()
    box.service.queue(gate)
    assert gate.entered.wait(HANG_S)
    film = clip(tmp_path / "a.mp4", [GREY] * 36, size=(128, 96), fps=24).read_bytes()
    future = actions.submit(VerifyRequest(CODE_VERIFY, "t", (3,), film, "r"))
    assert not box.models.reload(WISH).is_drained
    gate.open()
    assert future.result(HANG_S).samples > 0  # a closed engine would have raised
    box.drained()
    assert box.service.status.engines == new.engines
    actions.close()
    box.service.close()


def test_refused_video_holds_no_models() -> None:
    """Found before anything is decoded, when it names a challenge that is none."""
    config = Config()
    box = Box(null_pipeline(config, with_actions=True))
    challenges = Challenges(config, box.service, box.metrics)
    actions = ActionService(config, box.service, box.metrics, challenges)
    with pytest.raises(LiveGateError):
        actions.submit(VerifyRequest(CODE_VERIFY, "t", (), b"x", "r", challenge="nobody's"))
    actions.close()
    with pytest.raises(LiveGateError):
        actions.submit(VerifyRequest(CODE_VERIFY, "t", (3,), b"x", "r"))
    box.models.reload(WISH)
    box.drained()
    box.service.close()


def test_live_challenge_keeps_its_models_to_its_end() -> None:
    """Taken up before the swap; abandoned after it, it lets them go. Its deadline does so as well."""
    config = Config()
    box = Box(null_pipeline(config, with_actions=True))
    box.next = lambda: null_pipeline(config, with_actions=True)
    challenges = Challenges(config, box.service, box.metrics)
    lives = [challenges.live(challenges.start(CODE_CHALLENGE).nonce) for _ in range(2)]
    with pytest.raises(LiveGateError):
        challenges.live("nobody's")
    assert not box.models.reload(WISH).is_drained
    lease = lives[0].share()
    assert lease is not None
    assert lease.pipeline.engines
    lease.release()
    lives[0].abandon()
    assert lives[0].share() is None
    assert box.metrics.registry.get_sample_value("livegate_retired_pipelines") == 1
    lives[1].let_go()
    box.drained()
    box.service.close()
