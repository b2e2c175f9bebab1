"""What videos do to everybody else: image requests at a steady rate, without and with clips under way.

Latencies count from when a request was due, so that a client that is held up does not hide it. Quiet
and busy rounds take turns; while a round is busy, so many clips are always looked at.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from livegate.client import Action, LivenessClient
from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Open
from livegate_bench.measure.rounds import Contender, row_of, take_turns
from livegate_bench.options import number, system, whole
from livegate_bench.picture import FRAME_HEIGHT, FRAME_WIDTH, portrait_on_wall
from livegate_bench.rows import Row

HELP = "image requests with and without clips under way"
NAME = "action_clip"
PERCENTILE = 0.99
FPS = 25
CLIP_TIMEOUT_S = 300


def add_options(parser: argparse.ArgumentParser) -> None:
    """How many clips, how long, and the requests beside them."""
    parser.add_argument("--clips", type=whole(1, 64), default=2, help="that are looked at, at once")
    parser.add_argument("--clip-seconds", type=number(1, 15), default=10.0)
    parser.add_argument("--rate", type=number(0.1, 10_000), default=10.0, help="image requests a second")
    parser.add_argument("--system", type=system, default="grpc-tcp", help="through which they come")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """A quiet one and a busy one, which has figures.p99_ratio and clip_median_s."""
    clip = moving_portrait(bench.picture, options.clip_seconds)
    order = Open(options.rate, bench.pace.seconds, bench.seed, arrivals="constant")
    took_s: list[float] = []
    busily = partial(clips_under_way, bench.server().box.tcp, clip, options.clips, took_s)
    settings = {"rate_per_s": options.rate, "clip_s": options.clip_seconds}
    quiet, busy = take_turns(
        bench,
        NAME,
        [
            Contender(options.system, {**settings, "clips": 0}, order, PERCENTILE),
            Contender(options.system, {**settings, "clips": options.clips}, order, PERCENTILE, busily),
        ],
    )
    ratios = [
        b.latency_ms / q.latency_ms
        for q, b in zip(quiet.windows, busy.windows, strict=True)
        if b.latency_ms and q.latency_ms
    ]
    figures = {"clips": float(len(took_s)), "clip_median_s": statistics.median(took_s)}
    if ratios:
        figures["p99_ratio"] = statistics.median(ratios)
    return [row_of(bench, NAME, quiet), row_of(bench, NAME, busy, figures=figures)]


def moving_portrait(picture: bytes, seconds: float) -> bytes:
    """An MP4 of a portrait that sways to and fro."""
    import av

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file, av.open(file.name, "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH, FRAME_HEIGHT, "yuv420p"
        for frame_number in range(round(seconds * FPS)):
            frame = portrait_on_wall(picture, 0.5 + 0.23 * np.sin(frame_number / 20))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())
        container.close()
        return Path(file.name).read_bytes()


@contextmanager
def clips_under_way(target: str, clip: bytes, at_once: int, took_s: list[float]) -> Iterator[None]:
    """So many clips are always looked at inside the block; `took_s` hears how long each took."""
    done = threading.Event()

    def send() -> None:
        with LivenessClient(target) as client:
            while not done.is_set():
                started_s = time.perf_counter()
                client.verify_actions(clip, (Action.NOD,), timeout_s=CLIP_TIMEOUT_S)
                took_s.append(time.perf_counter() - started_s)

    with ThreadPoolExecutor(at_once) as threads:
        sending = [threads.submit(send) for _ in range(at_once)]
        try:
            yield
        finally:
            done.set()
        for one in sending:
            one.result()
