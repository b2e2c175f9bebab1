"""A container is judged once: in time, again, after a clock was set, and with little memory."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError
from livegate.gateway.nonces import Nonces

WINDOW_S = 300


class Clock:
    def __init__(self, now_s: float = 10_000) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)


def memory(capacity: int = 100) -> tuple[Nonces, Clock]:
    """Started an hour ago."""
    clock = Clock()
    nonces = Nonces(WINDOW_S, capacity=capacity, now_s=clock, elapsed_s=clock)
    clock.now_s += 3600
    return nonces, clock


def refusal(nonces: Nonces, name: str, created_ms: int) -> str:
    with pytest.raises(RequestError) as caught:
        nonces.claim(("d", name.encode()), created_ms)
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    return caught.value.message


def test_second_claim_is_refused() -> None:
    """A replay; another device's same nonce is another container."""
    nonces, clock = memory()
    nonces.claim(("d", b"n"), clock.now_ms)
    assert "judged already" in refusal(nonces, "n", clock.now_ms)
    nonces.claim(("other", b"n"), clock.now_ms)


def test_released_container_may_come_again_once() -> None:
    """A request without a verdict burns nothing."""
    nonces, clock = memory()
    nonces.claim(("d", b"n"), clock.now_ms)
    nonces.release(("d", b"n"))
    nonces.claim(("d", b"n"), clock.now_ms)
    assert "judged already" in refusal(nonces, "n", clock.now_ms)


def test_released_nonce_comes_again_with_its_own_container_only() -> None:
    """A later one would be forgotten with the time of the first, and could be judged again."""
    nonces, clock = memory()
    nonces.claim(("d", b"n"), clock.now_ms)
    nonces.release(("d", b"n"))
    assert "nonce of another" in refusal(nonces, "n", clock.now_ms + 1)
    nonces.claim(("d", b"n"), clock.now_ms)


def test_release_of_an_unknown_nonce_is_nothing() -> None:
    """It was forgotten meanwhile."""
    nonces, _ = memory()
    nonces.release(("d", b"n"))
    assert len(nonces) == 0


@pytest.mark.parametrize(("offset_s", "why"), [(-301, "301 s ago"), (301, "301 s in the future")])
def test_container_outside_the_window_is_refused(offset_s: int, why: str) -> None:
    """Too old, or from the future."""
    nonces, clock = memory()
    assert why in refusal(nonces, "n", clock.now_ms + offset_s * 1000)


@pytest.mark.parametrize("offset_s", [-300, 0, 300])
def test_container_within_the_window_is_taken(offset_s: int) -> None:
    """Its ends included."""
    nonces, clock = memory()
    nonces.claim(("d", b"n"), clock.now_ms + offset_s * 1000)
    assert len(nonces) == 1


def test_container_from_before_the_start_is_refused() -> None:
    """What was judged before a restart is not known any more."""
    clock = Clock()
    nonces = Nonces(WINDOW_S, now_s=clock, elapsed_s=clock)
    assert "before this server" in refusal(nonces, "n", clock.now_ms)
    nonces.claim(("d", b"n"), clock.now_ms + 1)


def test_nonce_is_forgotten_after_its_window_and_stays_out() -> None:
    """Memory is given back; the window refuses the container."""
    nonces, clock = memory()
    made_ms = clock.now_ms
    nonces.claim(("d", b"n"), made_ms)
    clock.now_s += WINDOW_S + 1
    assert "ago" in refusal(nonces, "n", made_ms)
    assert len(nonces) == 0


def test_clock_that_is_set_back_brings_no_forgotten_container_back() -> None:
    """The floor holds where the window does not."""
    nonces, clock = memory()
    made_ms = clock.now_ms
    nonces.claim(("d", b"n"), made_ms)
    clock.now_s += WINDOW_S + 1
    nonces.claim(("d", b"later"), clock.now_ms)
    clock.now_s -= WINDOW_S
    assert "before this server" in refusal(nonces, "n", made_ms)
    nonces.claim(("d", b"new"), clock.now_ms)


def test_clock_that_is_put_right_after_the_start_brings_back_nothing_from_before_it() -> None:
    """A box without a clock battery starts in 1970; what it judged before the power cut stays out."""
    wall, uptime = Clock(60), Clock(0)
    nonces = Nonces(WINDOW_S, now_s=wall, elapsed_s=uptime)
    uptime.now_s += 20
    wall.now_s = 1_800_000_000
    assert "before this server" in refusal(nonces, "judged before the cut", wall.now_ms - 30_000)
    nonces.claim(("d", b"made since"), wall.now_ms - 10_000)
    assert "before this server" in refusal(nonces, "still too old", wall.now_ms - 30_000)


def test_full_memory_forgets_the_oldest_and_keeps_it_out() -> None:
    """Bounded, and closed rather than open."""
    nonces, clock = memory(capacity=2)
    start_ms = clock.now_ms
    for number in range(3):
        nonces.claim(("d", bytes([number])), start_ms + number)
    assert len(nonces) == 2
    for number in range(3):
        with pytest.raises(RequestError):
            nonces.claim(("d", bytes([number])), start_ms + number)


def test_claims_and_releases_of_one_nonce_do_not_grow_memory() -> None:
    """A container that is tried again and again is one container."""
    nonces, clock = memory(capacity=2)
    nonces.claim(("d", b"first"), clock.now_ms)
    for _ in range(10):
        nonces.claim(("d", b"n"), clock.now_ms)
        nonces.release(("d", b"n"))
    assert len(nonces) == 2
    assert "judged already" in refusal(nonces, "first", clock.now_ms)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(-400, 400), st.integers(-500, 500), st.booleans()),
        max_size=40,
    )
)
def test_no_container_is_judged_twice(steps: list[tuple[int, int, int, bool]]) -> None:
    """Whatever the clock does, and whichever requests get no verdict."""
    nonces, clock = memory(capacity=3)
    start_ms, taken = clock.now_ms, set()
    for number, made_s, passed_s, is_judged in steps:
        clock.now_s += passed_s
        container = (bytes([number]), start_ms + made_s * 1000)
        try:
            nonces.claim(("d", container[0]), container[1])
        except RequestError:
            continue
        assert container not in taken
        if is_judged:
            taken.add(container)
        else:
            nonces.release(("d", container[0]))


def test_one_of_many_threads_gets_the_container() -> None:
    """Two copies that come at once are still one container."""
    nonces, clock = memory()
    barrier, got = threading.Barrier(8), []

    def claim() -> None:
        barrier.wait(30)
        try:
            nonces.claim(("d", b"n"), clock.now_ms)
        except RequestError:
            return
        got.append(1)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(got) == 1
