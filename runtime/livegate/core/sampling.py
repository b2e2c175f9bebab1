"""Which pictures of a camera or a video are looked at.

A fixed grid of times loses pictures: a camera of 20 a second, or one of 15 whose pictures come a few
milliseconds early or late, leaves gaps of up to two periods in it, in which a head that nods is not
told from another one.
"""

from __future__ import annotations

EARLY = 0.25
"""Part of a period by which a picture may come before its turn: time stamps are rounded."""
FAR = 4 / 3
"""Periods after the one before after which the next one should have come."""


class Sampling:
    """About so many pictures a second, and none further apart than they come if that can be helped."""

    def __init__(self, fps: float) -> None:
        """Nothing has come. `fps`: how many a second, above 0."""
        self._period_ms = 1000 / fps
        self._due_ms: float | None = None
        self._last_ms = self._newest_ms = self._step_ms = 0.0

    def takes(self, at_ms: float) -> bool:
        """Whether the picture of that time, which rises, is looked at; the first one is."""
        if self._due_ms is None:
            self._due_ms = at_ms
        elif not self._is_due(at_ms, self._due_ms):
            return False
        turn_ms = max(self._due_ms + self._period_ms, at_ms + self._period_ms / 2)
        # What was looked at beside is no debt: after a whole period it is the next one's turn.
        self._due_ms = min(turn_ms, at_ms + (1 + EARLY) * self._period_ms)
        self._last_ms = self._newest_ms = at_ms
        return True

    def _is_due(self, at_ms: float, due_ms: float) -> bool:
        step_ms, self._step_ms = self._step_ms, at_ms - self._newest_ms
        self._newest_ms = at_ms
        step_ms = max(step_ms, self._step_ms)  # one that is late makes the next look near
        apart_ms = at_ms - self._last_ms
        is_its_turn = at_ms >= due_ms - EARLY * self._period_ms
        is_nearer_than_the_next = apart_ms + step_ms / 2 >= self._period_ms
        return is_its_turn or is_nearer_than_the_next or apart_ms + step_ms > FAR * self._period_ms
