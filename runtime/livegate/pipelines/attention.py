"""Which frames of a camera the networks must see, and which only show once more what was just judged.

A camera sends 25 frames a second, and who was judged stands there for seconds. While somebody has no
word yet, every frame is looked at in full, so words come as early as they can. Afterwards one is every
`recheck_ms`, twice as often while nobody is there, and each that shows something else: the face is not
what was judged (something is held in front of it, somebody else stepped in, the head turned), or the
scene has changed (somebody comes). The face is followed between by its correlation with the one that was
judged, never with the frame before, so that no slow change is taken along. What a frame in between
gets is what was judged, and never a new word. Pauses are drawn, up to `recheck_ms`: those of one length
would have cameras that began together looked at together for ever.

Rejected: comparing whole pictures (a person's body moves all the time), optical flow (it costs more than
the detector), a schedule alone (a photograph could be shown between two looks).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.core.config import AttentionConfig
from livegate.core.frame import Frame
from livegate.core.results import Box, Face

Grey = NDArray[np.float32]
SIDE = 32
"""Of a face's pattern, in pixels."""
MARGIN = 0.5
"""How far a face may move between two frames, in parts of its side: somebody who walks by."""
BLOCKS, SAMPLES = 8, 4
"""The scene is compared in so many blocks across and down, each the mean of SAMPLES x SAMPLES pixels."""
FLAT = 2.0
"""Grey levels of standard deviation below which a face has nothing to be known by."""
SHORTEST = 0.75
"""Of a pause, as a part of the longest."""
NOBODY = 0.5
"""Of a pause, while nobody is there: who comes in without changing the scene waits for its end, and
finding nobody costs less than half of judging somebody."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """What a frame that was looked at in full showed; `face` is where it is by now."""

    captured_ns: int
    due_ns: int
    scene: Grey
    pattern: Grey | None
    face: Face | None
    told: T


class Attention(Generic[T]):
    """Of one camera; `told` is whatever its session wants back. For one thread at a time."""

    def __init__(self, config: AttentionConfig, draw: Callable[[], float] = random.random) -> None:
        """Nothing was seen: the first frame is looked at. `draw` gives a number 0..1 for each pause."""
        self._draw = draw
        self._recheck_ns = config.recheck_ms * 1_000_000
        self._max_face_change = config.max_face_change
        self._max_scene_change = config.max_scene_change
        self._seen: Seen[T] | None = None

    @property
    def due_ns(self) -> int:
        """From when on frames must be looked at whatever they show; 0: all of them."""
        seen = self._seen
        return seen.due_ns if seen is not None else 0

    def glance(self, frame: Frame, captured_ns: int) -> Seen[T] | None:
        """What was judged, its face where it is now; None when this frame must be looked at.

        After one that shows something else every frame must be, until one is noted: else the next would
        be told of first.
        """
        seen = self._seen
        if seen is None or not seen.captured_ns <= captured_ns < seen.due_ns:
            return None
        self._seen = self._still(seen, frame)
        return self._seen

    def note(self, frame: Frame, captured_ns: int, face: Face | None, told: T) -> None:
        """A frame was looked at, and nothing is open about whom it shows."""
        if not self._recheck_ns or (self._seen and captured_ns < self._seen.captured_ns):
            return
        pattern = pattern_of(frame, face.box) if face else None
        if face and pattern is None:
            self._seen = None
        else:
            due_ns = captured_ns + self._pause_ns(is_nobody=face is None)
            self._seen = Seen(captured_ns, due_ns, scene_of(frame), pattern, face, told)

    def forget(self) -> None:
        """Look at the next frame, whatever it shows."""
        self._seen = None

    def _still(self, seen: Seen[T], frame: Frame) -> Seen[T] | None:
        """What was seen, its face where it is in this frame; None where this shows something else."""
        change = _scene_change(scene_of(frame), seen.scene, has_face=seen.face is not None)
        if change > self._max_scene_change:
            return None
        if seen.face is None or seen.pattern is None:
            return seen
        moved, change = followed(frame, seen.face, seen.pattern)
        return None if change > self._max_face_change else replace(seen, face=moved)

    def _pause_ns(self, *, is_nobody: bool) -> int:
        longest_ns = self._recheck_ns * (NOBODY if is_nobody else 1.0)
        return round(longest_ns * (SHORTEST + (1 - SHORTEST) * self._draw()))


def scene_of(frame: Frame) -> Grey:
    """(BLOCKS, BLOCKS) brightness 0..1 about 0: a lamp or the camera's exposure is no change."""
    side = BLOCKS * SAMPLES
    few = cv2.resize(frame.pixels, (side, side), interpolation=cv2.INTER_NEAREST)  # reads no others
    blocks = cv2.resize(_grey(few), (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    scene: Grey = blocks.astype(np.float32)
    scene -= np.float32(cv2.mean(scene)[0])
    scene /= np.float32(255)
    return scene


def _scene_change(one: Grey, other: Grey, *, has_face: bool) -> float:
    """Somebody who comes changes a corner; who stands there moves, and only light changes all."""
    if has_face:
        return cv2.norm(one, other, cv2.NORM_L1) / one.size
    return cv2.norm(one, other, cv2.NORM_INF)


def pattern_of(frame: Frame, box: Box) -> Grey | None:
    """(SIDE, SIDE) grey of a face; None where there is nothing to be known by."""
    pattern = _cut(frame, box, 0.0, SIDE)
    return pattern if pattern is not None and _spread(pattern) >= FLAT else None


def followed(frame: Frame, face: Face, pattern: Grey) -> tuple[Face, float]:
    """The face where it is most like the pattern, and how much is another: 0 none, 1 nothing in common.

    Places are tried within MARGIN of where it was, in steps of a pattern's pixel.
    """
    reach = round(MARGIN * SIDE)
    around = _cut(frame, face.box, MARGIN, SIDE + 2 * reach)
    if around is None or _spread(around) < FLAT:
        return face, 1.0
    alike = cv2.matchTemplate(around, pattern, cv2.TM_CCOEFF_NORMED)
    _, best, _, (column, row) = cv2.minMaxLoc(alike)
    across = (column - reach) / SIDE * face.box.width
    down = (row - reach) / SIDE * face.box.height
    return shifted(face, across, down), 1.0 - best


def shifted(face: Face, across: float, down: float) -> Face:
    """The face so many pixels further."""
    box = Box(face.box.x + across, face.box.y + down, face.box.width, face.box.height)
    return Face(box, tuple((x + across, y + down) for x, y in face.landmarks), face.score)


def _cut(frame: Frame, box: Box, margin: float, side: int) -> Grey | None:
    """(side, side) grey of a box and its margins, grey 0 outside the picture; None without a size."""
    if box.width < 2 or box.height < 2:
        return None
    wide, high = box.width * (1 + 2 * margin), box.height * (1 + 2 * margin)
    x, y = box.x - margin * box.width, box.y - margin * box.height
    left, top = max(0, int(x)), max(0, int(y))
    right, bottom = min(frame.width, int(x + wide) + 2), min(frame.height, int(y + high) + 2)
    if right <= left or bottom <= top:
        return None
    scale_x, scale_y = wide / side, high / side
    matrix = np.array(
        ((scale_x, 0, x - left + scale_x / 2 - 0.5), (0, scale_y, y - top + scale_y / 2 - 0.5))
    )
    # It reads four pixels a cell where they are, a camera's slot, and copies nothing.
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cells = cv2.warpAffine(frame.pixels[top:bottom, left:right], matrix, (side, side), flags=flags)
    return _grey(cells).astype(np.float32)


def _grey(pixels: NDArray[Any]) -> NDArray[Any]:
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


def _spread(grey: Grey) -> float:
    """Standard deviation; numpy's takes three times as long for so few."""
    return float(cv2.meanStdDev(grey)[1][0, 0])
