"""Is it one person, always in sight, in one take?

No network here tells faces apart, and none is needed for what joins of recordings show: the whole
picture changes at once, or the face does, or the head is elsewhere, or nobody is there for a while.
Whatever is not too long a while is compared: a gap in which nothing was is where takes are joined.
The face is compared as a small grey picture, its correlation with the one before it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.core.config import ActionsConfig
from livegate.core.frame import Frame
from livegate.core.results import Box, FaceSample, Reason

Small = NDArray[np.float32]
SCENE_SIDE, FACE_SIDE, SHIFT = 32, 24, 2


class Continuity:
    """Watches one track. Times rise."""

    def __init__(self, config: ActionsConfig) -> None:
        """Nothing was seen."""
        self._config = config
        self._found: dict[Reason, None] = {}
        self._scene: Small | None = None
        self._face: Small | None = None
        self._sample: FaceSample | None = None
        self._scene_ms = self._seen_ms = 0
        self._person = 0

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What broke it so far, each once."""
        return tuple(self._found)

    def see(self, pts_ms: int, frame: Frame) -> None:
        """The next picture, with a face or without."""
        scene = scene_of(frame)
        if self._scene is not None and pts_ms - self._scene_ms <= self._config.gone_ms:
            change = float(np.abs(scene - self._scene).mean())
            if change > self._config.max_scene_change:
                self._break(Reason.VIDEO_CUT)
        self._scene, self._scene_ms = scene, pts_ms

    def follow(self, sample: FaceSample, person: int, frame: Frame, box: Box) -> None:
        """The face in that picture; `person` counts the people as the tracker told them apart."""
        face, before = face_of(frame, box), self._sample
        apart_ms = sample.pts_ms - self._seen_ms
        if apart_ms > self._config.gone_ms:
            self._break(Reason.FACE_LOST)
        elif before is not None and self._face is not None:
            is_another = person != self._person
            if is_another or face_change(face, self._face) > self._config.max_face_change:
                self._break(Reason.PERSON_CHANGED)
            if _speed(before, sample) > self._config.max_deg_per_s:
                self._break(Reason.VIDEO_CUT)
        self._face, self._sample = face, sample
        self._person, self._seen_ms = person, sample.pts_ms

    def end(self, pts_ms: int) -> None:
        """The video is over; nobody may have left before."""
        if self._person and pts_ms - self._seen_ms > self._config.gone_ms:
            self._break(Reason.FACE_LOST)

    def _break(self, reason: Reason) -> None:
        self._found[reason] = None


def scene_of(frame: Frame) -> Small:
    """A picture's brightness, 0..1, in 32 x 32."""
    small = cv2.resize(frame.pixels, (SCENE_SIDE, SCENE_SIDE), interpolation=cv2.INTER_AREA)
    brightness: Small = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    brightness /= np.float32(255)
    return brightness


def face_of(frame: Frame, box: Box) -> Small:
    """A face in grey, (24, 24), mean 0, length 1; near zero for one without contrast."""
    left, top = max(0, int(box.x)), max(0, int(box.y))
    view = frame.pixels[top : int(box.y + box.height) + 1, left : int(box.x + box.width) + 1]
    if not view.size:
        return np.zeros((FACE_SIDE, FACE_SIDE), np.float32)
    small = cv2.resize(view, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey -= grey.mean()
    length = float(np.linalg.norm(grey))
    normal: Small = grey / np.float32(max(length, 1e-3))
    return normal


def face_change(one: Small, other: Small) -> float:
    """0 = the same, 1 = nothing in common; 1 - correlation, at the best of all shifts by up to SHIFT.

    A detector's box wanders when a head turns, and that is no other person.
    """
    inner = np.s_[SHIFT:-SHIFT, SHIFT:-SHIFT]
    pairs = ((one, other[inner]), (other, one[inner]))
    alike = (cv2.matchTemplate(whole, part, cv2.TM_CCOEFF_NORMED).max() for whole, part in pairs)
    return 1.0 - float(max(alike))


def _speed(before: FaceSample, after: FaceSample) -> float:
    """Degrees a second."""
    pairs = ((before.yaw_deg, after.yaw_deg), (before.pitch_deg, after.pitch_deg))
    turns = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return max(turns, default=0.0) * 1000 / max(1, after.pts_ms - before.pts_ms)
