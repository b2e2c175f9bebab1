"""Attacks and people of the silent network: one camera for both, truth that is seen, seeds that hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from livegate_training import silentviews
from livegate_training.attackranges import (
    COARSE,
    FINE,
    TEST,
    TRAINING,
    WEAK,
    AttackRanges,
    Finish,
    edgeless,
)
from livegate_training.camera import CameraRanges, Shot, photograph, shot_from
from livegate_training.detectscenes import scene_maker
from livegate_training.media import print_of, screen_of
from livegate_training.presentation import Kind, Stage, light_of, setting_from
from livegate_training.seeds import seeded
from livegate_training.silenttest import FROZEN, SLICES, recipe_digest
from livegate_training.silentviews import KINDS, presented, view_maker
from training_kit import OnePerson, marks, places

CAMERA = CameraRanges()


def stage(attacks: AttackRanges = TRAINING) -> Any:
    """One person before textures."""
    return Stage(OnePerson(), places(), attacks)  # type: ignore[arg-type]


def test_every_kind_passes_the_same_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sample n has one set of camera settings, whatever stands before the camera."""
    shots: dict[str, list[Shot]] = {kind: [] for kind in KINDS}

    def noted(light: np.ndarray, shot: Shot) -> np.ndarray:
        shots[now].append(shot)
        return photograph(light, shot)

    monkeypatch.setattr(silentviews, "photograph", noted)
    for now in KINDS:
        for number in range(6):
            presented(now, stage(), CAMERA, "same", number)
    assert len(shots["genuine"]) == 6
    assert shots["genuine"] == shots["print"] == shots["replay"]
    assert len(set(shots["genuine"])) == 6


def test_every_kind_has_the_same_frame_and_about_the_same_face() -> None:
    """Frame size and face height are drawn before the class."""
    for number in range(6):
        seen = [presented(kind, stage(BORDERED), CAMERA, "size", number) for kind in KINDS]
        assert len({picture.shape for picture, _ in seen}) == 1
        heights = [float(np.ptp(points[:, 1])) for _, points in seen]
        assert max(heights) < 1.35 * min(heights)


BORDERED = replace(TRAINING, borderless_odds=0.0, turn=(0, 0), tilt=(0, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_whole_portrait_fills_the_picture_of_every_kind(kind: Kind) -> None:
    """In front of the camera nothing but the portrait shows, in the same settings for all kinds."""
    whole = replace(stage(BORDERED), whole_odds=1.0)
    for number in range(6):
        picture, points = presented(kind, whole, CAMERA, "whole", number)
        rows, columns = picture.shape[:2]
        nose = points[30]
        assert 0 <= nose[0] < columns
        assert 0 <= nose[1] < rows
        # The least face of a whole setting, seen by a frame that is as high as it is wide at most.
        assert np.ptp(points[:, 1]) > 0.25 * min(rows, columns)


@pytest.mark.parametrize("kind", KINDS)
def test_presentation_is_the_same_for_its_number(kind: Kind) -> None:
    """Picture and landmarks; another number is another presentation."""
    first, points = presented(kind, stage(), CAMERA, "again", 3)
    again, more = presented(kind, stage(), CAMERA, "again", 3)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(points, more)
    other, _ = presented(kind, stage(), CAMERA, "again", 4)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("kind", ["print", "replay"])
def test_borderless_medium_fills_the_frame(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the room is left: a green room never shows."""
    import livegate_training.presentation as presentation

    covers: list[np.ndarray] = []
    real = presentation._warped

    def noted(pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        made = real(pixels, matrix, size)
        covers.append(made[..., 3])
        return made

    monkeypatch.setattr(presentation, "_warped", noted)
    attacks = replace(TRAINING, borderless_odds=1.0, cut_out_odds=0.0, tilt=(0, 0.02), curl=(0, 0))
    for number in range(8):
        presented(kind, stage(attacks), CAMERA, "full", number)
    assert np.mean([(cover > 0).mean() for cover in covers]) > 0.93


def test_display_raster_makes_moire_only_when_it_is_sampled_anew() -> None:
    """The stripes are finer than the camera sees; sampling them gives slow waves on an even grey."""
    grey = np.full((120, 90, 3), 128, np.uint8)
    attacks = replace(
        TRAINING, grid_odds=1.0, grid_strength=(0.8, 0.8), raster=(150, 150), glare_odds=0, bezel_odds=0
    )
    lit = screen_of(grey, marks(), grey, attacks, Finish(), seeded("screen")).pixels[..., :3]
    plain = replace(attacks, grid_odds=0.0)
    dull = screen_of(grey, marks(), grey, plain, Finish(), seeded("screen")).pixels[..., :3]
    assert lit.shape[1] == 450

    def waves(raster: np.ndarray) -> float:
        """How uneven the grey is once a camera sampled it and fine detail is blurred away."""
        seen = cv2.resize(raster, (181, 241), interpolation=cv2.INTER_LINEAR)
        return float(cv2.GaussianBlur(seen, (0, 0), 3.0).std(axis=(0, 1)).max())

    assert waves(dull) < 0.5
    assert waves(lit) > 2.0


def test_paper_margin_and_landmarks_go_together() -> None:
    """A white margin moves the landmarks by its width; paper never gets darker than ink's black."""
    grey = np.full((160, 200, 3), 100, np.uint8)
    cover = np.full((160, 200), 255, np.uint8)
    attacks = replace(
        TRAINING, margin_odds=1.0, margin=(0.1, 0.1), curl=(0, 0), cut_out_odds=0, dot_odds=0
    )
    sheet = print_of(grey, cover, marks(), attacks, Finish(), seeded("sheet"))
    assert sheet.pixels.shape == (200, 240, 4)
    np.testing.assert_allclose(sheet.points, marks() + 20, atol=1e-3)
    assert sheet.pixels[5, 5, 0] >= 200
    assert (sheet.pixels[..., 3] == 255).all()


def test_views_and_labels_go_round_through_the_kinds() -> None:
    """Sample n is of kind n modulo the list; three views of bytes, one with pixels to spare."""
    make = view_maker(stage(), CAMERA, "views", ("genuine", "print", "genuine", "replay"))
    samples = [make(number) for number in range(4)]
    assert [int(sample["kind"]) for sample in samples] == [0, 1, 0, 2]
    assert samples[0]["face"].shape == (112, 112, 3)
    assert samples[0]["context"].shape == (128, 128, 3)
    assert samples[0]["detail"].shape == (160, 160, 3)


def test_finishes_print_and_light_differently() -> None:
    """Dots, lines and dither on one grey; columns, rows and seams of one screen; the mean stays."""
    grey = np.full((90, 90, 3), 128, np.uint8)
    cover = np.full((90, 90), 255, np.uint8)
    flat = replace(TRAINING, dot_odds=1.0, margin_odds=0, curl=(0, 0), cut_out_odds=0, eye_holes_odds=0)
    sheets = {
        ink: print_of(grey, cover, marks(), flat, Finish((ink,)), seeded("ink")).pixels[..., 1]
        for ink in ("dots", "lines", "dither")
    }
    lit = replace(TRAINING, grid_odds=1.0, glare_odds=0, bezel_odds=0)
    screens = {
        kind: screen_of(grey, marks(), grey, lit, Finish(rasters=(kind,)), seeded("lit")).pixels[..., 1]
        for kind in ("columns", "rows", "mesh")
    }
    for made in (sheets, screens):
        first, second, third = made.values()
        assert not np.array_equal(first, second)
        assert not np.array_equal(second, third)
        assert max(one.mean() for one in made.values()) < 1.3 * min(one.mean() for one in made.values())
    rough = print_of(grey, cover, marks(), flat, Finish(grain=(0.06, 0.06)), seeded("ink")).pixels[
        ..., 1
    ]
    assert rough.astype(int).mean() == pytest.approx(sheets["dots"].mean(), rel=0.05)
    assert np.abs(rough.astype(int) - sheets["dots"]).mean() > 3


def test_camera_is_the_same_for_a_shot_and_has_no_other_randomness() -> None:
    """A shot is all there is to a camera; its ranges hold."""
    light = np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    for number in range(20):
        shot = shot_from(seeded("shot", number), CAMERA)
        np.testing.assert_array_equal(photograph(light, shot), photograph(light, shot))
        assert 45 <= shot.jpeg <= 97
        assert 0 <= shot.noise <= 7


def test_frozen_test_is_the_one_that_was_committed() -> None:
    """Who changes the frozen test changes a line that says so."""
    assert recipe_digest() == FROZEN
    assert {one.name for one in SLICES} == {"genuine", "print", "replay", "weak", "borderless"}


@pytest.mark.parametrize(
    ("field", "frozen"),
    [
        *((field, (TEST,)) for field in ("saturation", "margin", "bezel", "blue")),
        *((field, (TEST, WEAK)) for field in ("raster", "dot")),
    ],
)
def test_frozen_attacks_lie_outside_the_training_ranges(
    field: str, frozen: tuple[AttackRanges, ...]
) -> None:
    """The middle of a test range is no value that training draws, from whichever of its ranges."""
    usual = (TRAINING, FINE, COARSE)
    for trained in (getattr(one, field) for one in (*usual, *map(edgeless, usual))):
        for low, high in (getattr(one, field) for one in frozen):
            assert not trained[0] <= (low + high) / 2 <= trained[1]
    assert max(WEAK.dot_strength) < max(TRAINING.dot_strength) / 2


def test_attack_of_several_ranges_is_drawn_from_each() -> None:
    """Turned by 0 or by 20 degrees, and nothing between."""
    flat = replace(TRAINING, borderless_odds=0.0, turn=(0, 0), tilt=(0, 0))
    turned = replace(flat, turn=(20, 20))
    several = Stage(OnePerson(), places(), flat, others=(turned,))  # type: ignore[arg-type]
    turns = set()
    for number in range(8):
        rng = np.random.default_rng(number)
        _, points = light_of("print", setting_from(rng, several), several, rng)
        across, down = points[45] - points[36]
        turns.add(round(abs(float(np.degrees(np.arctan2(down, across)))) / 20))
    assert turns == {0, 1}


def test_detector_scenes_label_what_they_show() -> None:
    """Faces lie in the letterboxed part, five landmarks in their boxes, some scenes show nobody."""
    make = scene_maker(OnePerson(), places(), CAMERA, "scenes")  # type: ignore[arg-type]
    samples = [make(number) for number in range(40)]
    counts = [int((sample["faces"][:, 2] > 0).sum()) for sample in samples]
    assert 0 < counts.count(0) < 20
    assert max(counts) > 1
    for sample in samples:
        for row in sample["faces"][sample["faces"][:, 2] > 0]:
            points = row[4:].reshape(5, 2)
            assert (points > row[:2] - 2).all()
            assert (points < row[:2] + row[2:4] + 2).all()
    again = make(7)
    np.testing.assert_array_equal(again["pixels"], samples[7]["pixels"])
