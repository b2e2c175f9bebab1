"""Playing a file as a camera would give it: each picture at its time.

Time stamps of files lie: they jump, run backwards, or are not there. A picture whose stamp makes no
sense is due one picture's time after the last, and a player that was held up does not rush to catch up.
"""

from __future__ import annotations

from collections.abc import Callable

MAX_STEP_MS = 5_000
MAX_LATE_S = 1.0
DEFAULT_FPS, MIN_FPS, MAX_FPS = 25.0, 1.0, 240.0


class Pace:
    """When the next picture of a file is due; keeps counting over the file's end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is monotonic seconds."""
        self._clock = clock
        self._step_ms = round(1000 / DEFAULT_FPS)
        self._last_pts_ms: int | None = None
        self._played_ms = -1
        self._start_s = 0.0

    @property
    def played_ms(self) -> int:
        """When the last picture was due, counted from the first one; -1 before it."""
        return self._played_ms

    def begin(self, frames_per_s: float | None) -> None:
        """The next picture is the file's first one (again)."""
        fps = min(max(frames_per_s or DEFAULT_FPS, MIN_FPS), MAX_FPS)
        self._step_ms = round(1000 / fps)
        self._last_pts_ms = None

    def wait_s(self, pts_ms: int | None) -> float:
        """How long from now on the next picture, with this stamp, has to wait."""
        is_first = self._played_ms < 0
        self._played_ms += 1 if is_first else self._step(pts_ms)
        self._last_pts_ms = pts_ms
        now_s = self._clock()
        due_s = self._start_s + self._played_ms / 1e3
        if is_first or now_s - due_s > MAX_LATE_S:
            self._start_s = now_s - self._played_ms / 1e3
            return 0.0
        return max(0.0, due_s - now_s)

    def _step(self, pts_ms: int | None) -> int:
        if pts_ms is None or self._last_pts_ms is None:
            return self._step_ms
        step_ms = pts_ms - self._last_pts_ms
        return step_ms if 0 < step_ms <= MAX_STEP_MS else self._step_ms
