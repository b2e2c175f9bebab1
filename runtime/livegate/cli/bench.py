"""`livegate bench`: the benchmark harness, a package of its own, loaded by name."""

from __future__ import annotations

import argparse
import importlib
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("bench", help="measure this box", add_help=False)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Hand everything to the harness."""
    status: int = importlib.import_module("livegate_bench.main").main(options.arguments)
    return status
