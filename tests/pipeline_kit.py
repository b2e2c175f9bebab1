"""Pipelines of models whose every output tells whose it is, so that a mix of two would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegate.core.errors import EngineError
from livegate.core.frame import Frame
from livegate.core.results import Box, Decision, EngineInfo, Face, Verdict
from livegate.engines.model import Model
from livegate.pipelines.pipeline import Pipeline, Step
from support import tiny_manifest

FACES, SILENT = "face_detection", "silent_liveness"
BOX = Box(20, 20, 40, 40)


class MarkedEngine:
    """Answers its mark; refuses to run once it is closed, and counts how often that was."""

    provider = "fake"

    def __init__(self, mark: float) -> None:
        self.closes = 0
        self._mark = mark

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        if self.closes:
            raise EngineError("a closed engine was run")
        return {"mark": np.array([self._mark])}

    def close(self) -> None:
        self.closes += 1


class MarkedTask:
    """Finds one face with its mark as the score; whatever it is shown must have the same mark."""

    def __init__(self, name: str, algo_task: int, needs: tuple[str, ...], mark: float) -> None:
        self.name, self.algo_task, self.needs = name, algo_task, needs
        self._mark = mark

    def _expect(self, mark: float) -> None:
        assert mark == self._mark, f"{self.name} of {self._mark} was shown what {mark} found"

    def prepare(self, frame: Frame, found: Mapping[str, Any], scratch: Any) -> Any:
        for face in found.get(FACES, ()):
            self._expect(face.score)
        return (("net", {}),)

    def interpret(self, frame: Frame, found: Mapping[str, Any], outputs: Sequence[Any]) -> Any:
        mark = float(outputs[0]["mark"][0])
        self._expect(mark)
        return (Face(BOX, (), mark),) if self.name == FACES else mark

    def fuse(self, findings: Sequence[Any]) -> Verdict:
        marks = [found[0].score if self.name == FACES else found for found in findings]
        for mark in marks:
            self._expect(mark)
        decision = Decision.GENUINE if marks[0] >= 0.5 else Decision.SPOOF
        return Verdict(self.algo_task, self.name, decision, marks[0], (), tuple(marks), (), 0.5)


class MarkedPipeline(Pipeline):
    """Both tasks for pictures, and the engines of both."""

    def __init__(self, mark: float) -> None:
        """`mark`, 0..1, is what it answers everywhere."""
        self.marked = {name: MarkedEngine(mark) for name in (FACES, SILENT)}
        tasks = (MarkedTask(FACES, 9001, (), mark), MarkedTask(SILENT, 1031, (FACES,), mark))
        super().__init__(Step(task, self._model(task.name, mark)) for task in tasks)  # type: ignore[arg-type]

    @property
    def closes(self) -> list[int]:
        """How often each engine was closed."""
        return [engine.closes for engine in self.marked.values()]

    def _model(self, name: str, mark: float) -> Model:
        info = EngineInfo(f"{name}_{mark:g}", "net", "0" * 64, "fake 1", "any", "fake", "fp32")
        return Model(tiny_manifest(), {"net": self.marked[name]}, (info,))
