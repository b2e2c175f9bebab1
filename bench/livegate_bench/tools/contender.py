"""A configuration that runs in this process beside others: timed in turns, held to findings."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2

from livegate.app.build import build_pipeline, build_store, worker_count
from livegate.core.config import Config
from livegate.core.errors import LiveGateError
from livegate.core.frame import Frame
from livegate.core.results import Box, Face
from livegate.core.settings import load
from livegate.core.telemetry import StageClock
from livegate.ingest.image import frame_from_bytes
from livegate.preprocess.scratch import Scratch

SILENT, FACES = "silent_liveness", "face_detection"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a picture told: the faces by falling size, and the silent score."""

    faces: tuple[Face, ...]
    score: float


class Contender:
    """A pipeline of its own. `end` gives it back."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Build it: every engine has passed the golden gate.

        Raises:
            LiveGateError: a backend, a provider or a model is not here, or an engine strays.
        """
        cv2.setNumThreads(1)
        self.settings = dict(settings)
        self._config: Config = load(flags=self.settings, environ={}).config
        self.threads = worker_count(self._config)
        self._pipeline = build_pipeline(self._config, build_store(self._config))

    def rate(self, pictures: Sequence[bytes], task: str, seconds: float) -> float:
        """Pictures a second, decoded and seen by a task and those it needs, in all workers."""
        steps = self._pipeline.plan_tasks([task])
        counts, failures = [0] * self.threads, list[LiveGateError]()
        until_s = time.perf_counter() + seconds

        def work(number: int) -> None:
            scratch = Scratch()
            try:
                while time.perf_counter() < until_s or not counts[number]:
                    picture = pictures[counts[number] % len(pictures)]
                    frame = frame_from_bytes(picture, self._config.limits)
                    self._pipeline.run(frame, steps, StageClock(), scratch)
                    counts[number] += 1
            except LiveGateError as error:
                failures.append(error)

        loops = [threading.Thread(target=work, args=(number,)) for number in range(self.threads)]
        started_s = time.perf_counter()
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()
        if failures:
            raise failures[0]
        return sum(counts) / (time.perf_counter() - started_s)

    def find(self, picture: bytes) -> Finding:
        """What this configuration sees in a picture."""
        frame: Frame = frame_from_bytes(picture, self._config.limits)
        steps = self._pipeline.plan_tasks([SILENT])
        found = self._pipeline.run(frame, steps, StageClock(), Scratch())
        return Finding(tuple(sorted(found[FACES], key=lambda face: -face.box.area)), found[SILENT])

    def end(self) -> None:
        """Close its engines."""
        self._pipeline.close()


def strays(
    expected: Sequence[Finding], found: Sequence[Finding], *, overlap: float, score: float
) -> str:
    """Why findings are not those expected; empty when they are.

    Every face that was expected is found at an overlap (intersection over union) of at least `overlap`,
    no other is, and scores differ by `score` at most.
    """
    for number, (one, other) in enumerate(zip(expected, found, strict=True), 1):
        if len(one.faces) != len(other.faces):
            return f"picture {number} has {len(other.faces)} faces, not {len(one.faces)}"
        for face in one.faces:
            best = max((overlap_of(face.box, seen.box) for seen in other.faces), default=0.0)
            if best < overlap:
                return f"a face of picture {number} overlaps by {best:.2f} only"
        if abs(one.score - other.score) > score:
            return f"the score of picture {number} is {other.score:.3f}, not {one.score:.3f}"
    return ""


def overlap_of(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0.0, width) * max(0.0, height)
    whole = one.area + other.area - shared
    return min(1.0, shared / whole) if whole > 0 else 0.0
