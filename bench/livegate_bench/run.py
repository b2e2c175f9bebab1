"""A scenario from its flags to its report."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from livegate import __version__
from livegate.core.errors import LiveGateError
from livegate.core.plugins import load_plugin, plugin_names
from livegate_bench.bench import Bench
from livegate_bench.failure import BenchError
from livegate_bench.measure.conditions import machine
from livegate_bench.options import add_common, changed_settings
from livegate_bench.parts import SCENARIOS
from livegate_bench.report.reports import add_outputs, check_outputs, deliver
from livegate_bench.rows import Report, Row

GIT_S = 10
Rows = Callable[[Bench, argparse.Namespace], Iterable[Row]]


def add_scenarios(parsers: object) -> None:
    """One sub-command for each file of scenarios/: HELP, add_options(parser), rows(bench, options)."""
    for name in plugin_names(SCENARIOS):
        module = load_plugin(SCENARIOS, name)
        parser = parsers.add_parser(name, help=module.HELP, description=module.__doc__)  # type: ignore[attr-defined]
        add_common(parser)
        module.add_options(parser)
        add_outputs(parser)
        parser.set_defaults(run=partial(run, module))


def run(module: ModuleType, options: argparse.Namespace) -> int:
    """Measure, and hand the report over; the exit status is the report's.

    Raises:
        BenchError: a figure cannot be had.
        SetupError: a setting is refused, an output cannot be written.
    """
    check_outputs(options)
    report, failure = run_rows(module.rows, options)
    if not report.rows and failure is not None:
        raise failure
    status = deliver(report, options)
    if failure is not None:  # what was measured before is told: a set may have taken an hour
        raise failure
    return status


def run_rows(rows: Rows, options: argparse.Namespace) -> tuple[Report, BenchError | None]:
    """The report of a scenario, and why it ends before its end, if it does.

    Raises:
        BenchError: the bench cannot begin.
        SetupError: a setting is refused.
    """
    found, failure = list[Row](), None
    started_unix_s, started_s = time.time(), time.perf_counter()
    with Bench(options) as bench:
        try:
            found.extend(rows(bench, options))
        except BenchError as error:
            failure = error
        except (LiveGateError, OSError, KeyboardInterrupt) as error:
            failure = BenchError(f"the run broke off: {error or type(error).__name__}")
    report = Report(
        command=command_line(sys.argv[1:]),
        livegate=__version__,
        git_revision=git_revision(Path(__file__).parent),
        started_unix_s=started_unix_s,
        seconds=time.perf_counter() - started_s,
        machine=machine(),
        settings=tuple(map(_without_place, changed_settings(options))),
        rows=tuple(found),
    )
    return report, failure


def command_line(arguments: Sequence[str]) -> str:
    """What was typed, without folders and hosts: a report is shown to others."""
    return " ".join(("livegate", *(_without_place(argument) for argument in arguments)))


def _without_place(argument: str) -> str:
    name, equals, value = argument.rpartition("=")
    return f"{name}{equals}…" if os.sep in value else argument


def git_revision(folder: Path) -> str | None:
    """Of the checkout that a folder is in, with "+" when files that git knows were changed.

    None of an installed wheel, also of one in a checkout of something else.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or not (Path(top) / "bench" / "livegate_bench").is_dir():
        return None
    revision, changed = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "-uno")
    return None if revision is None else revision + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
