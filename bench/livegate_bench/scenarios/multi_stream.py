"""Queries of eight pictures at once, the next when all eight are answered; judged by the queries' p99.

Source: MLPerf Inference, scenario MultiStream.
"""

from __future__ import annotations

import argparse

from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Queries
from livegate_bench.measure.rounds import Contender, row_of, take_turns
from livegate_bench.options import add_systems, chosen_systems, whole
from livegate_bench.rows import Row

HELP = "eight at once, the next when all are answered; judged by p99"
NAME = "multi_stream"
PERCENTILE = 0.99


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which systems take turns, and how much is one query."""
    add_systems(parser, "in-process", "grpc-tcp")
    parser.add_argument("--samples", type=whole(1, 64), default=8, help="of one query")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """One for each system; latencies are those of queries."""
    order = Queries(options.samples, bench.pace.seconds)
    settings = {"samples": options.samples}
    contenders = [Contender(name, {**settings}, order, PERCENTILE) for name in chosen_systems(options)]
    return [row_of(bench, NAME, track) for track in take_turns(bench, NAME, contenders)]
