"""What serving costs: gRPC clients in another process against an in-process loop, in one run.

Both run the same pipeline, models and detector size on the same cores, in turns, so that a machine
that speeds up or slows down does it to both. The ratio is taken round by round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from livegate.client import LivenessClient
from livegate.core.config import Config
from livegate.core.settings import load
from livegate_bench import client, inprocess
from livegate_bench.loop import Loop, Round
from livegate_bench.machine import describe
from livegate_bench.models import add_models, model_arguments, model_flags
from livegate_bench.picture import load_picture
from livegate_bench.sut import served_box


def add(scenarios: Any) -> None:
    """Add the scenario to the parser."""
    parser = scenarios.add_parser("serving", help="gRPC throughput against an in-process loop")
    add_models(parser)
    parser.add_argument("--picture", metavar="FILE", help="default: a 640x480 JPEG portrait")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round of each system")
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--detector-size", type=int, default=Config().face_detection.input_size)
    parser.add_argument("--target", choices=("tcp", "unix"), default="tcp")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, print, and write JSON where asked."""
    threads = len(os.sched_getaffinity(0))
    flags = {
        "engine.backend": options.backend,
        "face_detection.input_size": options.detector_size,
        **model_flags(options),
    }
    config = load(flags=flags).config
    picture = load_picture(options.picture)
    arguments = [
        *("--backend", options.backend, "--detector-size", str(options.detector_size)),
        *model_arguments(options),
    ]
    with served_box(*arguments) as box:
        target = box.target(options.target)
        with LivenessClient(target, retries=0) as asking:
            engines = asking.status()["engines"]
        baseline = Loop(inprocess.work, config, picture, threads)
        served = Loop(client.work, target, picture, options.clients)
        pairs = []
        console = Console(stderr=True)
        for turn in range(options.rounds + 1):
            pair = (baseline.round(options.seconds), served.round(options.seconds, box.pid))
            if turn:  # the first one warms
                pairs.append(pair)
                ratio = pair[1].rate / pair[0].rate
                console.print(f"round {turn} of {options.rounds}: {ratio:.3f}", highlight=False)
        baseline.end()
        served.end()
    _report(options, config, threads, len(picture), pairs, engines)
    return 0


def _engine_line(engine: dict[str, str]) -> str:
    asked, ran = engine["provider_asked"], engine["provider"]
    digest = engine["sha256"][:12]
    return f"{engine['backend']}, asked {asked}, ran {ran}, {engine['precision']}, {digest}"


def _report(
    options: argparse.Namespace,
    config: Config,
    threads: int,
    picture_bytes: int,
    pairs: list[tuple[Round, Round]],
    engines: list[dict[str, str]],
) -> None:
    ratios = [served.rate / base.rate for base, served in pairs]
    latencies = sorted(latency * 1e3 for _, served in pairs for latency in served.latencies_s)
    figures = {
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "inprocess_rps": statistics.median(base.rate for base, _ in pairs),
        "served_rps": statistics.median(served.rate for _, served in pairs),
        "inprocess_core_ms": statistics.median(base.core_ms for base, _ in pairs),
        "served_core_ms": statistics.median(served.core_ms for _, served in pairs),
        "serving_core_ms": statistics.median(s.core_ms - b.core_ms for b, s in pairs),
        "latency_p50_ms": latencies[len(latencies) // 2],
        "latency_p99_ms": latencies[int(len(latencies) * 0.99)],
        "requests": len(latencies),
    }
    settings = {
        "clients": options.clients,
        "threads": threads,
        "target": options.target,
        "backend": options.backend,
        "detector_size": config.face_detection.input_size,
        "picture_bytes": picture_bytes,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    runs = {f"{e['model_id']} {e['network']}": _engine_line(e) for e in engines}
    parts: dict[str, dict[str, Any]] = {
        "machine": dict(describe()),
        "engines": runs,
        "settings": settings,
        "figures": figures,
    }
    table = Table(box=None, show_header=False)
    for part in parts.values():
        for name, value in part.items():
            table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"scenario": "serving", **parts}, indent=1) + "\n")
