"""The book of challenges: each is taken once, in time, or never; it never grows."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from livegate.core.challenge import Challenge
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import Action
from livegate.service.challengebook import ChallengeBook
from support import HANG_S, FakeClock

LIFE_NS = 100


def challenge(nonce: str, clock: FakeClock) -> Challenge:
    return Challenge(nonce, (Action.NOD,), 1, clock.now_ns + LIFE_NS, 0)


def book_with(*nonces: str, max_open: int = 4) -> tuple[ChallengeBook, FakeClock, list[int]]:
    """A book, its clock, and how many expired at a time."""
    clock, expired = FakeClock(1000), []
    book = ChallengeBook(max_open, expired.append, now_ns=clock)
    for nonce in nonces:
        book.add(challenge(nonce, clock))
    return book, clock, expired


def refusal(book: ChallengeBook, nonce: str) -> ErrorCode:
    with pytest.raises(LiveGateError) as caught:
        book.take(nonce)
    return caught.value.code


def test_challenge_is_taken_once() -> None:
    """The second one hears that it was answered, not that it never was."""
    book, _, _ = book_with("a", "b")
    assert book.find("a").nonce == "a"
    assert book.take("a").nonce == "a"
    assert refusal(book, "a") is ErrorCode.EXIST
    assert book.take("b").nonce == "b"


def test_unknown_one_is_1016() -> None:
    """Nobody started it, or it was forgotten."""
    book, _, _ = book_with("a")
    assert refusal(book, "b") is ErrorCode.NO_EXIST
    assert refusal(book, "") is ErrorCode.NO_EXIST


def test_refusal_does_not_repeat_the_nonce() -> None:
    """It goes into logs."""
    book, _, _ = book_with("an-open-nonce")
    book.take("an-open-nonce")
    with pytest.raises(LiveGateError) as caught:
        book.take("an-open-nonce")
    assert "an-open-nonce" not in f"{caught.value} {caught.value.fields}"


def test_last_moment_counts_and_the_one_after_is_1011() -> None:
    """On the clock that was given; counted once."""
    book, clock, expired = book_with("a", "b")
    clock.now_ns += LIFE_NS
    assert book.take("a").nonce == "a"
    clock.now_ns += 1
    assert refusal(book, "b") is ErrorCode.TIMEOUT
    assert refusal(book, "b") is ErrorCode.TIMEOUT
    assert expired == [1]


def test_one_too_many_is_1018_until_another_ends() -> None:
    """Taken or expired, either makes room."""
    book, clock, expired = book_with("a", "b", max_open=2)
    with pytest.raises(LiveGateError) as caught:
        book.add(challenge("c", clock))
    assert caught.value.code is ErrorCode.FULL
    assert refusal(book, "c") is ErrorCode.NO_EXIST
    book.take("a")
    book.add(challenge("c", clock))
    clock.now_ns += LIFE_NS + 1
    book.add(challenge("d", clock))
    assert expired == [2]


def test_those_that_ended_are_forgotten_in_their_order() -> None:
    """As many are remembered as may be open."""
    book, clock, _ = book_with(max_open=2)
    for nonce in "abc":
        book.add(challenge(nonce, clock))
        book.take(nonce)
    assert refusal(book, "a") is ErrorCode.NO_EXIST
    assert refusal(book, "b") is ErrorCode.EXIST
    assert refusal(book, "c") is ErrorCode.EXIST


def test_of_many_at_once_one_takes_it() -> None:
    """Sixteen threads, one nonce, again and again."""
    for _ in range(50):
        book, _, _ = book_with("a")
        taken, begin = [], threading.Barrier(16)

        def take(book: ChallengeBook = book, begin: threading.Barrier = begin) -> None:
            begin.wait(HANG_S)
            try:
                taken.append(book.take("a"))  # noqa: B023 - joined below
            except LiveGateError as error:
                assert error.code is ErrorCode.EXIST  # noqa: PT017

        threads = [threading.Thread(target=take) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG_S)
        assert len(taken) == 1


class BookMachine(RuleBasedStateMachine):
    """Any order of starting, asking, answering and waiting, against a plain account of what is true."""

    MAX_OPEN = 3

    def __init__(self) -> None:
        super().__init__()
        self.book, self.clock, self.expired = book_with(max_open=self.MAX_OPEN)
        self.deadlines: dict[str, int] = {}
        self.taken: set[str] = set()

    def _is_open(self, nonce: str) -> bool:
        is_late = self.clock.now_ns > self.deadlines.get(nonce, 0)
        return nonce in self.deadlines and nonce not in self.taken and not is_late

    @rule()
    def start(self) -> None:
        nonce = f"n{len(self.deadlines)}"
        is_full = sum(map(self._is_open, self.deadlines)) >= self.MAX_OPEN
        try:
            self.book.add(challenge(nonce, self.clock))
        except LiveGateError as error:
            assert error.code is ErrorCode.FULL  # noqa: PT017
            assert is_full
        else:
            assert not is_full
            self.deadlines[nonce] = self.clock.now_ns + LIFE_NS

    @rule(number=st.integers(0, 12), keeps=st.booleans())
    def answer(self, number: int, keeps: bool) -> None:
        nonce = f"n{number}"
        was_open = self._is_open(nonce)
        try:
            (self.book.find if keeps else self.book.take)(nonce)
        except LiveGateError as error:
            assert not was_open
            if nonce not in self.deadlines:
                assert error.code is ErrorCode.NO_EXIST  # noqa: PT017
        else:
            assert was_open
            assert nonce not in self.taken
            if not keeps:
                self.taken.add(nonce)

    @rule(passed_ns=st.integers(1, 2 * LIFE_NS))
    def wait(self, passed_ns: int) -> None:
        self.clock.now_ns += passed_ns

    @invariant()
    def is_bounded(self) -> None:
        assert len(self.book) <= 2 * self.MAX_OPEN

    @invariant()
    def counts_no_expiry_twice(self) -> None:
        assert sum(self.expired) <= len(self.deadlines) - len(self.taken)


TestBookMachine = BookMachine.TestCase
TestBookMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
