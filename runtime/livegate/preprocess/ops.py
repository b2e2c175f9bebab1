"""The geometry of preprocessing, as numbers: which part of a frame becomes which input tensor.

Source: the rules of the manifest (manifests/schema.py), which each model's card explains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from livegate.core.results import Box, Face
from livegate.manifests.schema import EnlargeLevelEyes, EnlargeShiftInside, Letterbox, SquareInside

MIN_SIDE = 1.0
"""Pixels; a box that came out thinner would be stretched without end."""


@dataclass(frozen=True, slots=True)
class LetterboxPlan:
    """A frame scaled to (width, height) in the top left of an input of (input_width, input_height).

    `scale_x`, `scale_y`: input pixels for one frame pixel.
    """

    width: int
    height: int
    input_width: int
    input_height: int
    scale_x: float
    scale_y: float


@dataclass(frozen=True, slots=True)
class CropPlan:
    """The pixels [top, bottom) x [left, right) of a frame, stretched to the input."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class TurnedPlan:
    """A rectangle of a frame, turned by `roll_deg` (clockwise as seen), stretched to the input.

    Centre and sizes are frame pixels; the rectangle may reach over the frame's edges.
    """

    centre_x: float
    centre_y: float
    width: float
    height: float
    roll_deg: float

    def frame_from_input(self, input_width: int, input_height: int) -> tuple[tuple[float, ...], ...]:
        """(2, 3) affine matrix: from input pixels to frame pixels, both measured at pixel centres."""
        cos, sin = math.cos(math.radians(self.roll_deg)), math.sin(math.radians(self.roll_deg))
        scale_x, scale_y = self.width / input_width, self.height / input_height
        # (u + 0.5) * scale - size / 2 is the place in the rectangle, seen from its centre.
        from_x, from_y = 0.5 * scale_x - self.width / 2, 0.5 * scale_y - self.height / 2
        return (
            (cos * scale_x, -sin * scale_y, self.centre_x - 0.5 + cos * from_x - sin * from_y),
            (sin * scale_x, cos * scale_y, self.centre_y - 0.5 + sin * from_x + cos * from_y),
        )


def plan_letterbox(frame_width: int, frame_height: int, rule: Letterbox, size: int) -> LetterboxPlan:
    """Fit a frame's long side to `size`, then round the input up to the rule's multiple."""
    scale = size / max(frame_width, frame_height)
    width = max(1, round(frame_width * scale))
    height = max(1, round(frame_height * scale))
    step = rule.multiple_of
    return LetterboxPlan(
        width,
        height,
        -(-width // step) * step,
        -(-height // step) * step,
        width / frame_width,
        height / frame_height,
    )


def plan_crop(frame_width: int, frame_height: int, box: Box, rule: EnlargeShiftInside) -> CropPlan:
    """Enlarge a face box about its centre and shift it inside the frame.

    The factor is at most what the frame has room for; sizes are cut to whole pixels, both ends
    belonging to the crop. The box is first cut to whole pixels, as the detector's own users do.
    """
    x, y = int(box.x), int(box.y)
    box_width, box_height = max(1, int(box.width)), max(1, int(box.height))
    last_x, last_y = frame_width - 1, frame_height - 1
    factor = min(rule.enlarge, last_x / box_width, last_y / box_height)
    left, right = _inside(x, box_width, box_width * factor, last_x)
    top, bottom = _inside(y, box_height, box_height * factor, last_y)
    return CropPlan(left, top, right + 1, bottom + 1)


def plan_turned(face: Face, rule: EnlargeLevelEyes) -> TurnedPlan:
    """Enlarge a face box about its centre and turn it as far as the line of its eyes is."""
    box = face.box
    width, height = max(MIN_SIDE, box.width), max(MIN_SIDE, box.height)
    if rule.is_square:
        width = height = max(width, height)
    return TurnedPlan(
        box.x + box.width / 2,
        box.y + box.height / 2,
        width * rule.enlarge,
        height * rule.enlarge,
        eye_roll_deg(face),
    )


def plan_square(frame_width: int, frame_height: int, box: Box, rule: SquareInside) -> TurnedPlan:
    """A square about a face box, as much of it inside the frame as there is room for.

    It begins at a whole pixel, so that a square of the input's own side is a copy of the frame's pixels.
    """
    side = max(MIN_SIDE, box.width, box.height) * rule.enlarge
    side = min(side, float(max(frame_width, frame_height)), rule.at_most_px or math.inf)
    x = _middle_inside(box.x + box.width / 2, side, frame_width)
    y = _middle_inside(box.y + box.height / 2, side, frame_height)
    return TurnedPlan(x, y, side, side, 0.0)


def eye_roll_deg(face: Face) -> float:
    """How far the line of the eyes is turned clockwise, as seen in the picture; 0 without landmarks."""
    if len(face.landmarks) < 2:
        return 0.0
    (left_x, left_y), (right_x, right_y) = face.landmarks[:2]
    return math.degrees(math.atan2(right_y - left_y, right_x - left_x))


def _middle_inside(middle: float, length: float, room: int) -> float:
    if length >= room:
        return room / 2
    first = min(max(middle - length / 2, 0.0), room - length)
    return math.floor(first) + length / 2


def _inside(start: int, length: int, wanted: float, last: int) -> tuple[int, int]:
    """Both ends of `wanted` pixels about the middle of a span, shifted into 0..last."""
    first = start + length / 2 - wanted / 2
    first = min(max(first, 0.0), last - wanted)
    # The shift can end a rounding error outside.
    return max(0, int(first)), min(last, int(first + wanted))
