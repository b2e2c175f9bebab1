"""Starting challenges, and giving each to its one answer."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.challenge import HEAD_MOVEMENTS, ChallengeOutcome
from livegate.core.config import ChallengeConfig
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.request import CODE_CHALLENGE, CODE_VERIFY, VerifyRequest
from livegate.core.results import Action
from livegate.core.telemetry import Metrics
from livegate.engines.pool import EnginePool
from livegate.service.challenges import Challenges, draw
from livegate.service.liveness import LivenessService
from support import FakeClock, config_with, null_pipeline

S = 1_000_000_000


class Box:
    """Challenges over the null backend, on a clock of the test's."""

    def __init__(self, *, tasks: str = "all", **challenge: Any) -> None:
        config = config_with(challenge=challenge)
        self.clock = FakeClock(77 * S)
        self.metrics = Metrics()
        self.service = LivenessService(config, EnginePool(1, 4), self.metrics)
        if tasks != "none":
            self.service.start(null_pipeline(config, with_actions=tasks == "all"))
        self.challenges = Challenges(config, self.service, self.metrics, now_ns=self.clock)

    def start(self) -> Any:
        return self.challenges.start(CODE_CHALLENGE)

    def ended(self) -> dict[str, float]:
        """How many ended in which way."""
        counts = {
            outcome.value: self.metrics.challenges.labels(outcome.value)._value.get()
            for outcome in ChallengeOutcome
        }
        return {outcome: count for outcome, count in counts.items() if count}


@pytest.fixture
def box() -> Any:
    made = Box()
    yield made
    made.service.close()


def request(nonce: str, *actions: int, **fields: Any) -> VerifyRequest:
    return VerifyRequest(CODE_VERIFY, "t", actions, b"v", "r", challenge=nonce, **fields)


def code_of(call: Any, *arguments: Any) -> ErrorCode:
    with pytest.raises(LiveGateError) as caught:
        call(*arguments)
    return caught.value.code


# --- drawing ------------------------------------------------------------------------------------


@given(
    allowed=st.sets(st.sampled_from(Action), min_size=2).filter(lambda one: one & HEAD_MOVEMENTS),
    count=st.integers(1, 6),
    seed=st.integers(),
)
def test_drawn_actions_are_answerable(allowed: set[Action], count: int, seed: int) -> None:
    """As many as asked for, none twice in a row, one at least moves the head."""
    drawn = draw(sorted(allowed), count, random.Random(seed).choice)
    assert len(drawn) == count
    assert set(drawn) <= allowed
    assert all(one is not other for one, other in itertools.pairwise(drawn))
    assert HEAD_MOVEMENTS & set(drawn)


def test_every_order_is_as_likely() -> None:
    """36 orders of three out of four; none comes twice as often as it should, or half as often."""
    choose = random.Random(7).choice
    count = Counter(draw(list(Action)[:4], 3, choose) for _ in range(36 * 200))
    assert len(count) == 36
    assert min(count.values()) > 100
    assert max(count.values()) < 400


def test_only_movement_of_the_head_is_always_drawn() -> None:
    """Of one action there is one order."""
    assert draw([Action.NOD], 1, random.Random(1).choice) == (Action.NOD,)


@pytest.mark.parametrize(
    "keys",
    [
        {"actions": (1, 1, 2)},
        {"actions": (4, 5)},
        {"actions": ()},
        {"actions": (3,), "count": 2},
    ],
)
def test_nothing_to_draw_from_is_refused_at_start(keys: dict[str, Any]) -> None:
    """Twice the same, no head, nothing, one for two."""
    with pytest.raises(ValueError, match="challenge"):
        ChallengeConfig(**keys)


# --- starting -----------------------------------------------------------------------------------


def test_started_challenge_says_what_and_until_when(box: Box) -> None:
    """Three of four actions, thirty seconds, and a nonce that no other has."""
    one, other = box.start(), box.start()
    assert len(one.actions) == 3
    assert Action.BLINK not in one.actions
    assert one.lifetime_ms == 30_000
    assert one.deadline_ns == box.clock.now_ns + 30 * S
    assert one.deadline_ms > 1_700_000_000_000
    assert one.nonce != other.nonce
    assert len(one.nonce) >= 22


@pytest.mark.parametrize(
    ("tasks", "code"),
    [("none", ErrorCode.NOT_INIT), ("pictures", ErrorCode.PARAM_FAILURE)],
)
def test_box_that_cannot_judge_starts_none(tasks: str, code: ErrorCode) -> None:
    """Cold, or without the models."""
    box = Box(tasks=tasks)
    assert code_of(box.start) is code
    assert code_of(box.challenges.live, "x") is code
    box.service.close()


def test_start_is_refused_for_another_code_and_while_the_server_stops(box: Box) -> None:
    """1031 and 5002."""
    assert code_of(box.challenges.start, 9002) is ErrorCode.PARAM_FAILURE
    box.service.refuse()
    assert code_of(box.start) is ErrorCode.QUEUE_STOPED


def test_one_open_challenge_too_many_is_1018() -> None:
    """Until the first one's time is up."""
    box = Box(max_open=2, lifetime_s=5.0)
    box.start()
    box.start()
    assert code_of(box.start) is ErrorCode.FULL
    box.clock.now_ns += 5 * S + 1
    box.start()
    assert box.ended() == {"EXPIRED": 2}
    box.service.close()


# --- answered by a video ------------------------------------------------------------------------


def test_video_gets_the_actions_of_its_challenge(box: Box) -> None:
    """Left out or the same; looking spends nothing."""
    started = box.start()
    actions = tuple(int(action) for action in started.actions)
    for given_ in ((), actions):
        assert box.challenges.asked(request(started.nonce, *given_)).actions == actions
    box.challenges.spend(started.nonce)
    assert code_of(box.challenges.asked, request(started.nonce)) is ErrorCode.EXIST


def test_video_with_an_order_of_its_own_is_refused_and_spends_nothing(box: Box) -> None:
    """Neither other actions nor windows, which would let any order pass."""
    started = box.start()
    other = tuple(int(action) for action in reversed(started.actions[:2]))
    windows = ((0, 1),) * len(started.actions)
    assert code_of(box.challenges.asked, request(started.nonce, *other)) is ErrorCode.PARAM_FAILURE
    late = request(started.nonce, windows=windows)
    assert code_of(box.challenges.asked, late) is ErrorCode.PARAM_FAILURE
    assert box.challenges.asked(request(started.nonce)).actions


@pytest.mark.parametrize("nod_deg", [1.0, 10.0, 90.0])
def test_video_with_a_limit_of_its_own_is_refused_and_spends_nothing(box: Box, nod_deg: float) -> None:
    """At 90 degrees no nod is seen: one recording of all movements would fit the orders without one."""
    nonce = box.start().nonce
    with pytest.raises(LiveGateError, match="nod_threshold") as caught:
        box.challenges.asked(request(nonce, nod_deg=nod_deg))
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    assert box.challenges.asked(request(nonce)).actions


def test_video_without_a_challenge_is_judged_unless_one_is_required(box: Box) -> None:
    """challenge.required"""
    free = request("", 1, 3)
    assert box.challenges.asked(free) is free
    strict = Box(required=True)
    assert code_of(strict.challenges.asked, free) is ErrorCode.PARAM_FAILURE
    silent = request("", needs_actions=False)
    assert strict.challenges.asked(silent) is silent  # it asks for no action
    started = strict.start()
    assert strict.challenges.asked(request(started.nonce)).actions
    strict.service.close()


@pytest.mark.parametrize(
    ("end", "outcome"),
    [("alive", "PASSED"), ("not", "FAILED"), ("error", "ABANDONED"), ("cancel", "ABANDONED")],
)
def test_end_of_a_video_is_counted(box: Box, end: str, outcome: str) -> None:
    """By its verdict; an error is nobody's answer."""
    future: Future[Any] = Future()
    box.challenges.count_when_done(future)
    if end == "cancel":
        future.cancel()
    elif end == "error":
        future.set_exception(LiveGateError(ErrorCode.DECODE_FAIL, "x"))
    else:
        future.set_result(type("Verdict", (), {"is_alive": end == "alive"}))
    assert box.ended() == {outcome: 1}


# --- answered live ------------------------------------------------------------------------------


def test_live_challenge_is_taken_up_once_and_counted(box: Box) -> None:
    """No video can answer it any more; who leaves it is counted."""
    started = box.start()
    live = box.challenges.live(started.nonce)
    assert code_of(box.challenges.live, started.nonce) is ErrorCode.EXIST
    assert code_of(box.challenges.spend, started.nonce) is ErrorCode.EXIST
    live.abandon()
    assert box.ended() == {"ABANDONED": 1}


def test_live_challenge_is_on_the_same_clock(box: Box) -> None:
    """The time that went by before it was taken up is gone."""
    live = box.challenges.live(box.start().nonce)
    box.clock.now_ns += 30 * S
    assert live.expire() is None
    box.clock.now_ns += 1
    assert live.expire() is not None
    assert box.ended() == {"EXPIRED": 1}
