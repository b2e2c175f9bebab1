"""What an algorithm must be. One file in livegate/tasks with a class `Plugin` that fulfils `Task`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from livegate.core.frame import Frame
from livegate.core.results import Verdict
from livegate.engines.base import Array, Feeds
from livegate.preprocess.scratch import Scratch


class Task(Protocol):
    """One pure algorithm. `found` holds the findings of the tasks it needs, by their names."""

    name: str
    algo_task: int | None
    """The number that it is asked for by; None for one that only others need."""
    needs: tuple[str, ...]
    warm_dims: Mapping[str, int]
    is_optional: bool
    """Whether a box without its model's files serves the other tasks; see app/build.py."""

    def prepare(
        self, frame: Frame, found: Mapping[str, Any], scratch: Scratch
    ) -> tuple[tuple[str, Feeds], ...]:
        """What to run: names of networks with their inputs; may be empty."""
        ...

    def interpret(
        self, frame: Frame, found: Mapping[str, Any], outputs: Sequence[Mapping[str, Array]]
    ) -> Any:
        """The finding, from the outputs in the order of `prepare`."""
        ...

    def fuse(self, findings: Sequence[Any]) -> Verdict:
        """One verdict from the findings of all pictures of a request; never called without a number."""
        ...
