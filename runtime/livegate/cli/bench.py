"""`livegate bench`, `livegate tune`: the benchmark harness, a package of its own, loaded by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any


def add(commands: Any) -> None:
    """Stand in the help; `main` hands the arguments to `run` before they are parsed."""
    for name, text in (("bench", "measure this box"), ("tune", "find the fastest settings of this box")):
        commands.add_parser(name, help=text, add_help=False)


def run(arguments: Sequence[str]) -> int:
    """Hand everything to the harness."""
    status: int = importlib.import_module("livegate_bench.main").main(arguments)
    return status
