"""When a picture of a live camera was taken, told by how late it comes.

A link that stands still for seconds loses nothing: over TCP the pictures come afterwards, all at once,
and who stood there may be gone. The least time between a picture's own stamp and its arrival is what
the way takes; whatever is more than that is lag.

Many a camera begins a connection with what it has kept since its last key frame, seconds of it, and
libav hands over at once what it read to open the stream. Such pictures come faster than they were
taken. Until they come as they are taken nobody can tell how old one is, and it counts as too old.
"""

from __future__ import annotations

DRIFT = 0.03
"""A camera's clock may be slower than ours by this part: what the way takes grows as fast at most.

Cameras that count frames in place of time are that far off. A lag that never goes away is forgotten so.
"""

UNTOLD_NS = 3_600_000_000_000
"""The age of a picture whose age cannot be told."""
EVEN_NS = 1_000_000_000
"""So long, by stamps and by arrival, they come as they are taken: give or take the next two."""
HASTE_NS = 50_000_000
DELAY_NS = 150_000_000
"""Radio links give some pictures at a time."""
MOST_KEPT_NS = 10_000_000_000
"""No camera keeps so much; who has given more than was kept has a clock that is fast."""
JUMP_NS = 1_000_000_000
"""Who comes so much sooner than anybody before has begun to count anew, or is of another camera."""


class Lag:
    """The captures of one connection to a camera, which rise."""

    def __init__(self, most_ns: int) -> None:
        """Nothing came. No link stands still for `most_ns`: beyond that the camera counts anew."""
        self._most_ns = most_ns
        self._begun_ns: int | None = None
        self._is_told = False
        self._first = self._from = 0, 0
        """Stamp and arrival: of the first one whose age is not told; since when they come evenly."""
        self._way_ns = 0
        self._pts_ns: int | None = None
        self._read_ns, self._captured_ns = 0, 1
        """A capture at 0 would be one of now."""

    def captured_ns(self, pts_ns: int | None, read_ns: int) -> int:
        """When the picture with this stamp, read then (CLOCK_MONOTONIC), was taken at the latest.

        At least 1. Without any stamp: when it was read. While its age cannot be told: an hour before,
        or when the last one was taken of which it could.
        """
        if self._begun_ns is None:
            self._begun_ns = read_ns
        lag_ns = 0
        if pts_ns is not None:
            lag_ns = self._lag_ns(pts_ns, read_ns)
            self._pts_ns = pts_ns
            self._is_told = self._is_told or self._has_become_even(pts_ns, read_ns)
        is_told = self._is_told if self._pts_ns is not None else read_ns - self._begun_ns >= EVEN_NS
        if not is_told:
            lag_ns = UNTOLD_NS
        self._read_ns = read_ns
        self._captured_ns = max(self._captured_ns, read_ns - lag_ns)
        return self._captured_ns

    def _lag_ns(self, pts_ns: int, read_ns: int) -> int:
        took_ns = read_ns - pts_ns
        usual_ns = self._way_ns + round(DRIFT * (read_ns - self._read_ns))
        is_back = self._pts_ns is None or pts_ns < self._pts_ns
        if is_back or not -JUMP_NS <= took_ns - usual_ns <= self._most_ns:
            self._way_ns, self._is_told = took_ns, False
            self._first = self._from = pts_ns, read_ns
        else:
            self._way_ns = min(took_ns, usual_ns)
        return took_ns - self._way_ns

    def _has_become_even(self, pts_ns: int, read_ns: int) -> bool:
        """Whether pictures come as they are taken by now."""
        passed_pts_ns, passed_ns = pts_ns - self._from[0], read_ns - self._from[1]
        if (pts_ns - self._first[0]) - (read_ns - self._first[1]) >= MOST_KEPT_NS:
            return True
        if -HASTE_NS <= passed_ns - passed_pts_ns <= DELAY_NS:
            return min(passed_pts_ns, passed_ns) >= EVEN_NS
        self._from = pts_ns, read_ns
        return False
