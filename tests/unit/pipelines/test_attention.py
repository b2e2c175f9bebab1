"""What a glance tells: the same face, elsewhere or not, or something that must be looked at."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.config import AttentionConfig
from livegate.core.frame import Frame
from livegate.core.results import Box, Face
from livegate.pipelines.attention import SIDE, Attention, followed, pattern_of, scene_of
from support import noise

MS = 1_000_000
SIZE = 80
WALL = np.full((240, 320, 3), 90, np.uint8)


def person(seed: int) -> np.ndarray:
    """(80, 80, 3) blots that are somebody's; the seed says whose."""
    blots = cv2.resize(noise(5, 5, seed), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(blots)


def scene(seed: int | None = 1, x: int = 120, y: int = 80) -> Frame:
    """A wall, and somebody before it."""
    pixels = WALL.copy()
    if seed is not None:
        pixels[y : y + SIZE, x : x + SIZE] = person(seed)
    return Frame(pixels, 0)


def face(x: float = 120, y: float = 80, side: float = SIZE) -> Face:
    return Face(Box(x, y, side, side), ((x + 20, y + 30),) * 5, 0.9)


def attentive(first: Frame, at: Face | None, **keys: float) -> Attention[str]:
    """One that has just seen this frame, at 1000 ms."""
    attention = Attention[str](AttentionConfig(**keys), draw=lambda: 1.0)  # type: ignore[arg-type]
    attention.note(first, 1000 * MS, at, "word")
    return attention


def test_same_picture_repeats_what_was_told_until_it_is_time_again() -> None:
    """Up to 400 ms later what was told holds; then, and before, the frame must be looked at."""
    attention = attentive(scene(), face())
    told = [attention.glance(scene(), at_ms * MS) for at_ms in (1000, 1399, 1400, 999)]
    assert [one.told if one else None for one in told] == ["word", "word", None, None]


def test_empty_scene_repeats_half_as_long() -> None:
    """Up to 200 ms later."""
    attention = attentive(scene(None), None)
    told = [attention.glance(scene(None), at_ms * MS) for at_ms in (1000, 1199, 1200)]
    assert [one is not None for one in told] == [True, True, False]


def test_pauses_are_drawn_up_to_recheck_and_never_shorter_than_three_quarters() -> None:
    """Each anew: 300 ms, 350 ms, 400 ms; so cameras that began together do not stay in step."""
    drawn = iter((0.0, 0.5, 1.0))
    attention = Attention[str](AttentionConfig(), draw=lambda: next(drawn))
    for pause_ms in (300, 350, 400):
        attention.note(scene(), 1000 * MS, face(), "word")
        told = [attention.glance(scene(), (1000 + at_ms) * MS) for at_ms in (pause_ms - 1, pause_ms)]
        assert [one is not None for one in told] == [True, False]
        assert attention.due_ns == (1000 + pause_ms) * MS


def test_first_frame_is_looked_at() -> None:
    """Nothing was told yet, or it was forgotten."""
    attention = Attention[str](AttentionConfig())
    assert attention.glance(scene(), 1000 * MS) is None
    attention = attentive(scene(), face())
    attention.forget()
    assert attention.glance(scene(), 1001 * MS) is None


def test_every_frame_is_looked_at_where_recheck_is_0() -> None:
    """The operator can turn it off."""
    assert attentive(scene(), face(), recheck_ms=0).glance(scene(), 1000 * MS) is None


def test_face_that_walks_is_followed() -> None:
    """Ten frames, twelve pixels each: the box goes along, over more than its own side."""
    attention = attentive(scene(x=60), face(60), recheck_ms=2000)
    for step in range(1, 11):
        seen = attention.glance(scene(x=60 + 12 * step), (1000 + 40 * step) * MS)
        assert seen is not None
        assert seen.face is not None
        assert seen.face.box.x == pytest.approx(60 + 12 * step, abs=SIZE / SIDE)
        assert seen.face.box.y == pytest.approx(80, abs=SIZE / SIDE)
        assert seen.face.landmarks[0][0] - seen.face.box.x == pytest.approx(20)


@pytest.mark.parametrize(
    "other",
    [scene(2), scene(None), scene(1, x=170), Frame(noise(320, 240, 5), 0)],
    ids=["somebody else", "nobody", "too far in one frame", "another picture"],
)
def test_something_else_is_looked_at(other: Frame) -> None:
    """Another face in the same place, none, one that has jumped, another scene."""
    assert attentive(scene(), face()).glance(other, 1040 * MS) is None


def test_slow_change_to_somebody_else_is_looked_at_before_it_is_half_done() -> None:
    """A face that turns into another by 3 % a frame is compared with what was judged each time."""
    attention = attentive(scene(), face(), recheck_ms=2000)
    for step in range(1, 17):
        part = step * 0.03
        mixed = cv2.addWeighted(scene(1).pixels, 1 - part, scene(2).pixels, part, 0)
        if attention.glance(Frame(np.asarray(mixed), 0), (1000 + 40 * step) * MS) is None:
            break
    assert part < 0.48


def test_picture_held_over_half_of_a_face_is_looked_at() -> None:
    """What covers a face is no part of it."""
    covered = scene().pixels.copy()
    covered[80:160, 120:160] = person(7)[:, :40]
    assert attentive(scene(), face()).glance(Frame(covered, 0), 1040 * MS) is None


def test_nobody_in_sight_repeats_and_somebody_at_the_edge_is_looked_at() -> None:
    """An empty scene is glanced at; who comes in at a corner is not overlooked."""
    empty = scene(None)
    assert attentive(empty, None).glance(scene(None), 1040 * MS) is not None
    for x, y in ((0, 0), (250, 160), (285, 0)):
        pixels = WALL.copy()
        pixels[y : y + SIZE, x : x + SIZE] = person(3)[:, : 320 - x]
        assert attentive(empty, None).glance(Frame(pixels, 0), 1040 * MS) is None


def test_lamp_that_dims_is_no_change() -> None:
    """Brightness of all is taken out, of scene and face."""
    dimmed = Frame((scene().pixels * 0.8).astype(np.uint8), 0)
    assert attentive(scene(), face()).glance(dimmed, 1040 * MS) is not None


def test_noise_of_the_camera_is_no_change() -> None:
    """Six grey levels of noise on every pixel."""
    rng = np.random.default_rng(3)
    noisy = np.clip(scene().pixels + rng.normal(0, 6, WALL.shape), 0, 255).astype(np.uint8)
    assert attentive(scene(), face()).glance(Frame(noisy, 0), 1040 * MS) is not None


def test_face_without_any_contrast_is_always_looked_at() -> None:
    """Correlation says nothing of an even surface."""
    flat = scene(None)
    assert pattern_of(flat, face().box) is None
    assert attentive(flat, face()).glance(flat, 1040 * MS) is None


def test_older_frame_does_not_replace_what_was_seen() -> None:
    """Frames are looked at side by side; the youngest counts."""
    attention = attentive(scene(), face())
    attention.note(scene(2), 960 * MS, face(), "older")
    seen = attention.glance(scene(), 1040 * MS)
    assert seen is not None
    assert seen.told == "word"


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-2000, 2000),
    y=st.floats(-2000, 2000),
    width=st.floats(0, 3000),
    height=st.floats(0, 3000),
    size=st.tuples(st.integers(32, 200), st.integers(32, 200)),
)
def test_any_box_in_any_picture_is_no_error(
    x: float, y: float, width: float, height: float, size: tuple[int, int]
) -> None:
    """Boxes beside, around and without a size: a change between 0 and 2, or nothing to be known by."""
    frame = Frame(noise(*size), 0)
    one = Face(Box(x, y, width, height), (), 0.5)
    assert np.isfinite(scene_of(frame)).all()
    pattern = pattern_of(frame, one.box)
    if pattern is not None:
        _, change = followed(frame, one, pattern)
        assert -1e-3 <= change <= 2
