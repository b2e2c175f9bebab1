"""The histogram of stage times.

prometheus_client's own takes two locks for each number, ten for a frame. This one takes one for all
five, and is read as any other when somebody scrapes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class StageSeconds(Collector):
    """Seconds by stage. Safe to call from any thread."""

    def __init__(
        self, name: str, documentation: str, stages: Iterable[str], bounds: Sequence[float]
    ) -> None:
        """All zero; `bounds` are the upper ends of the buckets, without +Inf."""
        self._name = name
        self._documentation = documentation
        self._bounds = tuple(bounds)
        self._counts = {stage: [0] * (len(self._bounds) + 1) for stage in stages}
        self._sums = dict.fromkeys(self._counts, 0.0)
        self._lock = threading.Lock()

    def observe(self, spent_ns: Iterable[tuple[str, int]]) -> None:
        """Count nanoseconds of several stages.

        Raises:
            KeyError: a stage that was not named at first.
        """
        with self._lock:
            for stage, ns in spent_ns:
                seconds = ns / 1e9
                self._counts[stage][bisect_left(self._bounds, seconds)] += 1
                self._sums[stage] += seconds

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=("stage",))
        with self._lock:
            counts = {stage: tuple(found) for stage, found in self._counts.items()}
            sums = dict(self._sums)
        names = [*map(str, self._bounds), "+Inf"]
        for stage, found in counts.items():
            buckets = list(zip(names, accumulate(found), strict=True))
            family.add_metric((stage,), buckets=buckets, sum_value=sums[stage])
        yield family
