"""Which backend runs which network fastest on this box: every one that is here, in turns.

Every engine has passed the golden gate before it is timed, so a backend that wins computes the same
numbers. As many runs are under way as the box has workers, in threads as a server's; the backends take
turns within each round, so that a machine that speeds up or slows down does it to all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from livegate.app.build import TASKS, build_pipeline, build_store, worker_count
from livegate.app.engines import BACKENDS, load_backend
from livegate.cli.output import errors
from livegate.core.config import Config, LogConfig
from livegate.core.errors import LiveGateError
from livegate.core.plugins import plugin_names
from livegate.core.settings import load
from livegate.core.telemetry import configure_logging
from livegate.engines.base import Array, Engine, fed_network
from livegate.engines.pool import EnginePool
from livegate.engines.specimen import golden_inputs
from livegate.manifests.schema import Golden, Network
from livegate.pipelines.pipeline import Step
from livegate_bench.failure import BenchError
from livegate_bench.measure.machine import describe
from livegate_bench.models import add_models, model_flags
from livegate_bench.options import number, whole


@dataclass(frozen=True)
class Contest:
    """One network on every backend."""

    model_id: str
    network: Network
    tensors: Mapping[str, Array]
    """By backend: an engine may be fed with the picture itself."""
    engines: Mapping[str, Engine]


def add(scenarios: Any) -> None:
    """Add the scenario to the parser."""
    parser = scenarios.add_parser("backends", help="every network on every backend that is here")
    add_models(parser)
    parser.add_argument("--rounds", type=whole(1, 100), default=5)
    parser.add_argument(
        "--seconds", type=number(0.01, 60), default=1.0, help="of each engine in each round"
    )
    parser.add_argument("--detector-size", type=int, default=Config().face_detection.input_size)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, print, and write JSON where asked."""
    configure_logging(LogConfig(level="warning"))
    boxes = _boxes(options)
    contests = [
        contest for steps in zip(*boxes.values(), strict=True) for contest in _contests(steps, boxes)
    ]
    workers = worker_count(Config())
    pool = EnginePool(workers, workers, watches_deadlines=False)
    rows = []
    for contest in contests:
        rates = _rates(contest, pool, workers, options)
        medians = {name: statistics.median(found) for name, found in rates.items()}
        rows.append(_row(contest, rates, medians))
    pool.close()
    _report(options, workers, rows)
    return 0


def _boxes(options: argparse.Namespace) -> dict[str, tuple[Step, ...]]:
    """The tasks on each backend that is here and runs all of their networks.

    Raises:
        SetupError: as of the first backend, where none does.
        BenchError: there is no backend.
    """
    boxes, problems = {}, []
    for name in _here():
        try:
            boxes[name] = _steps(name, options)
        except LiveGateError as error:
            errors().print(f"{name} is left out: {error}", markup=False, highlight=False)
            problems.append(error)
    if not boxes:
        raise problems[0] if problems else BenchError("no backend is here; `livegate doctor` says why")
    return boxes


def _here() -> tuple[str, ...]:
    found = {name: load_backend(name).probe() for name in plugin_names(BACKENDS)}
    return tuple(name for name, can in found.items() if can.is_available and can.computes)


def _steps(backend: str, options: argparse.Namespace) -> tuple[Step, ...]:
    flags = {
        "engine.backend": backend,
        "face_detection.input_size": options.detector_size,
        **model_flags(options),
    }
    config = load(flags=flags).config
    pipeline = build_pipeline(config, build_store(config))
    return pipeline.plan_tasks([name for name in plugin_names(TASKS) if pipeline.has_tasks([name])])


def _contests(steps: tuple[Step, ...], boxes: Mapping[str, Any]) -> list[Contest]:
    """One for each network of a model that every box has loaded."""
    first = steps[0]
    contests = []
    for network in first.model.manifest.networks:
        dims = first.task.warm_dims
        sides = (dims.get("height", 1), dims.get("width", 1))
        drawn = msgspec.structs.replace(network, golden=Golden(pictures=1, sides=sides))
        engines = {
            name: step.model.engines[network.name] for name, step in zip(boxes, steps, strict=True)
        }
        tensors = {
            name: next(golden_inputs(fed_network(drawn, engine))) for name, engine in engines.items()
        }
        contests.append(Contest(first.model.manifest.id, network, tensors, engines))
    return contests


def _rates(
    contest: Contest, pool: EnginePool, workers: int, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Runs a second by backend, round by round; the first round warms."""
    rates: dict[str, list[float]] = {name: [] for name in contest.engines}
    for turn in range(options.rounds + 1):
        for name, engine in contest.engines.items():
            feeds = {contest.network.input.name: contest.tensors[name]}
            until_s = time.perf_counter() + options.seconds
            jobs = [pool.submit(partial(_loop, engine, feeds, until_s)) for _ in range(workers)]
            rate = sum(job.result() for job in jobs)
            if turn:
                rates[name].append(rate)
    return rates


def _loop(engine: Engine, feeds: Mapping[str, Array], until_s: float) -> float:
    """Runs a second of one worker."""
    done, begun_s = 0, time.perf_counter()
    while time.perf_counter() < until_s or not done:
        engine.run(feeds)
        done += 1
    return done / (time.perf_counter() - begun_s)


def _row(contest: Contest, rates: dict[str, list[float]], medians: dict[str, float]) -> dict[str, Any]:
    order = sorted(medians, key=lambda name: -medians[name])
    row: dict[str, Any] = {
        "model": contest.model_id,
        "network": contest.network.name,
        "input": "x".join(map(str, next(iter(contest.tensors.values())).shape)),
        "rates": medians,
        "won": order[0],
    }
    if len(order) > 1:
        by = [best / next_best for best, next_best in zip(rates[order[0]], rates[order[1]], strict=True)]
        row |= {"by": statistics.median(by), "by_min": min(by), "by_max": max(by)}
    return row


def _report(options: argparse.Namespace, workers: int, rows: list[dict[str, Any]]) -> None:
    table = Table(box=None)
    backends = list(rows[0]["rates"])
    for heading in ("network", "input", *(f"{name} /s" for name in backends), "won by (min .. max)"):
        table.add_column(heading)
    for row in rows:
        rates = [f"{row['rates'][name]:.0f}" for name in backends]
        won = row["won"]
        if "by" in row:
            won = f"{won} {row['by']:.2f} ({row['by_min']:.2f} .. {row['by_max']:.2f})"
        table.add_row(f"{row['model']} {row['network']}", row["input"], *rates, won)
    console = Console()
    console.print(table)
    best = ", ".join(f'{name} = "{won}"' for name, won in _best(rows).items())
    console.print(f"engine.use = {{ {best} }}", markup=False, highlight=False, soft_wrap=True)
    if options.json:
        settings = {"workers": workers, "rounds": options.rounds, "seconds": options.seconds}
        parts = {"machine": describe(), "settings": settings, "figures": rows}
        options.json.write_text(json.dumps({"scenario": "backends", **parts}, indent=1) + "\n")


def _best(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The backend of each model whose networks, one after the other, take the least time."""
    spent: dict[str, dict[str, float]] = {}
    for row in rows:
        of_model = spent.setdefault(row["model"], {})
        for name, rate in row["rates"].items():
            of_model[name] = of_model.get(name, 0.0) + 1 / rate
    return {model: min(times, key=lambda name: times[name]) for model, times in spent.items()}
