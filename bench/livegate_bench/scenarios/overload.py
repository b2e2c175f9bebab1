"""Twice as much as the server can do: how those fare that it accepts, and how soon the rest hears no.

Capacity is what a closed loop gets, or --rate. Requests are then due at that rate, and at --times of it,
in turns. There are more clients than the server has places, so that a request that is to be refused
never waits in the client behind one that was accepted; how late the load itself was is a figure.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from livegate_bench.bench import Bench
from livegate_bench.failure import BenchError
from livegate_bench.generator.flood import Flood
from livegate_bench.generator.loadgen import Closed, Taken, joined
from livegate_bench.measure.latency import percentile_of
from livegate_bench.measure.rounds import WARM_S, Contender, Track, row_of, start_load, take_turns
from livegate_bench.options import MOST_CLIENTS, add_systems, chosen_systems, number
from livegate_bench.rows import Row, Window
from livegate_bench.system import system_class

HELP = "twice what the server can do: those that it accepts, and those that it refuses"
NAME = "overload"
PERCENTILE = 0.99
SPARE = 64
"""Clients beside those that wait in the server: they hear the refusals."""
LEAST_CLIENTS = 8
LOOPS = 3
"""Of the closed loop that tells the capacity; the middle one counts."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Systems, how much is too much, and how late the load may be."""
    add_systems(parser, "grpc-tcp")
    parser.add_argument("--times", type=number(1, 100), default=2.0, help="of the capacity")
    parser.add_argument(
        "--at", type=number(0.01, 1), default=1.0, help="part of the capacity that is compared with"
    )
    parser.add_argument("--rate", type=number(0.01, 1e6), help="the capacity; default: it is measured")
    parser.add_argument(
        "--late-ms", type=number(0.1, 60_000), default=10.0, help="p99 above which the load was late"
    )


def rows(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """Two for each system: at capacity, and above it."""
    for name in chosen_systems(options):
        busy, at_once = busy_code(name), clients_of(bench)
        rate = options.rate or capacity_per_s(bench, name)
        contenders = [
            Contender(
                name,
                {"times": times, "queue_capacity": bench.config.server.queue_capacity},
                Flood(rate * times, bench.pace.seconds, bench.seed, most_at_once=at_once),
                PERCENTILE,
            )
            for times in (options.at, options.times)
        ]
        tracks = take_turns(bench, NAME, contenders)
        full, over = (figures_of(track.takens, busy) for track in tracks)
        over |= p99_ratio(tracks[0].windows, tracks[1].windows)
        for track, figures, is_over in ((tracks[0], full, False), (tracks[1], over, True)):
            figures |= {"capacity_per_s": rate}
            problem = why_wrong(track, figures, busy, options.late_ms, is_over=is_over)
            problem = problem or too_short(
                bench.pace.seconds, bench.config.server.queue_capacity, rate * options.at
            )
            yield row_of(bench, NAME, track, figures=figures, problem=problem)


def busy_code(name: str) -> str:
    """How a system says that its queue is full.

    Raises:
        BenchError: it never does.
    """
    if refuses(name):
        return system_class(name).busy_code
    raise BenchError(f"{name} refuses nobody: choose a system with a queue, such as grpc-tcp")


def refuses(name: str) -> bool:
    """Whether a system has a queue that can be full."""
    kind = system_class(name)
    return kind.is_served and bool(kind.busy_code)


def clients_of(bench: Bench) -> int:
    """As many as the server has places, and SPARE.

    Raises:
        BenchError: that is more than a load can have.
    """
    places = bench.config.server.queue_capacity + bench.threads
    if places + SPARE > MOST_CLIENTS:
        raise BenchError(
            f"the server has {places} places, and the load no more than {MOST_CLIENTS - SPARE} clients "
            "for them; measure with a smaller --set server.queue_capacity=N"
        )
    return places + SPARE


def capacity_per_s(bench: Bench, name: str) -> float:
    """What a closed loop gets with as many clients as keep every worker busy.

    Raises:
        BenchError: nothing was answered.
    """
    clients = max(LEAST_CLIENTS, 4 * bench.threads)
    with start_load(bench, name) as load:
        load.take(Closed(clients, min(WARM_S, bench.pace.seconds)))
        takens = [load.take(Closed(clients, bench.pace.seconds)) for _ in range(LOOPS)]
    rate = statistics.median(taken.requests / taken.seconds for taken in takens)
    if not rate:
        raise BenchError(f"{name} answered nothing in a closed loop of {clients} clients")
    bench.say(f"{NAME}, {name}: {rate:.1f}/s with {clients} clients")
    return rate


def figures_of(takens: Sequence[Taken], busy: str) -> dict[str, float]:
    """Of all rounds: what was accepted, how soon the rest was refused, how late the load was."""
    accepted = sum(taken.requests for taken in takens)
    failed = sum(sum(taken.errors.values()) for taken in takens)
    refused_s = np.sort(joined(taken.failures_s.get(busy, ()) for taken in takens))
    lates_s = np.sort(joined(taken.lates_s for taken in takens))
    figures = {"accepted_part": accepted / (accepted + failed)} if accepted + failed else {}
    if len(refused_s):
        figures["refused_p50_ms"] = percentile_of(refused_s, 0.5) * 1e3
        figures["refused_p99_ms"] = percentile_of(refused_s, 0.99) * 1e3
    if len(lates_s):
        figures["late_p99_ms"] = percentile_of(lates_s, 0.99) * 1e3
    return figures


def p99_ratio(full: Sequence[Window], over: Sequence[Window]) -> dict[str, float]:
    """Over what it is at capacity: the middle one of the rounds, which stood side by side."""
    ratios = [
        above.latency_ms / at.latency_ms
        for at, above in zip(full, over, strict=True)
        if at.latency_ms and above.latency_ms is not None
    ]
    return {"accepted_p99_ratio": statistics.median(ratios)} if ratios else {}


def too_short(seconds: float, places: int, rate: float) -> str:
    """Why a round has not seen the queue full at capacity, where it fills by chance alone; or empty."""
    fills_s = places**2 / rate
    if seconds >= fills_s:
        return ""
    return f"a queue of {places} places fills in about {fills_s:.0f} s at {rate:.0f}/s: give --seconds"


def why_wrong(
    track: Track, figures: dict[str, float], busy: str, late_ms: float, *, is_over: bool
) -> str:
    """Why the figures are not what they are called; empty when they are."""
    others = sorted({name for taken in track.takens for name in taken.errors} - {busy})
    if others:
        return f"requests failed otherwise than by a full queue: {', '.join(others)}"
    if figures.get("late_p99_ms", 0.0) > late_ms:
        return f"the load sent late: its p99 is {figures['late_p99_ms']:.1f} ms, {late_ms:g} may be"
    if is_over and "refused_p50_ms" not in figures:
        return "nothing was refused: this was no overload"
    return ""
