"""When a picture of a live camera was taken, told by how late it comes.

A link that stands still for seconds loses nothing: over TCP the pictures come afterwards, all at once,
and who stood there may be gone. The least time between a picture's own stamp and its arrival is what
the way takes; whatever is more than that is lag.
"""

from __future__ import annotations

DRIFT = 0.03
"""A camera's clock may be slower than ours by this part: what the way takes grows as fast at most.

Cameras that count frames in place of time are that far off. A lag that never goes away is forgotten so.
"""


class Lag:
    """The captures of one connection to a camera, which rise."""

    def __init__(self, most_ns: int) -> None:
        """Nothing came. No link stands still for `most_ns`: beyond that the camera counts anew."""
        self._most_ns = most_ns
        self._way_ns = 0
        self._pts_ns: int | None = None
        self._read_ns = self._captured_ns = 0

    def captured_ns(self, pts_ns: int | None, read_ns: int) -> int:
        """When the picture with this stamp, read then (CLOCK_MONOTONIC), was taken at the latest.

        Without a stamp: when it was read.
        """
        lag_ns = 0
        if pts_ns is not None:
            lag_ns = self._lag_ns(pts_ns, read_ns)
            self._pts_ns = pts_ns
        self._read_ns = read_ns
        self._captured_ns = max(self._captured_ns, read_ns - lag_ns)
        return self._captured_ns

    def _lag_ns(self, pts_ns: int, read_ns: int) -> int:
        took_ns = read_ns - pts_ns
        usual_ns = self._way_ns + int((read_ns - self._read_ns) * DRIFT)
        is_new = self._pts_ns is None or pts_ns < self._pts_ns or took_ns - usual_ns > self._most_ns
        self._way_ns = took_ns if is_new else min(took_ns, usual_ns)
        return took_ns - self._way_ns
