"""Values that every face renders."""

from __future__ import annotations

from livegate.core.results import Box, Face, largest_face


def face(width: float, height: float, score: float = 0.9) -> Face:
    return Face(Box(0, 0, width, height), (), score)


def test_largest_face_is_by_area_then_by_score() -> None:
    """Width times height decides, and the score between boxes of one size."""
    wide, tall = face(10, 2), face(3, 9)
    assert largest_face([wide, tall]) is tall
    sure, unsure = face(5, 5, 0.9), face(5, 5, 0.8)
    assert largest_face([unsure, sure]) is sure


def test_largest_face_of_nobody_is_none() -> None:
    """No face, no choice."""
    assert largest_face(()) is None
