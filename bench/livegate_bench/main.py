"""`livegate bench SCENARIO`."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from livegate_bench.failure import BenchError, Stopped
from livegate_bench.options import Parser
from livegate_bench.run import add_scenarios

TOOLS = ("streams", "handoff", "backends", "compare", "show", "tune")
"""Sub-commands with flags and figures of their own, beside those of scenarios/."""


def main(arguments: Sequence[str]) -> int:
    """Run one scenario; 2 when there are no figures."""
    parser = Parser(prog="livegate bench", description="Measure this box.")
    scenarios = parser.add_subparsers(dest="scenario", required=True, metavar="SCENARIO")
    add_scenarios(scenarios)
    for name in TOOLS:
        importlib.import_module(f"livegate_bench.tools.{name}").add(scenarios)
    options = parser.parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _leave)  # the server that was started must not outlive us
    try:
        status: int = options.run(options)
    except BenchError as error:
        print(f"livegate bench: {error}", file=sys.stderr)
        return 128 + error.number if isinstance(error, Stopped) else 2
    finally:
        signal.signal(signal.SIGTERM, before)
    return status


def _leave(number: int, _: FrameType | None) -> NoReturn:
    # timeout(1) sends it twice, and the second one must not end the tidying up.
    signal.signal(number, signal.SIG_IGN)
    raise Stopped(number)
