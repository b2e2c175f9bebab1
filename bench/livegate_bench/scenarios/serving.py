"""What serving costs: clients in another process against an in-process loop, in one run.

Both run the same pipeline, models and detector size on the same cores, in turns, so that a machine
that speeds up or slows down does it to both. The ratio is taken round by round.
"""

from __future__ import annotations

import argparse
import statistics

from livegate_bench.bench import Bench
from livegate_bench.generator.loadgen import Closed
from livegate_bench.measure.rounds import Contender, Track, row_of, take_turns
from livegate_bench.options import MOST_CLIENTS, system, whole
from livegate_bench.rows import Row
from livegate_bench.system import system_class

HELP = "a server's throughput against an in-process loop"
NAME = "serving"
PERCENTILE = 0.99


def add_options(parser: argparse.ArgumentParser) -> None:
    """Through what, and how many."""
    parser.add_argument("--clients", type=whole(1, MOST_CLIENTS), default=4)
    parser.add_argument("--system", type=system, default="grpc-tcp", help="what is compared")


def rows(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """The loop with a thread for each worker, and the server, which has figures.ratio_median."""
    alone = system_class(options.system).without_server
    base, served = take_turns(
        bench,
        NAME,
        [
            Contender(name, {"clients": n}, Closed(n, bench.pace.seconds), PERCENTILE)
            for name, n in ((alone, bench.threads), (options.system, options.clients))
        ],
    )
    return [row_of(bench, NAME, base), row_of(bench, NAME, served, figures=figures(base, served))]


def figures(base: Track, served: Track) -> dict[str, float]:
    """Of windows that stand beside each other; those without an answer say nothing."""
    pairs = [
        (b, s) for b, s in zip(base.windows, served.windows, strict=True) if b.requests and s.requests
    ]
    if not pairs:
        return {}
    ratios = [s.rate_per_s / b.rate_per_s for b, s in pairs]
    costs = [(s.core_ms_per_request or 0.0) - (b.core_ms_per_request or 0.0) for b, s in pairs]
    return {
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "serving_core_ms": statistics.median(costs),
    }
