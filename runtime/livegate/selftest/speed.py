"""The models as a server would load them, and how long one frame takes them.

What stands here is the whole way of a frame through the pipeline, without a network and without decoding
a picture. `livegate bench` measures more, and for longer.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from functools import partial

import msgspec

from livegate.app.build import build_pipeline, build_store, worker_count
from livegate.core.config import Config
from livegate.core.frame import Frame
from livegate.core.telemetry import StageClock
from livegate.engines.pool import EnginePool
from livegate.engines.specimen import draw_face
from livegate.pipelines.pipeline import Pipeline
from livegate.preprocess.scratch import Scratch
from livegate.selftest.report import Check, Figure, Status
from livegate.selftest.stage import Course, Found, one

SILENT = 1031
ALONE_S, TOGETHER_S, QUICK_S, WAIT_S = 5.0, 10.0, 1.0, 120.0
WARM_RUNS = 5
WIDTH, HEIGHT = 640, 480


class Trial(msgspec.Struct, frozen=True):
    """What to measure, for how long."""

    config: Config
    alone_s: float
    together_s: float


class Speed(msgspec.Struct, frozen=True):
    """What was measured."""

    engines: dict[str, str]
    faces: int
    """In the drawn frame; without one only the detector was timed."""
    p50_ms: float
    p99_ms: float
    workers: int
    rate: float


def measure_speed(course: Course) -> Found:
    """The check `speed`: it fails when the models do not load as a server would load them."""
    seconds = (QUICK_S, QUICK_S) if course.is_quick else (ALONE_S, TOGETHER_S)
    asked = Trial(course.config, *seconds)
    (found,) = course.apart(f"{__name__}:answers", asked, Speed, wait_s=WAIT_S)
    rate = f"{found.workers} at once"
    figures = (
        Figure(name="one frame, median", value=found.p50_ms, unit="ms"),
        Figure(name="one frame, 99 of 100", value=found.p99_ms, unit="ms"),
        Figure(name=f"frames, {rate}", value=found.rate, unit="frames/s"),
        Figure(name="faces in the drawn frame", value=found.faces, unit=""),
    )
    nulls = sorted(name for name, engine in found.engines.items() if engine.startswith("null "))
    reason = f"{', '.join(nulls)} run on the null backend, which computes nothing" if nulls else ""
    status = Status.FAIL if reason else Status.PASS
    return one(Check(name="speed", status=status, reason=reason, figures=figures, facts=found.engines))


def answers(asked: bytes) -> Iterator[Speed]:
    """In a process of its own."""
    import cv2

    trial = msgspec.json.decode(asked, type=Trial)
    config = trial.config
    cv2.setNumThreads(1)
    pipeline = build_pipeline(config, build_store(config))
    workers = worker_count(config)
    pool = EnginePool(workers, workers, watches_deadlines=False)
    try:
        frame = Frame(draw_face(1, 0, HEIGHT, WIDTH), 0)
        pool.submit(partial(_loop, pipeline, frame, 0.0, WARM_RUNS)).result()
        alone = pool.submit(partial(_loop, pipeline, frame, trial.alone_s)).result()
        begun_s = time.perf_counter()
        jobs = [pool.submit(partial(_loop, pipeline, frame, trial.together_s)) for _ in range(workers)]
        done = sum(len(job.result()) for job in jobs)
        rate = done / (time.perf_counter() - begun_s)
        yield Speed(
            engines={
                f"{info.model_id}/{info.network}": f"{info.backend} {info.provider} {info.precision}"
                for info in pipeline.engines
            },
            faces=len(_found(pipeline, frame)["face_detection"]),
            p50_ms=round(statistics.median(alone), 3),
            p99_ms=round(sorted(alone)[int(len(alone) * 0.99)], 3),
            workers=workers,
            rate=round(rate, 1),
        )
    finally:
        pool.close()
        pipeline.close()


def _loop(pipeline: Pipeline, frame: Frame, seconds: float, at_least: int = 1) -> list[float]:
    """Milliseconds of each run."""
    spent: list[float] = []
    scratch, steps = Scratch(), pipeline.plan((SILENT,))
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s or len(spent) < at_least:
        begun_ns = time.perf_counter_ns()
        pipeline.judge((SILENT,), [pipeline.run(frame, steps, StageClock(), scratch)])
        spent.append((time.perf_counter_ns() - begun_ns) / 1e6)
    return spent


def _found(pipeline: Pipeline, frame: Frame) -> dict[str, tuple[object, ...]]:
    return pipeline.run(frame, pipeline.plan((SILENT,)), StageClock(), Scratch())
