"""The token bucket."""

from __future__ import annotations

import contextlib

import pytest

from livegate.core.errors import ErrorCode, RequestError
from livegate.gateway.ratelimit import TokenBucket


class Seconds:
    """A clock that stands until it is moved."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def taken(bucket: TokenBucket, tries: int) -> int:
    """How many of `tries` calls pass."""
    passed = 0
    for _ in range(tries):
        with contextlib.suppress(RequestError):
            bucket.take("app")
            passed += 1
    return passed


def test_take_above_rate_is_refused_and_refills() -> None:
    """One second's worth at once, then as fast as the rate."""
    clock = Seconds()
    bucket = TokenBucket(5, clock)
    assert taken(bucket, 20) == 5
    clock.now_s = 0.4
    assert taken(bucket, 20) == 2
    clock.now_s = 100
    assert taken(bucket, 20) == 5


def test_take_rate_below_one_still_lets_one_through() -> None:
    """Half a request a second is one every two seconds."""
    clock = Seconds()
    bucket = TokenBucket(0.5, clock)
    assert taken(bucket, 2) == 1
    clock.now_s = 1.9
    assert taken(bucket, 1) == 0
    clock.now_s = 2.0
    assert taken(bucket, 1) == 1


def test_take_rate_zero_is_no_limit() -> None:
    """Zero means: not limited."""
    assert taken(TokenBucket(0, Seconds()), 1000) == 1000


def test_take_refusal_names_the_app() -> None:
    """The operator sees who it was."""
    bucket = TokenBucket(1, Seconds())
    bucket.take("app x")
    with pytest.raises(RequestError, match="app x sends more than 1 requests a second") as caught:
        bucket.take("app x")
    assert caught.value.code is ErrorCode.FULL
