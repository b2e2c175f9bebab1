"""Building as a state that can be looked at: phase, part done, time left.

A builder tells of phases inside phases, from threads of its own. Here they become one number, and one
forecast: from the part that is done, or from what the last build of the same network took.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

MIN_PART = 0.02
"""Below this part the time that was spent says nothing about the time that is left."""


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How one build gets on."""

    model: str
    network: str
    phase: str
    part: float
    """0..1 of the work, as far as the builder tells."""
    elapsed_s: float
    left_s: float | None
    """None when there is nothing to forecast it from."""


@dataclass(slots=True)
class _Phase:
    parent: str
    steps: int
    done: int = 0


class Watch:
    """Hears of one build (BuildWatch), and reports it as BuildProgress."""

    def __init__(
        self,
        model: str,
        network: str,
        report: Callable[[BuildProgress], None],
        *,
        forecast_s: float | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin now; `forecast_s` is what a build like this one took."""
        self._model, self._network, self._report = model, network, report
        self._forecast_s, self._now_s, self._begun_s = forecast_s, now_s, now_s()
        self._phases: dict[str, _Phase] = {}
        self._part = 0.0
        self._is_cancelled = False
        self._lock = threading.RLock()

    def cancel(self) -> None:
        """Have the builder told to give up at its next step."""
        self._is_cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to be given up."""
        return self._is_cancelled

    def phase_start(self, name: str, parent: str, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            self._phases[name] = _Phase(parent or "", max(1, steps))
            self._tell(name)

    def step_complete(self, name: str, step: int) -> bool:
        """A step is done; False gives the build up."""
        with self._lock:
            if phase := self._phases.get(name):
                phase.done = max(phase.done, min(step + 1, phase.steps))
                self._tell(name)
        return not self._is_cancelled

    def phase_finish(self, name: str) -> None:
        """A phase has ended; its parent's step is told for itself."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent not in self._phases:
                self._part = 1.0
            self._tell(name)

    def _tell(self, name: str) -> None:
        # Never back: a phase that ends early, or one more beside it, must not take time back.
        self._part = max(self._part, self._part_done())
        elapsed_s = self._now_s() - self._begun_s
        progress = BuildProgress(
            self._model, self._network, name, self._part, elapsed_s, self._left_s(elapsed_s)
        )
        self._report(progress)

    def _part_done(self) -> float:
        roots = [name for name, phase in self._phases.items() if phase.parent not in self._phases]
        return min((self._part_of(name) for name in roots), default=0.0)

    def _part_of(self, name: str) -> float:
        phase = self._phases[name]
        inside = [self._part_of(n) for n, p in self._phases.items() if p.parent == name and n != name]
        return min(1.0, (phase.done + (sum(inside) / len(inside) if inside else 0.0)) / phase.steps)

    def _left_s(self, elapsed_s: float) -> float | None:
        if self._part >= MIN_PART:
            return elapsed_s * (1 - self._part) / self._part
        return None if self._forecast_s is None else max(0.0, self._forecast_s - elapsed_s)


class BuildBoard:
    """What is being built now, for whoever asks: /readyz, the metrics, a refused request."""

    def __init__(self) -> None:
        """Nothing is."""
        self._current: BuildProgress | None = None

    @property
    def current(self) -> BuildProgress | None:
        """The build under way."""
        return self._current

    def show(self, progress: BuildProgress) -> None:
        """Note how it gets on."""
        self._current = progress

    def clear(self) -> None:
        """Nothing is being built any more."""
        self._current = None
