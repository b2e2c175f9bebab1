"""The standard set: what serving costs, how many cameras, how soon ready. Under ten minutes.

The harness itself (null), the pipeline in a loop (of pictures, of frames), gRPC with 1, 4 and 16 clients
and the frame queue take turns; then camera_fleet and cold_start.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from livegate_bench.bench import Bench
from livegate_bench.parts import rows_of_part
from livegate_bench.rows import Row
from livegate_bench.scenarios import concurrency

HELP = "the standard set, under ten minutes"
GRPC_CLIENTS = (1, 4, 16)
CAMERAS = 4
"""Each with one frame on its way: enough that a worker never waits for a frame on a small box."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own: a set is always the same."""


def rows(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """Of all its parts."""
    pairs = [("null", 1), ("in-process", bench.threads)]
    pairs += [("grpc-tcp", clients) for clients in GRPC_CLIENTS]
    pairs += [("in-process-frames", bench.threads), ("frame-queue", CAMERAS)]
    yield from concurrency.rows_of(bench, pairs)
    yield from rows_of_part("camera_fleet", (), bench, options)
    yield from rows_of_part("cold_start", (), bench, options)
