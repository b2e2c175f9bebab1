"""The load: what a process of its own is ordered to do to a system, and what it found.

Closed loop: so many clients, each sends when it has its answer. Open loop: requests are due at times
that were drawn before; latency counts from then on, so a server or a generator that is late cannot hide
it (coordinated omission). Queries: so many requests at once, the next when the last has its answer.

Source: MLPerf LoadGen's scenarios; wrk2 on coordinated omission.
"""

from __future__ import annotations

import queue
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from livegate.core.errors import LiveGateError
from livegate_bench.generator.schedule import constant, poisson
from livegate_bench.system import Ask, AsyncAsk, Refused, System

MOST_REQUESTS = 1_000_000
"""Of one round: a system that answers at once would fill the memory with times."""
FAILURES = (LiveGateError, Refused, OSError, ValueError)
"""Of a request; anything else is a defect of the bench, and ends it."""
PAUSE_S = 0.01
"""After a failure: a server that is gone must not be hammered."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one order brought."""

    seconds: float
    requests: int
    """Answered as asked."""
    latencies_s: Any
    """(N,) float64, of what was answered."""
    errors: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Sums, not means."""
    cpu_s: float = 0.0
    gave_up: bool = False
    """The rest of an open loop's requests was not sent: the system was hopelessly behind."""
    failures_s: dict[str, Any] = field(default_factory=dict)
    """By name of the error, (N,) float64: how long each took, counted as latencies are."""
    lates_s: Any = field(default_factory=lambda: np.empty(0))
    """(N,) float64, of an open loop: from when a request was due to when a client began to send it."""
    led_in: int = 0
    """Answered before the measured time began; what the work costs is shared by these, too."""
    lead_in_s: float = 0.0
    """That time, which `seconds` does not have."""

    @property
    def answered(self) -> int:
        """All that the processor time was spent on."""
        return self.requests + self.led_in


class Order(Protocol):
    """Something to do to a system."""

    @property
    def seconds(self) -> float:
        """How long it is meant to take."""

    def run(self, system: System) -> Taken:
        """Do it."""


class Tally:
    """What one thread found."""

    def __init__(self, *, pause_s: float = PAUSE_S) -> None:
        """Nothing yet. `pause_s`: after a failure."""
        self.latencies_s = array("d")
        self.lates_s = array("d")
        self.failures_s: dict[str, array[float]] = {}
        self.errors: Counter[str] = Counter()
        self.stages_ms: Counter[str] = Counter()
        self._pause_s = pause_s

    def ask(self, ask: Ask, since_s: float) -> None:
        """One request; its latency counts from `since_s`."""
        try:
            stages = ask()
        except FAILURES as error:
            self._failed(error, since_s)
            time.sleep(self._pause_s)
            return
        self.latencies_s.append(time.perf_counter() - since_s)
        if stages:
            self.stages_ms.update(stages)

    async def ask_async(self, ask: AsyncAsk, since_s: float) -> None:
        """The same in an event loop."""
        try:
            await ask()
        except FAILURES as error:
            self._failed(error, since_s)
            return
        self.latencies_s.append(time.perf_counter() - since_s)

    def _failed(self, error: Exception, since_s: float) -> None:
        name, took_s = name_of(error), time.perf_counter() - since_s
        self.errors[name] += 1
        self.failures_s.setdefault(name, array("d")).append(took_s)


def name_of(error: Exception) -> str:
    """How a row's `errors` call it: by its code, else by its kind."""
    if isinstance(error, LiveGateError):
        return str(int(error.code))
    return error.code if isinstance(error, Refused) else type(error).__name__


def taken_from(
    tallies: Sequence[Tally], seconds: float, *, requests: int | None = None, gave_up: bool = False
) -> Taken:
    """All threads together; `requests` where a latency is of more than one."""
    latencies = joined(tally.latencies_s for tally in tallies)
    names = sorted({name for tally in tallies for name in tally.failures_s})
    return Taken(
        seconds=seconds,
        requests=len(latencies) if requests is None else requests,
        latencies_s=latencies,
        errors=dict(sum((tally.errors for tally in tallies), Counter[str]())),
        stages_ms=dict(sum((tally.stages_ms for tally in tallies), Counter[str]())),
        gave_up=gave_up,
        failures_s={name: joined(tally.failures_s.get(name, ()) for tally in tallies) for name in names},
        lates_s=joined(tally.lates_s for tally in tallies),
    )


def joined(times_s: Iterable[Any]) -> Any:
    """Those of all, one after the other; (N,) float64."""
    return np.concatenate([np.empty(0), *(np.array(own, np.float64) for own in times_s)])


@dataclass(frozen=True, slots=True)
class Closed:
    """So many clients for so long, or until each has sent `most` requests."""

    clients: int
    seconds: float
    most: int = MOST_REQUESTS

    def run(self, system: System) -> Taken:
        """In threads of this process."""
        tallies = [Tally() for _ in range(self.clients)]
        callers = system.callers(self.clients)
        started_s = time.perf_counter()
        until_s = started_s + self.seconds
        most = max(1, self.most // self.clients)
        run_threads(
            [
                lambda ask=ask, tally=tally: _loop(ask, tally, until_s, most)  # type: ignore[misc]
                for ask, tally in zip(callers, tallies, strict=True)
            ]
        )
        return taken_from(tallies, time.perf_counter() - started_s)


def _loop(ask: Ask, tally: Tally, until_s: float, most: int) -> None:
    for _ in range(most):
        now_s = time.perf_counter()
        if now_s >= until_s:
            return
        tally.ask(ask, now_s)


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries of so many samples at once; a latency is that of the whole query."""

    samples: int
    seconds: float

    def run(self, system: System) -> Taken:
        """Each sample has a client of its own."""
        callers = system.callers(self.samples)
        parts = [Tally() for _ in callers]
        queries_s = array("d")
        started_s = now_s = time.perf_counter()
        with ThreadPoolExecutor(self.samples) as threads:
            while now_s - started_s < self.seconds and len(queries_s) * self.samples < MOST_REQUESTS:
                failed = sum(tally.errors.total() for tally in parts)
                asked = [
                    threads.submit(tally.ask, ask, now_s)
                    for tally, ask in zip(parts, callers, strict=True)
                ]
                for one in asked:
                    one.result()
                before_s, now_s = now_s, time.perf_counter()
                if sum(tally.errors.total() for tally in parts) == failed:
                    queries_s.append(now_s - before_s)
        answered = sum(len(tally.latencies_s) for tally in parts)
        for tally in parts:
            tally.latencies_s = array("d")
        parts[0].latencies_s = queries_s
        return taken_from(parts, now_s - started_s, requests=answered)


@dataclass(frozen=True, slots=True)
class Open:
    """Requests that are due at times of their own, whatever becomes of those before."""

    rate_per_s: float
    seconds: float
    seed: int
    arrivals: Literal["constant", "poisson"] = "poisson"
    most_at_once: int = 64
    give_up_s: float = 5.0
    """A request that waited for a client for so long ends the round."""

    def due_s(self) -> Any:
        """When, in seconds from the start."""
        if self.arrivals == "constant":
            return constant(self.rate_per_s, self.seconds)
        return poisson(self.rate_per_s, self.seconds, self.seed)

    def run(self, system: System) -> Taken:
        """One thread waits for what is due, others send it; who is due first goes first."""
        due: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        callers = system.callers(min(self.most_at_once, system.most_callers))
        tallies = [Tally(pause_s=0.0) for _ in callers]  # its pace is its own, whatever fails
        hopeless = threading.Event()
        started_s = time.perf_counter()

        def send(ask: Ask, tally: Tally) -> None:
            while (due_s := due.get()) is not None:
                late_s = time.perf_counter() - due_s
                if late_s > self.give_up_s:
                    hopeless.set()
                if not hopeless.is_set():
                    tally.lates_s.append(late_s)
                    tally.ask(ask, due_s)

        def tell() -> None:
            for offset_s in self.due_s():
                due_s = started_s + float(offset_s)
                if hopeless.wait(max(0.0, due_s - time.perf_counter())):
                    break
                due.put(due_s)
            for _ in tallies:
                due.put(None)

        senders = [
            lambda ask=ask, tally=tally: send(ask, tally)
            for ask, tally in zip(callers, tallies, strict=True)
        ]
        run_threads([tell, *senders])
        took_s = max(self.seconds if not hopeless.is_set() else 0.0, time.perf_counter() - started_s)
        return taken_from(tallies, took_s, gave_up=hopeless.is_set())


def run_threads(works: Sequence[Callable[[], None]]) -> None:
    """All at once, to their ends; the first failure is raised."""
    with ThreadPoolExecutor(len(works)) as threads:
        for done in [threads.submit(work) for work in works]:
            done.result()
