"""From votes on single frames to one word for the person in front.

k of the last n frames decide, so that one lucky frame of a photograph opens nothing and one blurred
frame of a person denies nothing. It fails closed: OPEN is said on a frame that is genuine itself, never
after DENY, and a failure takes away what was gathered before it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from livegate.core.config import GateConfig
from livegate.core.results import GateDecision


class Vote(Enum):
    """What one frame says of the person in front."""

    GENUINE = 1
    SPOOF = 2
    NEITHER = 3


class Gate:
    """The words for one person after another, each at most once for each of them."""

    def __init__(self, config: GateConfig) -> None:
        """Nobody has come yet."""
        self._needed = config.needed
        self._evidence_ns = config.evidence_ms * 1_000_000
        self._votes: deque[tuple[int, Vote]] = deque(maxlen=config.window)
        self._said: set[GateDecision] = set()

    @property
    def said(self) -> frozenset[GateDecision]:
        """The words that this person got."""
        return frozenset(self._said)

    @property
    def is_settled(self) -> bool:
        """Whether more of the same would change nothing: a last word, and no doubt about it since."""
        if GateDecision.DENY in self._said:
            return True
        is_doubted = not self._votes or self._votes[-1][1] is not Vote.GENUINE
        return GateDecision.OPEN in self._said and not is_doubted

    def meet(self) -> None:
        """Somebody else stands in front: what was gathered says nothing of them."""
        self._votes.clear()
        self._said.clear()

    def hear(self, vote: Vote, captured_ns: int) -> GateDecision | None:
        """Count a frame; the new word, None when there is none. `captured_ns` never goes back."""
        self._votes.append((captured_ns, vote))
        young = [v for at_ns, v in self._votes if captured_ns - at_ns <= self._evidence_ns]
        if vote is Vote.SPOOF and young.count(Vote.SPOOF) >= self._needed:
            return self._say(GateDecision.DENY)
        is_genuine = vote is Vote.GENUINE and young.count(Vote.GENUINE) >= self._needed
        if is_genuine and GateDecision.DENY not in self._said:
            return self._say(GateDecision.OPEN)
        return self._hold()

    def forget(self) -> None:
        """What was gathered counts no more; a word that was said stays said."""
        self._votes.clear()

    def fail(self) -> GateDecision | None:
        """A frame could not be judged: begin to gather anew."""
        self.forget()
        return self._hold()

    def _hold(self) -> GateDecision | None:
        return None if self._said else self._say(GateDecision.HOLD)

    def _say(self, word: GateDecision) -> GateDecision | None:
        if word in self._said:
            return None
        self._said.add(word)
        return word
