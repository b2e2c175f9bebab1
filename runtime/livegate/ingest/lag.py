"""When a picture of a live camera was taken, told by how late it comes.

A link that stands still for seconds loses nothing: over TCP the pictures come afterwards, all at once,
and who stood there may be gone. The least time between a picture's own stamp and its arrival is what
the way takes; whatever is more than that is lag.

Many a camera begins a connection with what it has kept since its last key frame, seconds of it, and
libav hands over at once what it read to open the stream. Such pictures come faster than they were
taken. Until they come as they are taken each is as old as can be: nobody can tell.
"""

from __future__ import annotations

DRIFT = 0.03
"""A camera's clock may be slower than ours by this part: what the way takes grows as fast at most.

Cameras that count frames in place of time are that far off. A lag that never goes away is forgotten so.
"""

EVEN_NS = 1_000_000_000
"""So long, by stamps and by arrival, they come as they are taken: give or take the next two."""
HASTE_NS = 50_000_000
DELAY_NS = 150_000_000
"""Radio links give some pictures at a time."""
MOST_KEPT_NS = 10_000_000_000
"""No camera keeps so much; one that still looks like it has a clock that is fast."""


class Lag:
    """The captures of one connection to a camera, which rise."""

    def __init__(self, most_ns: int) -> None:
        """Nothing came. No link stands still for `most_ns`: beyond that the camera counts anew.

        It is also the age of a picture whose age cannot be told.
        """
        self._most_ns = most_ns
        self._begun_ns: int | None = None
        self._is_even = False
        self._from = 0, 0
        """Stamp and arrival of the picture since which they come as they are taken."""
        self._way_ns = 0
        self._pts_ns: int | None = None
        self._read_ns = self._captured_ns = 0

    def captured_ns(self, pts_ns: int | None, read_ns: int) -> int:
        """When the picture with this stamp, read then (CLOCK_MONOTONIC), was taken at the latest.

        Without a stamp: when it was read. One whose age cannot be told yet: `most_ns` before.
        """
        lag_ns = 0
        if pts_ns is not None:
            lag_ns = self._lag_ns(pts_ns, read_ns)
            self._pts_ns = pts_ns
            self._is_even = self._is_even or self._has_become_even(pts_ns, read_ns)
            if not self._is_even:
                lag_ns = max(lag_ns, self._most_ns)
        self._read_ns = read_ns
        self._captured_ns = max(self._captured_ns, read_ns - lag_ns)
        return self._captured_ns

    def _lag_ns(self, pts_ns: int, read_ns: int) -> int:
        took_ns = read_ns - pts_ns
        usual_ns = self._way_ns + int((read_ns - self._read_ns) * DRIFT)
        is_new = self._pts_ns is None or pts_ns < self._pts_ns or took_ns - usual_ns > self._most_ns
        self._way_ns = took_ns if is_new else min(took_ns, usual_ns)
        return took_ns - self._way_ns

    def _has_become_even(self, pts_ns: int, read_ns: int) -> bool:
        """Whether pictures come as they are taken by now."""
        passed_pts_ns, passed_ns = pts_ns - self._from[0], read_ns - self._from[1]
        if self._begun_ns is None:
            self._begun_ns = read_ns
        elif read_ns - self._begun_ns >= MOST_KEPT_NS:
            return True
        elif passed_pts_ns >= 0 and -HASTE_NS <= passed_ns - passed_pts_ns <= DELAY_NS:
            return min(passed_pts_ns, passed_ns) >= EVEN_NS
        self._from = pts_ns, read_ns
        return False
