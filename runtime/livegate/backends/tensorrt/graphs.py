"""CUDA graphs: the work of one shape, recorded once and launched as a whole from then on.

A graph holds the addresses and the shape that it was recorded with, and it is undefined once its
context is used for another shape. So a context whose graph is kept sees one shape only: the lane's own
where the network has but one, else one more for each of the shapes that come again and again. Before a
capture the shape has run once, because the first run after a change of shape does what is not to be
recorded.

Networks with loops or conditions cannot be captured; they fail, and their engine runs plainly.

Source: TensorRT developer guide, best practices, CUDA Graphs; NVIDIA's trtexec (thread-local capture,
and what is done after a failed one).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from livegate.core.results import GraphRuns
from livegate.core.telemetry import get_logger
from livegate.devices.device import CudaError, Device, Graph

Shape = tuple[int, ...]
Outputs = Mapping[str, Shape]
MAX_GRAPHS = 4
"""For each lane; each holds a context with its own working memory."""
STALE_RUNS = 256
"""Runs of a lane after which a graph that nobody used may give its place to another shape."""
MAX_SEEN = 64
"""Shapes that a lane remembers as seen; the one that came first is forgotten first."""
log = get_logger("livegate.tensorrt")


class GraphLedger:
    """Of one engine, for all its lanes: whether shapes are recorded, and how runs were launched."""

    def __init__(self, network: str, why_plain: str) -> None:
        """`why_plain`: why nothing is to be recorded from the start; empty where it is."""
        self._network = network
        self._lock = threading.Lock()
        self._why_plain = why_plain
        self._graphs = self._recorded = self._plain = 0

    @property
    def is_open(self) -> bool:
        """Whether shapes are recorded."""
        return not self._why_plain

    def refuse(self, why: str) -> None:
        """Record no more; told once."""
        with self._lock:
            is_first, self._why_plain = not self._why_plain, self._why_plain or why
        if is_first:
            log.warning("CUDA graphs are not used", network=self._network, why=why)

    def count(self, *, recorded: bool) -> None:
        """One run."""
        with self._lock:
            self._recorded += recorded
            self._plain += not recorded

    def keep(self, change: int) -> None:
        """So many graphs more, or fewer."""
        with self._lock:
            self._graphs += change

    def read(self) -> GraphRuns:
        """Until now."""
        with self._lock:
            return GraphRuns(self._graphs, self._recorded, self._plain, self._why_plain)


@dataclass(slots=True)
class Recording:
    """What a lane keeps for one shape; the graph is of no use without its context."""

    context: Any
    outputs: Outputs
    graph: Graph
    last_run: int


class Recorder:
    """The recordings of one lane; for one run at a time, as the lane itself."""

    def __init__(self, ledger: GraphLedger) -> None:
        """Nothing is recorded."""
        self._ledger = ledger
        self._kept: dict[Shape, Recording] = {}
        self._seen: dict[Shape, None] = {}
        self._runs = 0

    def find(self, shape: Shape) -> Recording | None:
        """The recording of a shape; None where it runs plainly, in the context of all the others."""
        self._runs += 1
        if not self._ledger.is_open:
            self.close()
        kept = self._kept.get(shape)
        if kept is not None:
            kept.last_run = self._runs
        return kept

    def wants(self, shape: Shape, *, only_shape: bool) -> bool:
        """Whether a shape is recorded now: it came before, or is the only one, and has a place."""
        if not self._ledger.is_open:
            return False
        if not only_shape and shape not in self._seen:
            if len(self._seen) == MAX_SEEN:
                del self._seen[next(iter(self._seen))]
            self._seen[shape] = None
            return False
        return len(self._kept) < MAX_GRAPHS or self._drop_stale()

    def record(self, shape: Shape, context: Any, outputs: Outputs, capture: Callable[[], Graph]) -> None:
        """Record what has just run once; where that fails, the whole engine runs plainly from now on."""
        try:
            graph = capture()
        except (CudaError, NotCapturedError) as error:
            self._ledger.refuse(f"they were not recorded: {error}")
            return
        self._kept[shape] = Recording(context, outputs, graph, self._runs)
        self._ledger.keep(+1)

    def close(self) -> None:
        """Give the graphs back, and their contexts with them."""
        kept, self._kept = self._kept, {}
        for recording in kept.values():
            self._drop(recording)

    def _drop_stale(self) -> bool:
        shape = min(self._kept, key=lambda shape: self._kept[shape].last_run)
        if self._runs - self._kept[shape].last_run < STALE_RUNS:
            return False
        self._drop(self._kept.pop(shape))
        return True

    def _drop(self, recording: Recording) -> None:
        self._ledger.keep(-1)
        with contextlib.suppress(CudaError):  # a device that failed; nobody launches it any more
            recording.graph.close()


class NotCapturedError(Exception):
    """TensorRT did not enqueue while its work was recorded."""


def why_plain(device: Device, provider: str, *, is_dla: bool, is_wanted: bool) -> str:
    """Why an engine's runs are not recorded; empty where they are."""
    if not is_wanted:
        return "engine.cuda_graphs is off"
    if is_dla:
        return f"work of {provider} is not recorded"
    return device.graphs_problem
