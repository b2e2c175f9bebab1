"""Who stands in front, from frame to frame."""

from __future__ import annotations

from livegate.core.results import Box, Face
from livegate.pipelines.subject import SubjectTracker

MS = 1_000_000


def face(x: float, y: float, side: float, score: float = 0.9) -> Face:
    return Face(Box(x, y, side, side), (), score)


def test_largest_face_is_the_one_in_front() -> None:
    """Of two at once, the nearer one."""
    tracker = SubjectTracker(600, waits=True)
    subject = tracker.follow((face(0, 0, 50), face(200, 0, 80)), 0)
    assert subject.face == face(200, 0, 80)
    assert (subject.person, subject.is_new) == (1, True)


def test_face_that_moves_a_little_is_the_same_person() -> None:
    """Half its width from frame to frame, growing."""
    tracker = SubjectTracker(600, waits=True)
    for step in range(6):
        subject = tracker.follow((face(50 * step, 0, 100 + 5 * step),), step * 40 * MS)
        assert subject.person == 1
        assert subject.is_new is (step == 0)


def test_face_that_jumps_is_somebody_else() -> None:
    """Another place, or another size at the same place; in a video, at once."""
    tracker = SubjectTracker(600, waits=False)
    tracker.follow((face(0, 0, 100),), 0)
    assert tracker.follow((face(300, 0, 100),), 40 * MS).person == 2
    assert tracker.follow((face(320, 20, 50),), 80 * MS).person == 3


def test_person_who_is_missed_in_one_frame_does_not_lose_the_front_to_whoever_is_behind() -> None:
    """Else a covered face, with a second one in view, would begin anew and get its words again."""
    tracker = SubjectTracker(600, waits=True)
    front, behind = face(100, 100, 230), face(600, 100, 100)
    for step in range(10):
        assert tracker.follow((front, behind), step * 40 * MS).person == 1
    for step in range(10, 24):
        missed = tracker.follow((behind,), step * 40 * MS)
        assert (missed.person, missed.face, missed.is_new) == (1, None, False)
    again = tracker.follow((front, behind), 24 * 40 * MS)
    assert (again.person, again.face, again.is_new) == (1, front, False)


def test_whoever_is_behind_comes_to_the_front_when_the_person_has_left() -> None:
    """After `gone_ms`; at once when nearer than the person was."""
    tracker = SubjectTracker(600, waits=True)
    front, behind = face(100, 100, 230), face(600, 100, 100)
    tracker.follow((front, behind), 0)
    assert tracker.follow((behind,), 600 * MS).face is None
    left = tracker.follow((behind,), 601 * MS)
    assert (left.person, left.face, left.is_new) == (2, behind, True)
    nearer = tracker.follow((face(0, 0, 200),), 640 * MS)
    assert (nearer.person, nearer.is_new) == (3, True)


def test_face_that_another_detector_finds_elsewhere_is_not_waited_for() -> None:
    """Models were swapped; afterwards it is as before."""
    tracker = SubjectTracker(600, waits=True)
    tracker.follow((face(0, 0, 100),), 0)
    tracker.change_detector()
    assert tracker.follow((), 40 * MS).person == 1
    swapped = tracker.follow((face(300, 0, 100),), 80 * MS)
    assert (swapped.person, swapped.face, swapped.is_new) == (2, face(300, 0, 100), True)
    assert tracker.follow((face(600, 0, 100),), 120 * MS).face is None


def test_person_who_was_out_of_sight_too_long_is_new() -> None:
    """A blink of the detector is forgiven, an absence is not."""
    tracker = SubjectTracker(600, waits=True)
    tracker.follow((face(0, 0, 100),), 0)
    assert tracker.follow((), 300 * MS).person == 1
    assert tracker.follow((face(0, 0, 100),), 600 * MS).person == 1
    assert tracker.follow((), 1201 * MS).person == 0
    assert tracker.person == 0
    assert tracker.follow((face(0, 0, 100),), 1240 * MS).person == 2


def test_passer_by_of_about_the_same_size_does_not_take_over() -> None:
    """Who is looked at stays in front until somebody is clearly nearer."""
    tracker = SubjectTracker(600, waits=True)
    tracker.follow((face(0, 0, 100),), 0)
    still = tracker.follow((face(5, 0, 100), face(400, 0, 110)), 40 * MS)
    assert (still.person, still.face) == (1, face(5, 0, 100))
    nearer = tracker.follow((face(5, 0, 100), face(400, 0, 130)), 80 * MS)
    assert (nearer.person, nearer.is_new, nearer.face) == (2, True, face(400, 0, 130))


def test_frame_that_comes_late_changes_nothing() -> None:
    """A younger one was looked at before it."""
    tracker = SubjectTracker(600, waits=True)
    tracker.follow((face(0, 0, 100),), 100 * MS)
    late = tracker.follow((face(500, 0, 300),), 60 * MS)
    assert late.is_late
    assert late.face is None
    assert tracker.follow((face(0, 0, 100),), 140 * MS).person == 1


def test_nobody_is_nobody() -> None:
    """No face, no person."""
    tracker = SubjectTracker(600, waits=True)
    assert tracker.follow((), 0).person == 0
    assert tracker.person == 0
