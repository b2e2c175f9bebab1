"""Load from a process of its own, in rounds that can be taken in turns."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from typing import Any

from livegate_bench.measure.meter import cpu_seconds


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of one system."""

    requests: int
    seconds: float
    core_ms: float
    latencies_s: list[float]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Loop:
    """A process that works for as long as it is ordered to, and reports."""

    def __init__(self, target: Any, *arguments: Any) -> None:
        """Start it and wait until it is warm."""
        context = multiprocessing.get_context("spawn")
        self._orders, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        self._orders.recv()

    def round(self, seconds: float, *others: int) -> Round:
        """Work; core-milliseconds are of this process and the others."""
        pids = [int(self._process.pid or 0), *others]
        before_s = sum(map(cpu_seconds, pids))
        self._orders.send(seconds)
        requests, took_s, latencies = self._orders.recv()
        spent_ms = (sum(map(cpu_seconds, pids)) - before_s) * 1e3
        return Round(requests, took_s, spent_ms / requests, latencies)

    def end(self) -> None:
        """Let it go."""
        self._orders.send(None)
        self._process.join(10)
