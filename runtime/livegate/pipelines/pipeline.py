"""Tasks in order over frames: prepare -> run -> interpret, each task after those it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from livegate.core.errors import ErrorCode, RequestError
from livegate.core.frame import Frame
from livegate.core.results import EngineInfo, GraphRuns, Verdict
from livegate.core.telemetry import StageClock
from livegate.engines.base import Array, Feeds
from livegate.engines.model import Model
from livegate.pipelines.task import Task
from livegate.preprocess.scratch import Scratch

Outputs = Mapping[str, Array]
Twin = tuple[str, str, str, str, tuple[str, ...]]
"""sha256 of a file, backend, provider, precision, the outputs that are read."""


@dataclass(frozen=True, slots=True)
class Step:
    """A task with the model that it runs on."""

    task: Task
    model: Model


class Pipeline:
    """Every task of the box, and the order in which they can run."""

    def __init__(self, steps: Iterable[Step], left_out: Mapping[str, str] | None = None) -> None:
        """Order the steps so that each comes after those it needs.

        `left_out`: tasks that this box cannot run, by name, with the reason.
        """
        self._steps = _in_order({step.task.name: step for step in steps})
        self._by_name = {step.task.name: step for step in self._steps}
        numbered = ((step.task.algo_task, step) for step in self._steps)
        self._by_number = {number: step for number, step in numbered if number is not None}
        self._left_out = dict(left_out or {})
        self._twins = _twins(self._steps)

    @property
    def algo_tasks(self) -> tuple[int, ...]:
        """The numbers that may be asked for."""
        return tuple(sorted(self._by_number))

    @property
    def engines(self) -> tuple[EngineInfo, ...]:
        """What runs, for all tasks."""
        return tuple(info for step in self._steps for info in step.model.infos)

    @property
    def graph_runs(self) -> dict[tuple[str, str], GraphRuns]:
        """How runs were launched, by model and network, where a device can record them."""
        steps = self._steps
        return {(s.model.manifest.id, name): r for s in steps for name, r in s.model.graph_runs.items()}

    def has_tasks(self, names: Iterable[str]) -> bool:
        """Whether this box runs all of these tasks."""
        return set(names) <= set(self._by_name)

    def plan(self, algo_tasks: Sequence[int]) -> tuple[Step, ...]:
        """The steps that answer these numbers, needed ones included, each once.

        Raises:
            RequestError: PARAM_FAILURE for an empty list or an unknown number.
        """
        known = ", ".join(map(str, self.algo_tasks))
        if not algo_tasks:
            raise RequestError(
                ErrorCode.PARAM_FAILURE, "no algo task was asked for", hint=f"known: {known}"
            )
        for number in algo_tasks:
            if number not in self._by_number:
                raise RequestError(
                    ErrorCode.PARAM_FAILURE,
                    f"there is no algo task {number}",
                    hint=f"known: {known}",
                )
        return self.plan_tasks(self._by_number[number].task.name for number in algo_tasks)

    def plan_tasks(self, names: Iterable[str]) -> tuple[Step, ...]:
        """The steps of these tasks, by name, needed ones included, each once.

        Raises:
            RequestError: PARAM_FAILURE with the reason for a task that this box cannot run.
        """
        wanted = set(names)
        for name in sorted(wanted - set(self._by_name)):
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"this box does not run {name}: {self._left_out.get(name, 'there is no such task')}",
                hint="`livegate doctor` shows which model files are missing",
                fields={"missing_task": name},
            )
        for step in reversed(self._steps):
            if step.task.name in wanted:
                wanted.update(step.task.needs)
        return tuple(step for step in self._steps if step.task.name in wanted)

    def run(
        self,
        frame: Frame,
        steps: Sequence[Step],
        clock: StageClock,
        scratch: Scratch,
        known: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The finding of every step on one frame, by the task's name; `known` ones are kept."""
        found: dict[str, Any] = dict(known or {})
        kept: dict[Twin, tuple[Feeds, Outputs]] = {}
        for step in steps:
            calls = step.task.prepare(frame, found, scratch)
            clock.lap("preprocess")
            outputs = [self._run(step, name, feeds, kept) for name, feeds in calls]
            clock.lap("infer")
            found[step.task.name] = step.task.interpret(frame, found, outputs)
            clock.lap("postprocess")
        return found

    def _run(
        self, step: Step, network: str, feeds: Feeds, kept: dict[Twin, tuple[Feeds, Outputs]]
    ) -> Outputs:
        """Run a network, unless another task has just run the same file on the same input."""
        twin = self._twins.get((step.task.name, network))
        if twin is None:
            return step.model.engines[network].run(feeds)
        if twin in kept:
            before, outputs = kept[twin]
            if all(np.array_equal(before[name], value) for name, value in feeds.items()):
                return outputs
        # A copy, because the next task may cut its input into the same buffer.
        own = {name: value.copy() for name, value in feeds.items()}
        kept[twin] = own, step.model.engines[network].run(feeds)
        return kept[twin][1]

    def judge(
        self, algo_tasks: Sequence[int], findings: Sequence[Mapping[str, Any]]
    ) -> tuple[Verdict, ...]:
        """One verdict for each number asked for, in that order, each number once."""
        tasks = [self._by_number[number].task for number in dict.fromkeys(algo_tasks)]
        return tuple(task.fuse([found[task.name] for found in findings]) for task in tasks)

    def close(self) -> None:
        """Close every engine."""
        for step in self._steps:
            step.model.close()


def _twins(steps: Sequence[Step]) -> dict[tuple[str, str], Twin]:
    """By task and network, those whose file runs for another task, too, in the same manner."""
    every = {
        (step.task.name, info.network): (
            *(info.sha256, info.backend, info.provider, info.precision),
            _outputs_of(step, info.network),
        )
        for step in steps
        for info in step.model.infos
    }
    counts = Counter(every.values())
    return {place: twin for place, twin in every.items() if counts[twin] > 1}


def _outputs_of(step: Step, network: str) -> tuple[str, ...]:
    """What is read of a file's outputs: a run that left some out does for nobody who reads them."""
    networks = step.model.manifest.networks
    return tuple(sorted(out.name for one in networks if one.name == network for out in one.outputs))


def _in_order(steps: Mapping[str, Step]) -> tuple[Step, ...]:
    ordered: dict[str, Step] = {}

    def place(name: str) -> None:
        if name not in ordered:
            for need in steps[name].task.needs:
                place(need)
            ordered[name] = steps[name]

    for name in steps:
        place(name)
    return tuple(ordered.values())
