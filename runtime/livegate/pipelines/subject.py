"""Who stands in front: the largest face, kept while it stays about where it was.

One face is followed by distance and size alone. A tracker that told faces apart would have to keep
what they look like, and a gate needs to know no more than that nobody has stepped in between.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from livegate.core.results import Box, Face

MAX_STEP = 0.75
"""From frame to frame a face moves less than this part of its own side."""
MAX_GROWTH = 2.5
"""From frame to frame its area changes by less than this factor."""
TAKEOVER = 1.5
"""Somebody else's face must be so much larger to be the one in front."""


class Subject(msgspec.Struct, frozen=True):
    """The person in front: a number, and the face in this frame, None when it is not seen in it.

    `is_new` tells the first frame. `is_late` tells that a younger frame was looked at before this one.
    """

    person: int
    face: Face | None
    is_new: bool = False
    is_late: bool = False


NOBODY = Subject(person=0, face=None)


class SubjectTracker:
    """Follows the person in front. For one thread at a time."""

    def __init__(self, gone_ms: int, *, waits: bool) -> None:
        """Nobody yet; who was out of sight for `gone_ms` is somebody else afterwards.

        With `waits` nobody takes the place of a person who is out of sight for less, unless by being
        nearer: else who is missed in one frame, while somebody stands behind, would come back as another
        person. Without it whoever is seen is in front.
        """
        self._gone_ns = gone_ms * 1_000_000
        self._waits = waits
        self._is_of_another_detector = False
        self._people = 0
        self._box: Box | None = None
        self._seen_ns = 0
        self._latest_ns = 0

    @property
    def person(self) -> int:
        """The number of the person in front; 0 = nobody."""
        return self._people if self._box is not None else 0

    @property
    def unseen_ns(self) -> int:
        """From the last frame that showed the person in front to the latest one."""
        return self._latest_ns - self._seen_ns

    def is_late(self, captured_ns: int) -> bool:
        """Whether a younger frame than this was looked at."""
        return captured_ns < self._latest_ns

    def change_detector(self) -> None:
        """Another one finds the next faces: what it takes for the same person's may lie elsewhere."""
        self._is_of_another_detector = True

    def follow(self, faces: Sequence[Face], captured_ns: int) -> Subject:
        """Who of these stands in front at that moment."""
        if self.is_late(captured_ns):
            return Subject(self.person, self._same(faces), is_late=True)
        self._latest_ns = captured_ns
        if captured_ns - self._seen_ns > self._gone_ns:
            self._box = None
        if not faces:
            return Subject(self.person, None)
        face = self._same(faces)
        largest = faces[0] if len(faces) == 1 else max(faces, key=lambda one: (one.box.area, one.score))
        before = face.box if face else self._box
        is_nearer = before is None or largest.box.area > TAKEOVER * before.area
        if face is None and self._waits and not is_nearer and not self._is_of_another_detector:
            return Subject(self.person, None)
        self._is_of_another_detector = False
        is_new = face is None or is_nearer
        if face is None or is_new:
            face = largest
            self._people += 1
        self._box = face.box
        self._seen_ns = captured_ns
        return Subject(self._people, face, is_new=is_new)

    def _same(self, faces: Sequence[Face]) -> Face | None:
        """The face that is where the person's was."""
        box = self._box
        found = None
        for face in faces:
            is_near = box is not None and _is_near(face.box, box)
            if is_near and (found is None or face.box.area > found.box.area):
                found = face
        return found


def _is_near(one: Box, other: Box) -> bool:
    side = (one.width + one.height + other.width + other.height) / 4
    across = (one.x + one.width / 2) - (other.x + other.width / 2)
    down = (one.y + one.height / 2) - (other.y + other.height / 2)
    if across * across + down * down > (MAX_STEP * side) ** 2:
        return False
    area, before = one.area, other.area
    return area <= MAX_GROWTH * before and before <= MAX_GROWTH * area
