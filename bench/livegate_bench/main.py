"""`livegate bench SCENARIO`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

SCENARIOS = ("serving", "streams", "handoff", "action_clip", "backends", "compare", "show")


def main(arguments: Sequence[str]) -> int:
    """Run one scenario."""
    parser = argparse.ArgumentParser(prog="livegate bench", description="Measure this box.")
    scenarios = parser.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    for name in SCENARIOS:
        importlib.import_module(f"livegate_bench.{name}").add(scenarios)
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status
