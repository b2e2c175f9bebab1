"""Reports made by hand, for the tests of what is made of them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from livegate_bench.rows import (
    Conditions,
    EarlyStop,
    Energy,
    EngineRun,
    Latency,
    Machine,
    Report,
    Row,
    Window,
)

QUIET = Conditions(
    governor="performance", clocks_mhz=(3000, 3000), hottest_celsius=41.5,
    throttle_events=0, load_1min=0.1, stolen=0.0,
)  # fmt: skip
BLIND = Conditions(
    governor=None, clocks_mhz=None, hottest_celsius=None, throttle_events=None, load_1min=0.0, stolen=0.0
)
MACHINE = Machine(
    cpu="Made CPU", cores=2, features=("avx2", "avx512_vnni"), memory_bytes=8 << 30, board="",
    kernel="6.1", python="3.11.7", versions={"onnxruntime": "1.31.0", "numpy": "2.4.6"},
)  # fmt: skip
ENGINE = EngineRun(
    model_id="lg_detect", network="detect", sha256="ab" * 32, backend="onnxruntime",
    provider_asked="cpu", provider="cpu", precision="fp32",
)  # fmt: skip


def latency(median_ms: float = 20.0, count: int = 4000, spread: float = 0.2, seed: int = 1) -> Latency:
    """Log-normal, in bins that grow by 5 %."""
    drawn = median_ms * np.exp(np.random.default_rng(seed).normal(0, spread, count))
    bins = int(np.ceil(np.log(drawn.max() / drawn.min()) / np.log(1.05))) + 1
    edges = drawn.min() * 0.999 * 1.05 ** np.arange(bins + 1)
    counts, _ = np.histogram(drawn, edges)
    p50, p90, p95, p99, p99_9 = (float(p) for p in np.percentile(drawn, [50, 90, 95, 99, 99.9]))
    return Latency(
        count=count,
        mean_ms=float(drawn.mean()),
        min_ms=float(drawn.min()),
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        p99_9_ms=p99_9,
        max_ms=float(drawn.max()),
        edges_ms=tuple(float(edge) for edge in edges),
        counts=tuple(int(found) for found in counts),
        early_stop=EarlyStop(percentile=0.9, confidence=0.99, bound_ms=p90 * 1.02, least_requests=662),
    )


def scaled(found: Latency, factor: float) -> Latency:
    """So many times as long, every one of them."""
    names = [name for name in found.__struct_fields__ if name.endswith("_ms") and name != "edges_ms"]
    changed = {name: getattr(found, name) * factor for name in names}
    edges = tuple(edge * factor for edge in found.edges_ms)
    return msgspec.structs.replace(found, edges_ms=edges, **changed)


def windows(
    rate: float = 100.0, ms: float | None = 25.0, count: int = 6, seed: int = 1
) -> tuple[Window, ...]:
    """That vary by a part in a hundred."""
    drawn = np.exp(np.random.default_rng(seed).normal(0, 0.01, (count, 3)))
    return tuple(
        Window(
            seconds=5.0,
            requests=int(rate * 5),
            rate_per_s=rate * float(a),
            latency_ms=None if ms is None else ms * float(b),
            core_ms_per_request=18.0 * float(c),
        )
        for a, b, c in drawn
    )


def row(**changes: Any) -> Row:
    """A steady row of single_stream over a Unix socket."""
    made = Row(
        scenario="single_stream", system="grpc-unix", settings={"clients": 4}, pack="own",
        picture="640x480 a",
        detector_input=320, threads=2, seed=7, started_unix_s=1.7e9, seconds=40.0, requests=4000,
        rate_per_s=100.0, latency=latency(), percentile=0.9, windows=windows(), is_stable=True,
        core_ms_per_request=18.0, load_core_ms_per_request=1.5,
        stages_ms={"decode": 2.4, "queue": 0.3, "infer": 15.0}, errors={"5003": 2}, drops={"late": 1},
        bytes_copied_per_request=1_000_000, rss_bytes=200 << 20,
        energy=Energy(sensor="rapl", joules_per_request=0.3, watts=30.0), engines=(ENGINE,),
        figures={"max_cameras": 12.0}, before=QUIET, after=QUIET,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def bare_row(**changes: Any) -> Row:
    """Nothing that the box may not know."""
    nothing: dict[str, Any] = {
        "latency": None, "windows": (), "core_ms_per_request": None, "load_core_ms_per_request": None,
        "stages_ms": {}, "errors": {}, "drops": {}, "bytes_copied_per_request": None, "rss_bytes": None,
        "energy": None, "engines": (), "figures": {}, "before": BLIND, "after": BLIND, "settings": {},
    }  # fmt: skip
    return row(**{**nothing, **changes})


def report(*rows: Row, **changes: Any) -> Report:
    """Of one run on a made machine; one steady row when none is told."""
    made = Report(
        command="livegate bench single_stream",
        livegate="0.1",
        git_revision="abc123",
        started_unix_s=1.7e9,
        seconds=60.0,
        machine=MACHINE,
        rows=rows or (row(),),
    )
    return msgspec.structs.replace(made, **changes)


def varied_report() -> Report:
    """What a page has to show: several systems, loads, stages, losses, doubts and gaps."""
    served = [
        row(
            settings={"clients": n},
            rate_per_s=rate,
            latency=latency(ms, seed=n),
            windows=windows(rate, ms, seed=n),
        )
        for n, rate, ms in ((1, 45.0, 21.0), (4, 88.0, 44.0), (16, 90.0, 170.0))
    ]
    tcp = [
        row(system="grpc-tcp", settings={"clients": n}, rate_per_s=rate, latency=latency(ms, seed=n + 1),
            windows=windows(rate, ms, seed=n + 1), errors={}, drops={})
        for n, rate, ms in ((1, 42.0, 23.0), (4, 80.0, 49.0), (16, 84.0, 185.0))
    ]  # fmt: skip
    gaps = list(windows(24.0, 40.0, 8, seed=3))
    gaps[3] = msgspec.structs.replace(gaps[3], latency_ms=None, rate_per_s=9.0)
    doubtful = row(
        scenario="camera_fleet", system="frame-queue", settings={"cameras": 12, "fps": 25},
        is_stable=False, unstable_because="the rates of the last three windows differ by 31 %",
        windows=tuple(gaps), latency=latency(40.0, 900, 0.8), percentile=0.99,
        drops={"late": 40, "full": 12}, errors={"1011": 3},
    )  # fmt: skip
    bare = bare_row(
        scenario="cold_start", system="null", figures={"ready_s": 2.31}, windows=windows(1.0, None, 1)
    )
    return report(*served, *tcp, row(system="in-process", settings={"threads": 2}), doubtful, bare)
