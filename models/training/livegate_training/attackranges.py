"""What attacks may look like: the training ranges, and those of the frozen test outside of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Span = tuple[float, float]
Ink = Literal["dots", "lines", "dither"]
Raster = Literal["columns", "rows", "mesh"]
"""Stripes of red, green and blue side by side, above each other, or white pixels with dark seams."""


@dataclass(frozen=True, slots=True)
class AttackRanges:
    """Spans are drawn from evenly; `_odds` are probabilities. Lengths are parts of the medium's width.

    `dot`: period of the halftone in pixels of the picture; `raster`: pixels of the display across;
    `tilt`: how far the medium's corners are pulled (part of its size); `turn`: degrees in the picture.
    """

    face_height: Span = (0.18, 0.85)
    turn: Span = (0.0, 12.0)
    tilt: Span = (0.0, 0.07)
    # print
    saturation: Span = (0.55, 0.95)
    black: Span = (10.0, 60.0)
    dot_odds: float = 0.55
    dot: Span = (2.2, 5.0)
    dot_strength: Span = (0.15, 0.8)
    margin_odds: float = 0.65
    margin: Span = (0.01, 0.12)
    curl: Span = (0.0, 0.06)
    cut_out_odds: float = 0.12
    eye_holes_odds: float = 0.08
    # replay
    raster: Span = (200.0, 420.0)
    grid_odds: float = 0.75
    grid_strength: Span = (0.15, 0.85)
    bezel_odds: float = 0.7
    bezel: Span = (0.015, 0.12)
    glare_odds: float = 0.6
    glare: Span = (0.05, 0.35)
    banding_odds: float = 0.3
    blue: Span = (0.95, 1.3)
    # both
    gloss_odds: float = 0.5
    hand_odds: float = 0.5
    borderless_odds: float = 0.22


@dataclass(frozen=True, slots=True)
class Finish:
    """How paper is printed and screens are built; one of each tuple is drawn. `grain`: of the paper."""

    inks: tuple[Ink, ...] = ("dots",)
    rasters: tuple[Raster, ...] = ("columns",)
    grain: Span | None = None


TRAINING = AttackRanges(face_height=(0.07, 0.92))
FINE = AttackRanges(
    face_height=(0.07, 0.92),
    saturation=(1.0, 1.15),
    dot=(1.0, 1.7),
    dot_strength=(0.2, 0.8),
    margin=(0.0, 0.005),
    raster=(660.0, 1400.0),
    grid_strength=(0.2, 0.85),
    bezel=(0.002, 0.009),
    glare=(0.0, 0.02),
)
"""Of training, too: displays and prints as fine as they are made, beyond the weak slice."""
COARSE = AttackRanges(
    face_height=(0.07, 0.92),
    turn=(17.0, 25.0),
    tilt=(0.1, 0.14),
    saturation=(0.3, 0.45),
    dot=(6.5, 9.0),
    margin=(0.18, 0.3),
    curl=(0.09, 0.12),
    raster=(120.0, 200.0),
    bezel=(0.18, 0.25),
    glare=(0.45, 0.6),
    blue=(0.65, 0.8),
)
"""Of training, too, on the other side: dots, rasters, margins, bezels and saturations of the frozen test
lie between the two, and neither draws one.
"""
VARIED = Finish(("dots", "dots", "lines", "dither"), ("columns", "rows", "mesh"), grain=(0.0, 0.06))
"""Of training: more kinds than the frozen test has."""
TEST = AttackRanges(
    face_height=(0.15, 0.9),
    turn=(8.0, 17.0),
    tilt=(0.05, 0.1),
    saturation=(0.45, 0.6),
    black=(5.0, 20.0),
    dot=(4.5, 6.5),
    margin=(0.08, 0.18),
    curl=(0.04, 0.09),
    raster=(420.0, 520.0),
    bezel=(0.1, 0.18),
    glare=(0.25, 0.45),
    blue=(0.8, 0.97),
    borderless_odds=0.0,
)
"""The frozen test: wider margins, coarser dots, finer rasters, warmer screens, stronger tilts."""

WEAK = AttackRanges(
    face_height=(0.15, 0.9),
    turn=(0.0, 10.0),
    tilt=(0.0, 0.06),
    saturation=(0.9, 1.0),
    black=(0.0, 10.0),
    dot_odds=0.25,
    dot=(1.8, 2.3),
    dot_strength=(0.05, 0.2),
    margin=(0.005, 0.02),
    curl=(0.0, 0.02),
    cut_out_odds=0.0,
    eye_holes_odds=0.0,
    raster=(520.0, 640.0),
    grid_odds=0.3,
    grid_strength=(0.05, 0.2),
    bezel=(0.01, 0.025),
    glare_odds=0.3,
    glare=(0.02, 0.08),
    banding_odds=0.1,
    blue=(0.97, 1.05),
    gloss_odds=0.2,
    hand_odds=0.2,
    borderless_odds=0.0,
)
"""The weak-artefact slice of the frozen test: good paper, good screens, thin edges."""


def edgeless(ranges: AttackRanges) -> AttackRanges:
    """The same, near: half of the media fill the picture, every third print is cut out."""
    return replace(
        ranges, face_height=(0.2, 0.92), borderless_odds=0.5, cut_out_odds=0.35, eye_holes_odds=0.12
    )
