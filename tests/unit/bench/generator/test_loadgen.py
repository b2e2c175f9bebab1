"""What the load finds, with systems that answer as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, QueueError
from livegate_bench.generator.loadgen import Closed, Open, Queries, Taken, Tally
from livegate_bench.system import Ask, Place, Refused, Stages, System


class Told(System):
    """Does what it is told for each request."""

    def __init__(self, answer: Callable[[], Stages | None], most_callers: int = 64) -> None:
        super().__init__(Place(Config(), b""))
        self.answer = answer
        self.most_callers = most_callers  # type: ignore[misc]
        self.opened = 0

    def caller(self) -> Ask:
        self.opened += 1
        return self.answer


def test_closed_loop_counts_answers_and_ends_at_its_limit() -> None:
    """As many clients as asked for; they are kept for the next round."""
    system = Told(lambda: {"infer": 2.0})
    for _ in range(2):
        taken = Closed(4, seconds=60, most=20).run(system)
        assert (taken.requests, len(taken.latencies_s), taken.errors) == (20, 20, {})
        assert taken.stages_ms == {"infer": 40.0}
    assert system.opened == 4


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (QueueError(ErrorCode.QUEUE_FULL, "full"), "5003"),
        (Refused("FRS.0120"), "FRS.0120"),
        (ConnectionResetError("gone"), "ConnectionResetError"),
    ],
)
def test_failures_are_counted_by_code_and_have_no_latency(error: Exception, name: str) -> None:
    """A quick refusal must not make a system look quick."""

    def fail() -> None:
        raise error

    taken = Closed(1, seconds=60, most=2).run(Told(fail))
    assert (taken.requests, len(taken.latencies_s), taken.errors) == (0, 0, {name: 2})


def test_defect_of_a_system_is_no_failure_of_a_request() -> None:
    """It ends the round."""

    def fail() -> None:
        raise AttributeError("a typo")

    with pytest.raises(AttributeError, match="a typo"):
        Closed(1, seconds=60, most=2).run(Told(fail))


def test_open_loop_counts_from_when_a_request_was_due() -> None:
    """One client, and a first answer that takes long: all others waited, and say so."""
    gate = threading.Event()
    answers = iter([True] + [False] * 100)

    def answer() -> None:
        if next(answers):
            gate.wait(0.3)

    taken = Open(100.0, 0.1, seed=1, arrivals="constant").run(Told(answer, most_callers=1))
    assert taken.requests == 10
    assert min(taken.latencies_s) > 0.15  # due at 0 to 0.09 s, answered after 0.3 s
    assert not taken.gave_up


def test_open_loop_gives_up_on_a_system_that_is_hopelessly_behind() -> None:
    """The rest is not sent, and the round says so."""

    def answer() -> None:
        time.sleep(0.02)

    order = Open(1000.0, 10.0, seed=1, arrivals="constant", give_up_s=0.05)
    taken = order.run(Told(answer, most_callers=1))
    assert taken.gave_up
    assert taken.requests < 100


def test_open_loop_is_due_when_its_seed_says() -> None:
    """Nothing of the system moves it."""
    assert Open(10, 5, seed=1).due_s().tolist() == Open(10, 5, seed=1).due_s().tolist()
    assert Open(10, 5, seed=1).due_s().tolist() != Open(10, 5, seed=2).due_s().tolist()


def test_query_ends_with_its_last_sample() -> None:
    """All samples of a query are under way at once."""
    together = threading.Barrier(8)

    def answer() -> None:
        together.wait(10)

    taken = Queries(samples=8, seconds=0.001).run(Told(answer))
    assert taken.requests == 8 * len(taken.latencies_s)
    assert len(taken.latencies_s) >= 1


def test_query_with_a_failed_sample_has_no_latency() -> None:
    """What was answered of it counts as answered."""
    answers = iter(range(1000))

    def answer() -> None:
        if next(answers) % 2:
            raise Refused("busy")

    taken = Queries(samples=2, seconds=0.001).run(Told(answer))
    assert len(taken.latencies_s) == 0
    assert taken.errors["busy"] == taken.requests > 0


def test_tally_counts_from_the_given_moment() -> None:
    """Not from when the request was sent."""
    tally = Tally()
    tally.ask(lambda: None, time.perf_counter() - 100)
    assert tally.latencies_s[0] > 100


def test_taken_says_nothing_that_was_not_found() -> None:
    """No drops, no stages, no giving up."""
    taken = Taken(1.0, 0, [])
    assert (taken.errors, taken.drops, taken.stages_ms, taken.gave_up) == ({}, {}, {}, False)
