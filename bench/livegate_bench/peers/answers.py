"""What peers answer, and whether it is what we answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

from livegate_bench.system import Refused

MOST_DIFFERENCE = 0.01
"""Of scores: engines and decoders may differ in the last digits, another pipeline differs by more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one picture."""

    faces: int
    score: float


def answer_from_json(text: bytes) -> Answer:
    """`{"faces": 1, "score": 0.97}`, other keys aside.

    Raises:
        Refused: it is something else.
    """
    try:
        told = json.loads(text)
        return Answer(int(told["faces"]), float(told["score"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("NoAnswer") from error


def why_different(ours: Answer, theirs: Answer) -> str:
    """Why a peer must not be timed; "" when it does the same job."""
    if theirs.faces != ours.faces:
        return f"it found {theirs.faces} faces where we find {ours.faces}"
    if not abs(theirs.score - ours.score) <= MOST_DIFFERENCE:
        return f"its score is {theirs.score:.3f} where ours is {ours.score:.3f}"
    return ""
