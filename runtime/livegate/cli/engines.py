"""`livegate engines build | list | verify | prune`: engines that are built for this very box.

Exit status: 2 when something is wrong or missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, track

from livegate.app.build import build_store
from livegate.app.calibrating import INT8, calibrate, int8_manifests
from livegate.app.enginebuilds import (
    BuildJob,
    EngineBuilds,
    unwanted_by_this_box,
    wanted_engines,
    wanted_manifests,
)
from livegate.cli.output import answers, errors, print_json, table
from livegate.cli.settings import add_settings, load_settings
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.files import files_below
from livegate.core.telemetry import configure_logging
from livegate.engines.builds import BuildProgress
from livegate.engines.cache import EngineCache, RecordState
from livegate.ingest.headers import SUFFIXES
from livegate.manifests.store import ModelStore


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("engines", help="build, list, verify and prune engines for this box")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text, act in (
        ("build", "build what would run first and is not built; before the server starts", build),
        ("list", "every engine that was built, and whether it is of this box", show),
        (
            "verify",
            "check every engine; status 2 when one is damaged or one that is wanted is missing",
            verify,
        ),
        ("prune", "remove engines that are damaged or of another box", prune),
    ):
        action = actions.add_parser(name, help=text)
        add_settings(action)
        action.set_defaults(run=lambda options, act=act: _run(options, act))
        if name in ("build", "verify"):
            action.add_argument("ids", nargs="*", metavar="MODEL", help="none = those that serve")
        if name == "build":
            action.add_argument("--again", action="store_true", help="also what is built already")
            action.add_argument(
                "--calibrate",
                metavar="DIR",
                help="with --precision int8: first measure the networks on these pictures of your door",
            )
        if name == "list":
            action.add_argument("--json", action="store_true", help="one JSON object an engine")


def _run(options: argparse.Namespace, act: Any) -> int:
    config = load_settings(options, log__level="warning").config
    configure_logging(config.log)
    status: int = act(options, config)
    return status


def build(options: argparse.Namespace, config: Config) -> int:
    """Build with progress; Ctrl-C gives up and keeps what was there."""
    store = build_store(config)
    if config.engine.precision == INT8:
        _require_int8(options, config, store)
    elif options.calibrate:
        _complain(
            f"--calibrate is for --precision int8, and engine.precision is {config.engine.precision}"
        )
        return 2
    wanted = list(wanted_engines(config, store, options.ids))
    if not wanted:
        _complain(
            "no model runs first on a backend that builds engines: engine.backend is "
            f"{config.engine.backend}; ask for --backend tensorrt or --backend ascend, and see "
            "`livegate doctor`"
        )
        return 2
    if options.calibrate:
        _measure(Path(options.calibrate), config, store, wanted)
        wanted = list(wanted_engines(config, store, options.ids))
    jobs = [job for job in wanted if job.why or options.again]
    for job in wanted:
        if job not in jobs:
            _say(f"{job.model}: {job.network.name}: built already, in {job.options.precision}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[left]}"),
    )
    with Progress(*columns, console=errors()) as bars:
        for job in jobs:
            took_s = _build(job, bars)
            _say(f"{job.model}: {job.network.name}: built in {took_s:.0f} s, in {job.options.precision}")
    return 0


def _require_int8(options: argparse.Namespace, config: Config, store: ModelStore) -> None:
    """Refuse what may not run in int8, or say that it stays as it is."""
    asked = tuple(wanted_manifests(config, store, options.ids))
    allowed = int8_manifests(asked, options.ids)
    for manifest in asked:
        if manifest not in allowed:
            _say(f"{manifest.id}: stays as it is: its manifest has no tolerance for int8")


def _measure(folder: Path, config: Config, store: ModelStore, wanted: Iterable[BuildJob]) -> None:
    """Measure the models that an int8 engine is wanted of."""
    ids = sorted({job.model for job in wanted if job.options.precision == INT8})
    if not ids:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            "there is nothing to measure: no model that may run in int8 runs on a backend that has it",
            hint="ask for --backend tensorrt",
        )
    pictures = files_below(folder, SUFFIXES)

    def tell(path: Path, why: str) -> None:
        if why:
            _complain(f"{path}: passed over: {why}")

    shown = track(pictures, "measuring", console=errors(), disable=not errors().is_terminal)
    manifests = [store.manifest(model_id) for model_id in ids]
    for ranges in calibrate(config, store, manifests, shown, tell):
        _say(f"network {ranges.network}: measured on {ranges.runs} inputs, ranges {ranges.digest[:12]}")


def _build(job: BuildJob, bars: Progress) -> float:
    name = f"{job.model} {job.network.name}"
    bar = bars.add_task(name, total=1.0, left="")

    def advance(progress: BuildProgress) -> None:
        left = "" if progress.left_s is None else f"{progress.left_s:.0f} s left"
        bars.update(bar, completed=progress.part, description=f"{name}: {progress.phase}", left=left)

    builds = EngineBuilds(advance)
    # In a thread of its own: this one hears Ctrl-C while the library works.
    with ThreadPoolExecutor(1) as threads:
        building = threads.submit(builds.run, [job])
        try:
            return building.result()[0]
        except KeyboardInterrupt:
            builds.cancel()
            raise


def show(options: argparse.Namespace, config: Config) -> int:
    """Print every record with what is wrong with it."""
    is_wanted, shown = (
        unwanted_by_this_box(),
        table("network", "for", "provider", "state", "MiB", "record"),
    )
    for state in EngineCache().records():
        word = _word(state, is_wanted)
        if options.json:
            print_json({"record": str(state.path), "state": word, "engine": state.engine})
            continue
        if state.engine is None:
            shown.add_row("?", "?", "?", escape(word), "", str(state.path))
            continue
        key = state.engine.key
        cuda = f" (sm {key.capability}), CUDA {key.cuda}" if key.cuda else ""
        built_for = f"{key.backend} {key.library}, {key.gpu}{cuda}"
        size = f"{state.engine.plan_bytes / (1 << 20):.1f}"
        shown.add_row(
            *(key.network, escape(built_for), f"{key.provider} {key.precision}"),
            *(escape(word), size, str(state.path)),
        )
    if not options.json:
        answers().print(shown)
    return 0


def verify(options: argparse.Namespace, config: Config) -> int:
    """Every record, and every engine that the configuration wants."""
    problems = 0
    for state in EngineCache().records():
        if state.problem:
            problems += 1
            _complain(f"{state.path}: {state.problem} (`livegate engines prune` removes it)")
        else:
            _say(f"{state.path}: ok")
    for path, why in EngineCache().damaged_notes():
        problems += 1
        _complain(f"{path}: {why} (`livegate engines build --calibrate DIR` measures again)")
    for job in wanted_engines(config, build_store(config), options.ids):
        if job.why:
            problems += 1
            _complain(f"{job.model}: {job.why} (`livegate engines build` makes it)")
    return 2 if problems else 0


def prune(options: argparse.Namespace, config: Config) -> int:
    """Remove, and say what and why."""
    removed = EngineCache().prune(unwanted_by_this_box())
    for path, why in removed:
        _say(f"{path}: removed: {why}")
    _say(f"{len(removed)} files removed")
    return 0


def _word(state: RecordState, is_wanted: Any) -> str:
    if state.problem or state.engine is None:
        return state.problem
    return "ok" if is_wanted(state.engine.key) else "of another box, driver or version"


def _say(text: str) -> None:
    answers().print(text, markup=False, highlight=False)


def _complain(text: str) -> None:
    errors().print(text, style="red", markup=False, highlight=False)
