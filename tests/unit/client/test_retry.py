"""When a question is asked again."""

from __future__ import annotations

import pytest

from livegate.client.codec import RETRY_DELAY_S
from livegate.client.retry import PASSING, RetryPolicy
from livegate.core.errors import ErrorCode, LiveGateError


class Seconds:
    """A clock that passes only when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def failure(code: ErrorCode, **fields: str) -> LiveGateError:
    return LiveGateError(code, "a test's", fields=fields)


def policy(clock: Seconds, dice: float, retries: int = 2) -> RetryPolicy:
    return RetryPolicy(retries, first_pause_s=0.2, max_pause_s=1.0, clock=clock, dice=lambda: dice)


@pytest.mark.parametrize("code", ErrorCode)
def test_only_passing_failures_are_tried_again(code: ErrorCode) -> None:
    """No server, a server that warms up, a full queue: nothing else, a deadline least of all."""
    pause_s = policy(Seconds(), 0.5).begin(60).pause_s(failure(code))
    expected = {ErrorCode.CONNECTION_FAILURE, ErrorCode.NOT_INIT, ErrorCode.QUEUE_FULL}
    assert (pause_s is not None) is (code in expected)
    assert expected == PASSING


def test_pauses_double_up_to_the_limit_and_end_with_the_tries() -> None:
    """0.2, 0.4, 0.8, 1.0 s, and no sixth try."""
    tries = policy(Seconds(), 1.0, retries=4).begin(60)
    pauses = [tries.pause_s(failure(ErrorCode.NOT_INIT)) for _ in range(5)]
    assert pauses == [pytest.approx(0.2), pytest.approx(0.4), pytest.approx(0.8), 1.0, None]


@pytest.mark.parametrize(("dice", "pause_s"), [(0.0, 0.1), (0.5, 0.15), (1.0, 0.2)])
def test_half_of_a_pause_is_dice(dice: float, pause_s: float) -> None:
    """Clients that lost one box together do not come back together."""
    found = policy(Seconds(), dice).begin(60).pause_s(failure(ErrorCode.QUEUE_FULL))
    assert found == pytest.approx(pause_s)


@pytest.mark.parametrize(("dice", "pause_s"), [(0.0, 3.0), (1.0, 3.1)])
def test_box_that_says_when_is_not_asked_earlier(dice: float, pause_s: float) -> None:
    """RetryInfo is the least pause, even above our own limit."""
    error = failure(ErrorCode.QUEUE_FULL, **{RETRY_DELAY_S: "3"})
    assert policy(Seconds(), dice).begin(60).pause_s(error) == pytest.approx(pause_s)


def test_pause_that_outlasts_the_call_is_not_begun() -> None:
    """The error is told at once instead."""
    clock = Seconds()
    tries = policy(clock, 0.0).begin(1.0)
    clock.now_s += 0.85
    assert tries.left_s == pytest.approx(0.15)
    assert tries.pause_s(failure(ErrorCode.CONNECTION_FAILURE)) == pytest.approx(0.1)
    assert tries.pause_s(failure(ErrorCode.CONNECTION_FAILURE)) is None
    clock.now_s += 1
    assert tries.left_s == 0.0


def test_no_retries_means_one_try() -> None:
    """retries=0 turns it off."""
    assert policy(Seconds(), 0.0, retries=0).begin(60).pause_s(failure(ErrorCode.NOT_INIT)) is None
