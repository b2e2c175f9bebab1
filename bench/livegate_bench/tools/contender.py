"""A configuration that runs in this process beside others: timed in turns, held to findings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial

import cv2

from livegate.app.build import TASKS, build_pipeline, build_store, own_cores, worker_count
from livegate.core.config import Config
from livegate.core.plugins import plugin_names
from livegate.core.results import Box, Face
from livegate.core.telemetry import StageClock
from livegate.engines.pool import EnginePool
from livegate.ingest.image import frame_from_bytes
from livegate.pipelines.pipeline import Step
from livegate.preprocess.scratch import Scratch

SILENT, FACES = "silent_liveness", "face_detection"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a picture told: the faces by falling size, and the silent score."""

    faces: tuple[Face, ...]
    score: float


class Contender:
    """A pipeline and workers of its own, as a server has them. `end` gives them back."""

    def __init__(self, config: Config) -> None:
        """Build it: every engine has passed the golden gate.

        Raises:
            LiveGateError: a backend, a provider or a model is not here, or an engine strays.
        """
        cv2.setNumThreads(1)
        self._config = config
        self._pipeline = build_pipeline(config, build_store(config))
        self.tasks = tuple(name for name in plugin_names(TASKS) if self._pipeline.has_tasks([name]))
        """Every one that runs here."""
        workers = worker_count(config)
        self._pool = EnginePool(workers, workers, watches_deadlines=False, cores=own_cores(config))

    def rate(self, pictures: Sequence[bytes], tasks: Sequence[str], seconds: float) -> float:
        """Pictures a second, decoded and seen by tasks and those they need, in all workers.

        Each worker sees all of the pictures, as often as it takes to fill the seconds.

        Raises:
            LiveGateError: a picture could not be seen.
        """
        steps = self._pipeline.plan_tasks(tasks)
        loop = partial(self._loop, pictures, steps, seconds)
        jobs = [self._pool.submit(loop) for _ in range(self._pool.workers)]
        wait(jobs)
        return sum(job.result() for job in jobs)

    def find(self, picture: bytes) -> Finding:
        """What this configuration sees in a picture.

        Raises:
            LiveGateError: it cannot be decoded, or seen.
        """
        return self._pool.submit(partial(self._find, picture)).result()

    def end(self) -> None:
        """End its workers, and close its engines."""
        self._pool.close()
        self._pipeline.close()

    def _find(self, picture: bytes) -> Finding:
        frame = frame_from_bytes(picture, self._config.limits)
        steps = self._pipeline.plan_tasks([SILENT])
        found = self._pipeline.run(frame, steps, StageClock(), Scratch())
        return Finding(tuple(sorted(found[FACES], key=lambda face: -face.box.area)), found[SILENT])

    def _loop(self, pictures: Sequence[bytes], steps: Sequence[Step], seconds: float) -> float:
        """Pictures a second of one worker."""
        scratch, rounds, begun_s = Scratch(), 0, time.perf_counter()
        while (spent_s := time.perf_counter() - begun_s) < seconds or not rounds:
            for picture in pictures:
                frame = frame_from_bytes(picture, self._config.limits)
                self._pipeline.run(frame, steps, StageClock(), scratch)
            rounds += 1
        return rounds * len(pictures) / spent_s


def strays(
    expected: Mapping[str, Finding], found: Mapping[str, Finding], *, overlap: float, score: float
) -> str:
    """Why findings, by the picture's name, are not those expected; empty when they are.

    Every face that was expected is found at an overlap (intersection over union) of at least `overlap`,
    no other is, and scores differ by `score` at most.
    """
    for name, one in expected.items():
        other = found[name]
        if len(one.faces) != len(other.faces):
            return f"{name} has {len(other.faces)} faces, not {len(one.faces)}"
        for face in one.faces:
            best = max((overlap_of(face.box, seen.box) for seen in other.faces), default=0.0)
            if best < overlap:
                return f"a face of {name} overlaps by {best:.2f} only"
        if abs(one.score - other.score) > score:
            return f"the score of {name} is {other.score:.3f}, not {one.score:.3f}"
    return ""


def overlap_of(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0.0, width) * max(0.0, height)
    whole = one.area + other.area - shared
    return min(1.0, shared / whole) if whole > 0 else 0.0
