"""k of n frames, each word once, closed whenever in doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from livegate.core.config import GateConfig
from livegate.core.results import GateDecision
from livegate.pipelines.gate import Gate, Vote

OPEN, HOLD, DENY = GateDecision.OPEN, GateDecision.HOLD, GateDecision.DENY
G, S, N = Vote.GENUINE, Vote.SPOOF, Vote.NEITHER
MS = 1_000_000


def words(gate: Gate, *votes: Vote, step_ms: int = 40) -> list[GateDecision | None]:
    """What is said to frames that come at an even pace."""
    return [gate.hear(vote, n * step_ms * MS) for n, vote in enumerate(votes)]


def test_gate_opens_at_the_kth_genuine_frame_and_says_it_once() -> None:
    """HOLD while it gathers, OPEN at the third, nothing afterwards."""
    gate = Gate(GateConfig(needed=3, window=5))
    assert words(gate, G, G, G, G, G) == [HOLD, None, OPEN, None, None]


def test_gate_denies_at_the_kth_spoof_frame_and_never_opens_afterwards() -> None:
    """A photograph that has a good moment later stays outside."""
    gate = Gate(GateConfig(needed=3, window=5))
    assert words(gate, S, S, S, *[G] * 10) == [HOLD, None, DENY, *[None] * 10]


def test_gate_counts_only_the_window() -> None:
    """Two genuine frames of five are not enough, however long it goes on."""
    gate = Gate(GateConfig(needed=3, window=5))
    assert OPEN not in words(gate, *[G, G, N, N, N] * 20)


def test_open_is_not_said_on_a_frame_that_is_not_genuine_itself() -> None:
    """Enough votes from before do not open while the present frame says otherwise."""
    gate = Gate(GateConfig(needed=2, window=5))
    assert words(gate, G, S, N, G) == [HOLD, None, None, OPEN]


def test_old_evidence_does_not_count() -> None:
    """Genuine frames with long pauses between them never add up."""
    gate = Gate(GateConfig(needed=2, window=5, evidence_ms=1000))
    assert words(gate, G, G, G, G, step_ms=1001) == [HOLD, None, None, None]
    gate.meet()
    assert words(gate, G, G, step_ms=1000) == [HOLD, OPEN]


def test_failure_takes_the_evidence_away() -> None:
    """After a frame that could not be judged everything is gathered anew."""
    gate = Gate(GateConfig(needed=3, window=5))
    assert words(gate, G, G) == [HOLD, None]
    assert gate.fail() is None
    assert words(gate, G, G, G) == [None, None, OPEN]


def test_failure_is_hold_for_who_has_no_word_yet() -> None:
    """Said once."""
    gate = Gate(GateConfig())
    assert [gate.fail(), gate.fail()] == [HOLD, None]


def test_spoof_after_open_is_denied() -> None:
    """Who was let in and then shows a photograph is told on."""
    gate = Gate(GateConfig(needed=2, window=3))
    assert words(gate, G, G, S, S, G, G) == [HOLD, OPEN, None, DENY, None, None]


def test_next_person_starts_from_nothing() -> None:
    """Neither words nor evidence pass on."""
    gate = Gate(GateConfig(needed=2, window=3))
    words(gate, G, G)
    gate.meet()
    assert gate.hear(G, 0) is HOLD
    assert gate.hear(G, MS) is OPEN


@given(
    needed=st.integers(1, 6),
    extra=st.integers(0, 4),
    steps=st.lists(st.sampled_from([G, S, N, "fail", "meet"]), max_size=60),
)
def test_gate_is_closed_in_doubt_whatever_happens(needed: int, extra: int, steps: list[object]) -> None:
    """OPEN needs k genuine votes of the last n since the last failure; each word once a person."""
    window = needed + extra
    gate = Gate(GateConfig(needed=needed, window=window))
    said: list[GateDecision] = []
    votes: list[object] = []
    for number, step in enumerate(steps):
        if step == "meet":
            gate.meet()
            said, votes = [], []
            continue
        if step == "fail":
            votes = []
            word = gate.fail()
            assert word in (None, HOLD)
        else:
            votes.append(step)
            word = gate.hear(step, number * MS)  # type: ignore[arg-type]
        if word is OPEN:
            assert step is G
            assert votes[-window:].count(G) >= needed
            assert DENY not in said
        if word is not None:
            assert word not in said
            said.append(word)
        assert said, "a person in front has a word from the first frame on"
