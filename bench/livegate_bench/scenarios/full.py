"""Everything: each scenario with each system that it makes sense for. More than an hour."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from livegate_bench.bench import Bench
from livegate_bench.parts import rows_of_part
from livegate_bench.rows import Row
from livegate_bench.scenarios import standard
from livegate_bench.system import system_names

HELP = "everything: each scenario, each system"


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def rows(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """The standard set first, the soak last."""
    working = [part for name in system_names() if name != "null" for part in ("--system", name)]
    yield from standard.rows(bench, options)
    for name in ("single_stream", "multi_stream", "offline"):
        yield from rows_of_part(name, working, bench, options)
    yield from rows_of_part("concurrency", (*working, "--clients", "1,4,16,64"), bench, options)
    yield from rows_of_part("server_poisson", (), bench, options)
    yield from rows_of_part("action_clip", (), bench, options)
    yield from rows_of_part("soak", (), bench, options)
