"""The highest rate of requests whose p99 stays under a bound; they come when they come (Poisson).

Each system's rate is searched first, from what it does in a closed loop, by halving; then all systems
take turns, each at its rate. A rate that does not hold there is lowered and measured again.

Source: MLPerf Inference, scenario Server.
"""

from __future__ import annotations

import argparse

from livegate_bench.bench import Bench
from livegate_bench.generator.load import Load
from livegate_bench.generator.loadgen import Closed, Open, Taken
from livegate_bench.measure.rounds import Contender, Track, row_of, start_load, take_turns, window_of
from livegate_bench.measure.search import highest_rate
from livegate_bench.options import add_systems, chosen_systems, number
from livegate_bench.rows import Row

HELP = "the highest rate whose p99 stays under a bound"
NAME = "server_poisson"
PERCENTILE = 0.99
NEAR = 0.03
TRIALS = 14
STEP_DOWN = 0.9
MOST_STEPS = 5
FULL = 8
"""Clients of the closed loop that tells where to search."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Systems, and the bound."""
    add_systems(parser, "in-process", "grpc-tcp")
    parser.add_argument("--bound-ms", type=number(0.001, 60_000), default=100.0, help="of the p99")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """One for each system, with figures.max_rate_per_s."""
    rates = {name: search(bench, name, options.bound_ms) for name in chosen_systems(options)}
    left, found = dict(rates), dict[str, Row]()
    for step in range(MOST_STEPS):
        tracks = take_turns(bench, NAME, [contender(bench, n, r, options) for n, r in left.items()])
        for track in tracks:
            name = track.contender.system
            is_held = holds(track, options.bound_ms)
            problem = "" if is_held else f"p99 above {options.bound_ms:g} ms at every rate"
            figures = {"max_rate_per_s": left[name] if is_held else 0.0}
            found[name] = row_of(bench, NAME, track, figures=figures, problem=problem)
            if is_held or step == MOST_STEPS - 1:
                del left[name]
            else:
                left[name] *= STEP_DOWN
        if not left:
            break
    return [found[name] for name in rates]


def search(bench: Bench, name: str, bound_ms: float) -> float:
    """The highest rate that one trial each says holds; the least that was tried, where none does."""
    seconds = bench.pace.seconds
    tried = list[float]()

    with start_load(bench, name) as load:
        full: Taken = load.take(Closed(FULL, seconds))
        guess = max(1.0, full.requests / full.seconds * 0.7)

        def is_held(rate: float) -> bool:
            taken = trial(load, rate, seconds, bench.seed)
            window = window_of(taken, 0.0, PERCENTILE)
            tried.append(rate)
            bench.say(f"{NAME}, {name}: {rate:.1f}/s gives p99 {window.latency_ms or 0:.1f} ms")
            return within(taken, window.latency_ms, bound_ms)

        return highest_rate(is_held, guess=guess, part=NEAR, trials=TRIALS) or min(tried)


def trial(load: Load, rate: float, seconds: float, seed: int) -> Taken:
    """One round at a rate."""
    return load.take(Open(rate, seconds, seed))


def within(taken: Taken, latency_ms: float | None, bound_ms: float) -> bool:
    """Whether all were answered, in time: a refused request is none that was served."""
    return not taken.gave_up and not taken.errors and latency_ms is not None and latency_ms <= bound_ms


def holds(track: Track, bound_ms: float) -> bool:
    """The same of all rounds together."""
    row_ms = window_of(track.together, 0.0, PERCENTILE).latency_ms
    return within(track.together, row_ms, bound_ms)


def contender(bench: Bench, name: str, rate: float, options: argparse.Namespace) -> Contender:
    """At a rate."""
    order = Open(rate, bench.pace.seconds, bench.seed)
    return Contender(name, {"bound_ms": options.bound_ms, "arrivals": "poisson"}, order, PERCENTILE)
