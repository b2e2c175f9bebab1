"""From the start of the server's process to ready, with warm caches, and the memory of an idle server.

Beside it, in turns, a bare process that imports the same libraries and loads the same networks, and does
nothing else. Providers other than ONNX Runtime's CPU and OpenVINO have no bare process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from livegate.app.build import build_store, serving_manifests
from livegate_bench import bare
from livegate_bench.bench import Bench, all_engines
from livegate_bench.failure import BenchError
from livegate_bench.measure.conditions import Watcher
from livegate_bench.measure.latency import latency_from
from livegate_bench.measure.meter import cpu_seconds, rss_bytes
from livegate_bench.measure.stability import why_unstable
from livegate_bench.options import server_arguments
from livegate_bench.rows import EngineRun, Row, Window
from livegate_bench.sut import running_server

HELP = "process start to ready, and idle memory, against a bare process"
NAME = "cold_start"
SERVED, BARE = "livegate serve", "bare process"
PERCENTILE = 0.5
BACKENDS = ("onnxruntime", "openvino", "null")
BARE_PROVIDERS = ("cpu", "null")
"""That engines ran on: the bare process has no other."""
IMPORTS = (
    *("numpy", "cv2", "simplejpeg", "msgspec", "grpc", "grpc_status", "grpc_health.v1.health"),
    *(
        "grpc_reflection.v1alpha.reflection",
        "google.protobuf.message",
        "starlette.applications",
        "uvicorn",
    ),
    *("httptools", "uvloop", "prometheus_client", "structlog", "rich.console"),
)
IDLE_S = 1.0
HANG_S = 120.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one of them."""

    ready_s: float
    rss_bytes: int
    cpu_s: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own; a round is one start of each."""


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """The server's, with figures of both, and the bare process's."""
    arguments = server_arguments(options)
    served, bares = list[Start](), list[Start]()
    watcher, started_unix_s = Watcher(), time.time()
    with running_server(*arguments) as server:  # files are in the page cache, golden outputs made
        engines = all_engines(server)
    plan = bare_plan(bench) if all(run.provider in BARE_PROVIDERS for run in engines) else None
    for turn in range(1, bench.pace.rounds + 1):
        served.append(start_server(arguments))
        bares += [start_bare(plan)] if plan else []
        told = f", bare {bares[-1].ready_s:.2f} s" if plan else ""
        bench.say(f"{NAME}, round {turn}: ready after {served[-1].ready_s:.2f} s{told}")
    found = [(SERVED, served, figures(served, bares)), (BARE, bares, {})]
    return [
        row(bench, name, starts, told, engines, watcher, started_unix_s)
        for name, starts, told in found
        if starts
    ]


def figures(served: Sequence[Start], bares: Sequence[Start]) -> dict[str, float]:
    """Medians; differences and ratios start by start."""
    found = {
        "ready_s": statistics.median(start.ready_s for start in served),
        "idle_rss_bytes": statistics.median(start.rss_bytes for start in served),
    }
    if bares:
        pairs = list(zip(served, bares, strict=True))
        found |= {
            "bare_s": statistics.median(start.ready_s for start in bares),
            "over_bare_s": statistics.median(s.ready_s - b.ready_s for s, b in pairs),
            "bare_rss_bytes": statistics.median(start.rss_bytes for start in bares),
            "rss_ratio": statistics.median(s.rss_bytes / b.rss_bytes for s, b in pairs),
        }
    return found


def start_server(arguments: Sequence[str]) -> Start:
    """One start, and its memory after a second of idleness."""
    with running_server(*arguments) as server:
        time.sleep(IDLE_S)
        server.check()
        return Start(server.ready_s, rss_bytes(server.box.pid), cpu_seconds(server.box.pid))


def start_bare(plan: str) -> Start:
    """One start of the bare process.

    Raises:
        BenchError: it did not come up.
    """
    started_s = time.perf_counter()
    command = [sys.executable, str(Path(bare.__file__)), plan]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            ready_s = time.perf_counter() - started_s
            if not said:
                raise BenchError("the bare process did not come up; its own message stands above")
            time.sleep(IDLE_S)
            return Start(ready_s, rss_bytes(process.pid), cpu_seconds(process.pid))
        finally:
            process.kill()


def bare_plan(bench: Bench) -> str | None:
    """What the bare process loads; None where it cannot load what the server does."""
    engine = bench.config.engine
    store = build_store(bench.config)
    networks, libraries = [], set[str]()
    for manifest in serving_manifests(bench.config, store):
        backend, _, provider = engine.use.get(manifest.id, engine.backend).partition("/")
        if backend not in BACKENDS or provider not in ("", "cpu"):
            return None
        if backend != "null":
            libraries.add(backend)
            paths = (store.found(manifest.file(network.file)) for network in manifest.networks)
            networks += [{"backend": backend, "path": str(path)} for path in paths]
    imports = [*IMPORTS, *sorted(libraries)]
    return json.dumps({"imports": imports, "networks": networks, "threads": engine.intra_op_threads})


def row(
    bench: Bench,
    name: str,
    starts: Sequence[Start],
    told: dict[str, float],
    engines: tuple[EngineRun, ...],
    watcher: Watcher,
    started_unix_s: float,
) -> Row:
    """One window for each start: its latency is the time to ready."""
    windows = tuple(
        Window(
            seconds=start.ready_s,
            requests=1,
            rate_per_s=1 / start.ready_s,
            latency_ms=start.ready_s * 1e3,
            core_ms_per_request=start.cpu_s * 1e3,
        )
        for start in starts
    )
    seconds = sum(start.ready_s for start in starts)
    problem = why_unstable(windows)
    return Row(
        scenario=NAME,
        system=name,
        settings={},
        pack=bench.config.models.pack,
        detector_input=bench.config.face_detection.input_size,
        threads=bench.threads,
        seed=bench.seed,
        started_unix_s=started_unix_s,
        seconds=seconds,
        requests=len(starts),
        rate_per_s=len(starts) / seconds,
        latency=latency_from(np.array([start.ready_s for start in starts]), PERCENTILE),
        percentile=PERCENTILE,
        windows=windows,
        is_stable=not problem,
        unstable_because=problem,
        core_ms_per_request=sum(start.cpu_s for start in starts) * 1e3 / len(starts),
        load_core_ms_per_request=None,
        rss_bytes=int(statistics.median(start.rss_bytes for start in starts)),
        engines=engines,
        figures=told,
        before=watcher.before,
        after=watcher.look(),
    )
