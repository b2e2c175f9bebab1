"""Scenarios as parts of a set."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from livegate.core.plugins import load_plugin
from livegate_bench.bench import Bench
from livegate_bench.rows import Row

SCENARIOS = "livegate_bench.scenarios"


def rows_of_part(
    name: str, arguments: Sequence[str], bench: Bench, base: argparse.Namespace
) -> Iterable[Row]:
    """The rows of a scenario with these flags of its own, and the set's for all else."""
    module = load_plugin(SCENARIOS, name)
    parser = argparse.ArgumentParser(prog=name)
    module.add_options(parser)
    options = parser.parse_args(list(arguments), argparse.Namespace(**vars(base)))
    rows: Iterable[Row] = module.rows(bench, options)
    return rows
