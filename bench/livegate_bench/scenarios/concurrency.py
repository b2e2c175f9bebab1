"""Throughput and latency against the number of clients, each of which waits for its answer.

Where a system is measured with several numbers, each row tells what part it has of the best one's rate;
of frame queues also what a further one costs the server.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Closed, Taken
from livegate_bench.measure.growth import bytes_per_producer
from livegate_bench.measure.rounds import Contender, row_of, take_turns
from livegate_bench.options import MOST_CLIENTS, add_systems, chosen_systems, numbers
from livegate_bench.rows import Row

HELP = "throughput against the number of clients, closed loop"
NAME = "concurrency"
QUEUE = "frame-queue"
PERCENTILE = 0.99


def add_options(parser: argparse.ArgumentParser) -> None:
    """Systems and numbers of clients; each takes turns with each."""
    add_systems(parser, "in-process", "grpc-tcp")
    parser.add_argument("--clients", type=numbers(1, MOST_CLIENTS), default=(1, 4, 16), metavar="N,N")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """One for each system and number."""
    pairs = [(name, clients) for name in chosen_systems(options) for clients in options.clients]
    return rows_of(bench, pairs)


def rows_of(bench: Bench, pairs: list[tuple[str, int]]) -> list[Row]:
    """One for each (system, clients), in turns."""
    names = dict.fromkeys(name for name, _ in pairs)
    counts = {name: [clients for of, clients in pairs if of == name] for name in names}
    memory = {QUEUE: bytes_per_producer(bench, QUEUE, counts[QUEUE])} if has_growth(counts) else {}
    contenders = [
        Contender(name, {"clients": clients}, Closed(clients, bench.pace.seconds), PERCENTILE)
        for name, clients in pairs
    ]
    rows = []
    tracks = take_turns(bench, NAME, contenders)
    parts = peak_parts([(name, track.together) for (name, _), track in zip(pairs, tracks, strict=True)])
    for (name, clients), part, track in zip(pairs, parts, tracks, strict=True):
        figures = {"peak_part": part} if len(counts[name]) > 1 else {}
        if clients in memory.get(name, {}):
            figures["rss_per_producer_bytes"] = memory[name][clients]
        rows.append(row_of(bench, NAME, track, figures=figures))
    return rows


def has_growth(counts: Mapping[str, Sequence[int]]) -> bool:
    """Whether frame queues are measured with several numbers: else nobody asks how they grow."""
    return len(counts.get(QUEUE, ())) > 1


def peak_parts(measured: Sequence[tuple[str, Taken]]) -> list[float]:
    """Of each (system, what it did): its rate over the best of that system."""
    rates = [(name, taken.requests / taken.seconds) for name, taken in measured]
    best = {name: max(rate for of, rate in rates if of == name) for name, _ in rates}
    return [rate / best[name] if best[name] else 0.0 for name, rate in rates]
