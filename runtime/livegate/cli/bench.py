"""`livegate bench`: the benchmark harness, a package of its own, loaded by name."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any


def add(commands: Any) -> None:
    """Stand in the help; the arguments are the harness's own business."""
    parser = commands.add_parser("bench", help="measure this box", add_help=False)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=lambda options: run(options.arguments))


def run(arguments: Sequence[str]) -> int:
    """Hand everything to the harness."""
    status: int = importlib.import_module("livegate_bench.main").main(arguments)
    return status
