"""Throughput and latency against the number of clients, each of which waits for its answer."""

from __future__ import annotations

import argparse

from livegate_bench.bench import Bench
from livegate_bench.loadgen import Closed
from livegate_bench.options import MOST_CLIENTS, add_systems, chosen_systems, numbers
from livegate_bench.rounds import Contender, row_of, take_turns
from livegate_bench.rows import Row

HELP = "throughput against the number of clients, closed loop"
NAME = "concurrency"
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
    contenders = [
        Contender(name, {"clients": clients}, Closed(clients, bench.pace.seconds), PERCENTILE)
        for name, clients in pairs
    ]
    return [row_of(bench, NAME, track) for track in take_turns(bench, NAME, contenders)]
