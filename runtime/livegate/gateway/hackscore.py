"""Our score (1031: 0..1, higher = more genuine) as the likelihood of a hack, with 0.98 between.

The cloud's threshold is fixed in its clients: above 0.98 is a hack. Ours is the model's, or the
operator's. Both halves are mapped straight: threshold..1 onto 0.979..0, 0..threshold onto 1..0.981.

The gap around 0.98 is there for clients that round: some read the score as a 32-bit float, whose
nearest number to 0.98 lies above it, and some refuse at 0.98 itself.
"""

from __future__ import annotations

from livegate.core.results import Decision, Verdict

DECISION_POINT = 0.98
GENUINE_MOST, HACK_LEAST = 0.979, 0.981
DIGITS = 6
UNTOLD_THRESHOLD = 0.5


def hack_score(verdict: Verdict) -> float:
    """0..1, higher = likelier a hack: at most 0.979 when the verdict is GENUINE, else at least 0.981."""
    threshold = UNTOLD_THRESHOLD if verdict.threshold is None else verdict.threshold
    if verdict.decision is Decision.GENUINE:
        above = _part(verdict.score - threshold, 1 - threshold)
        return round(GENUINE_MOST * (1 - above), DIGITS)
    below = _part(threshold - verdict.score, threshold)
    return round(HACK_LEAST + (1 - HACK_LEAST) * below, DIGITS)


def _part(distance: float, whole: float) -> float:
    return min(1.0, max(0.0, distance / whole)) if whole > 0 else 0.0
