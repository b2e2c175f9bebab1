"""How many messages a peer may send."""

from __future__ import annotations

import pytest

from frame_queue_kit import StillClock
from livegate.core.errors import ErrorCode, RequestError
from livegate.shm.flood import MessageAllowance


def test_allowance_is_spent_by_a_burst_and_comes_back_with_time() -> None:
    """A second's worth at once, then the rate; no more is saved up than a second's worth."""
    clock = StillClock()
    allowance = MessageAllowance(100, now_ns=clock)
    clock.pass_s(60)
    for _ in range(100):
        allowance.spend()
    with pytest.raises(RequestError) as caught:
        allowance.spend()
    assert caught.value.code is ErrorCode.FULL
    clock.pass_s(0.051)
    for _ in range(5):
        allowance.spend()
    with pytest.raises(RequestError):
        allowance.spend()
