"""Our score as the cloud's: 0.98 lies between genuine and hack, whoever reads it."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.results import Decision, Verdict
from livegate.gateway.hackscore import DECISION_POINT, hack_score

SCORES = st.floats(0, 1)


def verdict(score: float, threshold: float | None) -> Verdict:
    """As silent liveness decides it: genuine at the threshold and above."""
    limit = 0.5 if threshold is None else threshold
    decision = Decision.GENUINE if score >= limit else Decision.SPOOF
    return Verdict(1031, "silent_liveness", decision, score, (), (score,), threshold=threshold)


def as_read(score: float) -> tuple[float, ...]:
    """What clients make of it: a double, a 32-bit float, three digits."""
    sent = json.loads(json.dumps(score))
    return sent, struct.unpack("f", struct.pack("f", sent))[0], round(sent, 3)


@given(score=SCORES, threshold=SCORES)
def test_decision_point_lies_between_genuine_and_hack(score: float, threshold: float) -> None:
    """Above 0.98 is a hack and at most 0.98 is none, for clients that write > and for those with >=."""
    told = hack_score(verdict(score, threshold))
    assert 0 <= told <= 1
    for read in as_read(told):
        assert (read > DECISION_POINT) is (score < threshold)
        assert (read >= DECISION_POINT) is (score < threshold)


@given(one=SCORES, other=SCORES, threshold=SCORES)
def test_less_genuine_is_never_less_of_a_hack(one: float, other: float, threshold: float) -> None:
    """The map is monotone over both halves."""
    low, high = sorted((one, other))
    assert hack_score(verdict(low, threshold)) >= hack_score(verdict(high, threshold))


@pytest.mark.parametrize(
    ("score", "threshold", "told"),
    [
        (1.0, 0.7, 0.0),
        (0.85, 0.7, 0.4895),
        (0.7, 0.7, 0.979),
        (0.35, 0.7, 0.9905),
        (0.0, 0.7, 1.0),
        (1.0, 1.0, 0.979),
        (0.0, 0.0, 0.979),
        (0.25, None, 0.9905),
    ],
)
def test_ends_and_middles_are_where_the_document_says(
    score: float, threshold: float | None, told: float
) -> None:
    """Straight from 0 to 0.979, and from 0.981 to 1."""
    assert hack_score(verdict(score, threshold)) == told
