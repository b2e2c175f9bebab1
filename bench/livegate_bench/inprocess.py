"""The baseline: as many threads as there are workers, each in a loop over the pipeline. No server."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection

from livegate.app.build import build_pipeline, build_store
from livegate.core.config import Config
from livegate.core.telemetry import StageClock
from livegate.ingest.image import frame_from_bytes
from livegate.pipelines.pipeline import Pipeline
from livegate.preprocess.scratch import Scratch

ALGO_TASKS = (1031,)


def work(orders: Connection, config: Config, picture: bytes, threads: int) -> None:
    """For each number of seconds that is ordered, answer how many requests were done."""
    import cv2

    cv2.setNumThreads(1)
    pipeline = build_pipeline(config, build_store(config))
    orders.send("warm")
    while (seconds := orders.recv()) is not None:
        counts = [0] * threads
        until_s = time.perf_counter() + seconds
        loops = [
            threading.Thread(target=_loop, args=(pipeline, config, picture, until_s, counts, n))
            for n in range(threads)
        ]
        started_s = time.perf_counter()
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()
        orders.send((sum(counts), time.perf_counter() - started_s, []))


def _loop(
    pipeline: Pipeline, config: Config, picture: bytes, until_s: float, counts: list[int], n: int
) -> None:
    scratch = Scratch()
    steps = pipeline.plan(ALGO_TASKS)
    while time.perf_counter() < until_s:
        frame = frame_from_bytes(picture, config.limits)
        pipeline.judge(ALGO_TASKS, [pipeline.run(frame, steps, StageClock(), scratch)])
        counts[n] += 1
