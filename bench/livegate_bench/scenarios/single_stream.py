"""One client that waits for each answer before it asks again; judged by the 90th percentile.

Source: MLPerf Inference, scenario SingleStream.
"""

from __future__ import annotations

import argparse

from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Closed
from livegate_bench.measure.rounds import Contender, row_of, take_turns
from livegate_bench.options import add_systems, chosen_systems
from livegate_bench.rows import Row

HELP = "one request after the other; judged by p90"
NAME = "single_stream"
PERCENTILE = 0.9


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which systems take turns."""
    add_systems(parser, "in-process", "grpc-tcp", "grpc-unix", "frame-queue")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """One for each system."""
    contenders = [
        Contender(name, {"clients": 1}, Closed(1, bench.pace.seconds), PERCENTILE)
        for name in chosen_systems(options)
    ]
    return [row_of(bench, NAME, track) for track in take_turns(bench, NAME, contenders)]
