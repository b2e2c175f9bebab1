"""Everything: each scenario with each system that it makes sense for. More than an hour."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from livegate_bench.bench import Bench
from livegate_bench.parts import rows_of_part
from livegate_bench.rows import Row
from livegate_bench.scenarios.overload import refuses
from livegate_bench.system import system_names

HELP = "everything: each scenario, each system"


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def rows(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """Each once; the soak last. The harness itself has a row of single_stream."""
    names = system_names()
    everything = [part for name in names for part in ("--system", name)]
    working = [part for name in names if name != "null" for part in ("--system", name)]
    refusing = [part for name in names if refuses(name) for part in ("--system", name)]
    for scenario, arguments in (
        ("single_stream", everything),
        ("multi_stream", working),
        ("offline", working),
        ("concurrency", [*working, "--clients", "1,4,16,64"]),
        ("server_poisson", []),
        ("overload", refusing),
        ("camera_fleet", ["--decode"]),
        ("action_clip", []),
        ("cold_start", []),
        ("soak", []),
    ):
        yield from rows_of_part(scenario, arguments, bench, options)
