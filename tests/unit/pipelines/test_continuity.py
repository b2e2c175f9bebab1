"""One person, one take: what breaks it and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from livegate.core.config import ActionsConfig
from livegate.core.frame import Frame
from livegate.core.results import Box, FaceSample, Reason
from livegate.pipelines.continuity import Continuity, face_change, face_of
from support import noise

BOX = Box(40, 30, 60, 60)
WALL = np.full((120, 160, 3), 90, np.uint8)


def scene(seed: int, *, brightness: int = 0) -> Frame:
    """A wall with a face of noise; the seed is whose."""
    pixels = WALL.copy()
    face = np.kron(noise(6, 6, seed), np.ones((10, 10, 1), np.uint8))
    pixels[30:90, 40:100] = face
    return Frame(np.clip(pixels.astype(int) + brightness, 0, 255).astype(np.uint8), 0)


def watched(*pictures: tuple[int, Frame, float, int]) -> tuple[Reason, ...]:
    """What is said of pictures: (time, picture, yaw, person)."""
    continuity = Continuity(ActionsConfig())
    for pts_ms, frame, yaw, person in pictures:
        continuity.see(pts_ms, frame)
        sample = FaceSample(pts_ms, yaw, 0.0, 0.0, 0.3)
        continuity.follow(sample, person, frame, BOX)
    return continuity.reasons


def test_same_person_who_moves_is_continuous() -> None:
    """A quick turn, and a lamp that dims slowly."""
    track = [(n * 66, scene(1, brightness=-n), 8.0 * n, 1) for n in range(8)]
    assert watched(*track) == ()


def test_another_face_at_the_same_place_is_a_change() -> None:
    """The wall stays, the face does not."""
    assert Reason.PERSON_CHANGED in watched((0, scene(1), 0, 1), (66, scene(2), 0, 1))


def test_another_person_by_the_tracker_is_a_change() -> None:
    """It was elsewhere, or much larger, at once."""
    assert watched((0, scene(1), 0, 1), (66, scene(1), 0, 2)) == (Reason.PERSON_CHANGED,)


def test_another_scene_is_a_cut() -> None:
    """The whole picture is brighter at once."""
    assert Reason.VIDEO_CUT in watched((0, scene(1), 0, 1), (66, scene(1, brightness=60), 0, 1))


def test_head_that_jumps_is_a_cut() -> None:
    """Sixty degrees between two pictures."""
    assert watched((0, scene(1), -30, 1), (66, scene(1), 30, 1)) == (Reason.VIDEO_CUT,)


def test_face_out_of_sight_is_lost() -> None:
    """For longer than gone_ms, in the middle or at the end."""
    assert watched((0, scene(1), 0, 1), (600, scene(1), 0, 1)) == (Reason.FACE_LOST,)
    continuity = Continuity(ActionsConfig())
    continuity.follow(FaceSample(0, 0.0, 0.0, 0.0, 0.3), 1, scene(1), BOX)
    continuity.end(400)
    assert continuity.reasons == ()
    continuity.end(600)
    assert continuity.reasons == (Reason.FACE_LOST,)


@pytest.mark.parametrize("apart_ms", [399, 401, 450, 499, 500])
def test_takes_joined_with_a_gap_are_cuts(apart_ms: int) -> None:
    """As long as the gap is not one in which somebody was lost."""
    assert watched((0, scene(1), 0, 1), (apart_ms, scene(1), 0, 1)) == ()
    assert watched((0, scene(1), 0, 1), (apart_ms, scene(2), 0, 1)) == (Reason.PERSON_CHANGED,)
    brighter = scene(1, brightness=60)
    assert Reason.VIDEO_CUT in watched((0, scene(1), 0, 1), (apart_ms, brighter, 0, 1))
    jump_deg = 1.1 * ActionsConfig().max_deg_per_s * apart_ms / 1000
    assert watched((0, scene(1), 0, 1), (apart_ms, scene(1), jump_deg, 1)) == (Reason.VIDEO_CUT,)


def test_face_swapped_while_it_was_hidden_is_a_change() -> None:
    """Frames go on, the wall with them, and another face comes back at the same place."""
    continuity = Continuity(ActionsConfig())
    for pts_ms in range(0, 451, 50):
        continuity.see(pts_ms, Frame(WALL, 0))
    for pts_ms, seed in ((0, 1), (450, 2)):
        continuity.follow(FaceSample(pts_ms, 0.0, 0.0, 0.0, 0.3), 1, scene(seed), BOX)
    assert continuity.reasons == (Reason.PERSON_CHANGED,)


@pytest.mark.parametrize("shift", [(5, 0), (-5, 3), (0, -5), (4, 4)])
def test_box_that_wanders_over_a_face_is_no_change(shift: tuple[int, int]) -> None:
    """By up to a twelfth of its side: the face is the same, and another one there is not."""
    moved = Box(BOX.x + shift[0], BOX.y + shift[1], BOX.width, BOX.height)
    limit = ActionsConfig().max_face_change
    assert face_change(face_of(scene(1), BOX), face_of(scene(1), moved)) < limit / 2
    assert face_change(face_of(scene(1), BOX), face_of(scene(2), moved)) > 2 * limit


@pytest.mark.parametrize("box", [BOX, Box(-20, -20, 50, 50), Box(500, 500, 10, 10)])
def test_face_of_any_box_is_small_and_normal(box: Box) -> None:
    """Boxes may reach over the picture's edge, or lie outside."""
    face = face_of(scene(1), box)
    assert face.shape == (24, 24)
    assert np.isfinite(face).all()
    assert face_change(face, face) in (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
