"""All samples at once: how many a second, whatever each waits.

A server bounds its queue and refuses what is beyond it, so the load keeps it full instead: as many
requests as `--at-once` are always under way.

Source: MLPerf Inference, scenario Offline.
"""

from __future__ import annotations

import argparse

from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Closed
from livegate_bench.measure.rounds import Contender, row_of, take_turns
from livegate_bench.options import add_systems, chosen_systems, whole
from livegate_bench.rows import Row

HELP = "all samples at once: samples a second"
NAME = "offline"
PERCENTILE = 0.99


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which systems take turns, and how full the queue is kept."""
    add_systems(parser, "in-process", "grpc-tcp")
    parser.add_argument("--at-once", type=whole(1, 64), default=32, help="requests under way")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """One for each system, with figures.samples_per_s."""
    order = Closed(options.at_once, bench.pace.seconds)
    contenders = [
        Contender(name, {"at_once": options.at_once}, order, PERCENTILE)
        for name in chosen_systems(options)
    ]
    tracks = take_turns(bench, NAME, contenders)
    found = [row_of(bench, NAME, track) for track in tracks]
    return [
        row_of(bench, NAME, track, figures={"samples_per_s": row.rate_per_s})
        for track, row in zip(tracks, found, strict=True)
    ]
