"""What videos do to everybody else: image requests at a steady rate, without and with clips under way.

Latencies count from when a request was due, so that a client that is held up does not hide it. Quiet
and busy rounds take turns; while a round is busy, so many clips are always looked at.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from rich.console import Console
from rich.table import Table

from livegate.client import Action, LivenessClient
from livegate_bench.loop import Loop, Round
from livegate_bench.machine import describe
from livegate_bench.models import add_models, model_arguments
from livegate_bench.picture import load_picture
from livegate_bench.sut import served_box

WIDTH, HEIGHT, FPS = 1280, 720, 25
MOST_AT_ONCE = 64
CLIP_TIMEOUT_S = 300


def add(scenarios: Any) -> None:
    """Add the scenario to the parser."""
    parser = scenarios.add_parser("action_clip", help="image requests with and without clips under way")
    add_models(parser)
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--clips", type=int, default=2, help="that are looked at, at once")
    parser.add_argument("--clip-seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=10.0, help="image requests a second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each round")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, print, and write JSON where asked."""
    clip, picture = moving_portrait(options.clip_seconds), load_picture(None)
    pairs: list[tuple[Round, Round]] = []
    durations_s: list[float] = []
    console = Console(stderr=True)
    with served_box("--backend", options.backend, *model_arguments(options)) as box:
        load = Loop(ask_steadily, box.target("tcp"), picture, options.rate)
        for turn in range(options.rounds + 1):
            quiet = load.round(options.seconds, box.pid)
            with clips_under_way(box.target("tcp"), clip, options.clips) as took_s:
                busy = load.round(options.seconds, box.pid)
            if turn:  # the first one warms
                pairs.append((quiet, busy))
                durations_s += took_s
                ratio = percentile_ms([busy], 0.99) / percentile_ms([quiet], 0.99)
                console.print(f"round {turn} of {options.rounds}: {ratio:.2f}", highlight=False)
        load.end()
    _report(options, pairs, durations_s, len(clip))
    return 0


def moving_portrait(seconds: float) -> bytes:
    """An MP4 of a portrait that sways to and fro."""
    import av

    portrait = simplejpeg.decode_jpeg(load_picture(None), colorspace="BGR")
    wall = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file, av.open(file.name, "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(seconds * FPS)):
            left = round(320 + 150 * np.sin(number / 20))
            picture = wall.copy()
            picture[120:600, left : left + 640] = portrait
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
        container.close()
        return Path(file.name).read_bytes()


@contextmanager
def clips_under_way(target: str, clip: bytes, at_once: int) -> Any:
    """So many clips are always looked at inside the block; how long each took, in seconds."""
    done, took_s = threading.Event(), list[float]()

    def send() -> None:
        with LivenessClient(target, retries=0) as client:
            while not done.is_set():
                started_s = time.perf_counter()
                client.verify_actions(clip, (Action.NOD,), timeout_s=CLIP_TIMEOUT_S)
                took_s.append(time.perf_counter() - started_s)

    with ThreadPoolExecutor(at_once) as threads:
        sending = [threads.submit(send) for _ in range(at_once)]
        yield took_s
        done.set()
        for one in sending:
            one.result()


def ask_steadily(orders: Connection, target: str, picture: bytes, rate: float) -> None:
    """For each number of seconds ordered: requests, each when it is due; seconds from then on."""
    with LivenessClient(target, retries=0) as client, ThreadPoolExecutor(MOST_AT_ONCE) as threads:

        def ask(due_s: float) -> float:
            client.analyze(picture)
            return time.perf_counter() - due_s

        ask(0)
        orders.send("warm")
        while (seconds := orders.recv()) is not None:
            started_s = time.perf_counter()
            asked = []
            for number in range(round(seconds * rate)):
                due_s = started_s + number / rate
                time.sleep(max(0.0, due_s - time.perf_counter()))
                asked.append(threads.submit(ask, due_s))
            took_s = [one.result() for one in asked]
            orders.send((len(took_s), time.perf_counter() - started_s, took_s))


def percentile_ms(rounds: list[Round], part: float) -> float:
    """Of all latencies together."""
    latencies = sorted(latency for one in rounds for latency in one.latencies_s)
    return latencies[min(len(latencies) - 1, int(len(latencies) * part))] * 1e3


def _report(
    options: argparse.Namespace,
    pairs: list[tuple[Round, Round]],
    durations_s: list[float],
    clip_bytes: int,
) -> None:
    quiet, busy = [one for one, _ in pairs], [one for _, one in pairs]
    ratios = [percentile_ms([b], 0.99) / percentile_ms([q], 0.99) for q, b in pairs]
    figures = {
        "quiet_p50_ms": percentile_ms(quiet, 0.5),
        "quiet_p99_ms": percentile_ms(quiet, 0.99),
        "busy_p50_ms": percentile_ms(busy, 0.5),
        "busy_p99_ms": percentile_ms(busy, 0.99),
        "p99_ratio_median": statistics.median(ratios),
        "p99_ratio_of_all": percentile_ms(busy, 0.99) / percentile_ms(quiet, 0.99),
        "requests": sum(one.requests for one in quiet + busy),
        "clips": len(durations_s),
        "clip_median_s": statistics.median(durations_s),
    }
    settings = {
        "backend": options.backend,
        "clip": f"{WIDTH}x{HEIGHT} H.264 {FPS} fps {options.clip_seconds:g} s, {clip_bytes} bytes",
        "clips_at_once": options.clips,
        "rate_rps": options.rate,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    parts = {"machine": dict(describe()), "settings": settings, "figures": figures}
    table = Table(box=None, show_header=False)
    for part in parts.values():
        for name, value in part.items():
            table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"scenario": "action_clip", **parts}, indent=1) + "\n")
