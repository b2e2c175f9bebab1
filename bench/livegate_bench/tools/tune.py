"""`livegate tune`: what runs best on this very box, measured, held to what it must find, and kept.

Each step tries settings against the best so far, in turns, so that a machine that slows down does it to
both: a backend for each model, then threads, then the detector's size. A setting is kept when its median
is better by WORTH and no round was worse; so a box is not moved by noise. Engines pass the golden gate
when they load; then every picture must show the same faces, and the same score within the tolerance.

A smaller detector finds small faces no more, and two portraits would not show it: sizes are tried with
pictures of the operator's own door only, ENOUGH_FACES faces in them at least.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from livegate import __version__
from livegate.app.build import TASKS, build_store, serving_manifests
from livegate.app.engines import load_backend
from livegate.core.config import Config, LogConfig
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.files import read_file, replace_file
from livegate.core.plugins import load_plugin
from livegate.core.profile import FILE_NAME, Profile, Trial, this_machine
from livegate.core.settings import load
from livegate.core.telemetry import configure_logging
from livegate.engines.choice import wish_for
from livegate.manifests.schema import Manifest
from livegate.manifests.store import cache_dir
from livegate_bench.models import add_models, model_flags
from livegate_bench.options import number, whole
from livegate_bench.picture import load_picture
from livegate_bench.tools.contender import SILENT, Contender, Finding, strays

PICTURES = (".jpg", ".jpeg", ".png")
WORTH = 1.03
ENOUGH_FACES = 20
SIZES = (160, 192, 224, 256, 288)
OVERLAP, OVERLAP_OF_SIZES = 0.9, 0.7
Settings = Mapping[str, Any]


@dataclass
class Tuner:
    """The best so far, and what was tried."""

    base: Settings
    pictures: Sequence[bytes]
    tolerance: float
    rounds: int
    seconds: float
    console: Console
    contend: Callable[[Settings], Contender] = Contender
    """Loads a configuration; raises LiveGateError where it does not run."""
    best: Contender = field(init=False)
    expected: list[Finding] = field(init=False)
    trials: list[Trial] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Load the default, which everything is held to."""
        self.best = self.contend(self.base)
        self.expected = [self.best.find(picture) for picture in self.pictures]

    def attempt(self, change: Settings, task: str = SILENT, overlap: float = OVERLAP) -> None:
        """Measure a change of the best so far, and keep it where it is worth it."""
        settings = {**self.best.settings, **change}
        try:
            rival = self.contend(settings)
        except LiveGateError as error:
            self._note(Trial(settings=dict(change), ratio=None, refused=error.message))
            return
        why = self._strays(rival, overlap)
        trial = Trial(settings=dict(change), ratio=None, refused=why)
        if not why:
            trial = self._measured(change, rival, task)
        self._note(trial)
        if trial.ratio and trial.ratio >= WORTH and (trial.ratio_min or 0) > 1:
            self.best, rival = rival, self.best
        rival.end()

    def against_default(self) -> Trial:
        """What the best is worth, measured once more."""
        default = self.contend(self.base)
        change = self.changes
        trial = self._measured(change, self.best, SILENT, default)
        default.end()
        return trial

    @property
    def changes(self) -> dict[str, Any]:
        """What the best has otherwise than the default."""
        return {key: value for key, value in self.best.settings.items() if self.base.get(key) != value}

    def _strays(self, rival: Contender, overlap: float) -> str:
        try:
            found = [rival.find(picture) for picture in self.pictures]
        except LiveGateError as error:
            return error.message
        return strays(self.expected, found, overlap=overlap, score=self.tolerance)

    def _measured(
        self, change: Settings, rival: Contender, task: str, base: Contender | None = None
    ) -> Trial:
        ratios = []
        for turn in range(self.rounds + 1):
            rates = [one.rate(self.pictures, task, self.seconds) for one in (base or self.best, rival)]
            if turn:  # the first one warms
                ratios.append(rates[1] / rates[0])
        return Trial(
            settings=dict(change),
            ratio=statistics.median(ratios),
            ratio_min=min(ratios),
            ratio_max=max(ratios),
        )

    def _note(self, trial: Trial) -> None:
        self.trials.append(trial)
        self.console.print(line_of(trial), highlight=False, markup=False)


def add(scenarios: Any) -> None:
    """Add it to the parser; `livegate tune` is the same."""
    parser = scenarios.add_parser("tune", help="find and keep the fastest settings of this box")
    add_models(parser)
    parser.add_argument("--rounds", type=whole(1, 100), default=5)
    parser.add_argument(
        "--seconds", type=number(0.01, 60), default=1.0, help="of each setting in each round"
    )
    parser.add_argument(
        "--pictures",
        metavar="DIR",
        type=Path,
        help=f"of your own door; with {ENOUGH_FACES} faces detector sizes are tried, too",
    )
    parser.add_argument(
        "--tolerance",
        type=number(0, 1),
        default=0.02,
        help="most that a picture's silent score may differ, 0..1",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="else where `serve` looks: the cache")
    parser.add_argument("--dry-run", action="store_true", help="measure, and write nothing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, print, write the profile."""
    configure_logging(LogConfig(level="error"))
    console = Console(stderr=True)
    tuner = Tuner(
        {key: value for key, value in model_flags(options).items() if value},
        _pictures(options.pictures),
        options.tolerance,
        options.rounds,
        options.seconds,
        console,
    )
    for own, task in _backends(tuner.base):
        tuner.attempt({"engine.use": {**tuner.best.settings.get("engine.use", {}), **own}}, task)
    for threads in _threads(len(os.sched_getaffinity(0))):
        tuner.attempt(threads)
    for size in _sizes(tuner, console):
        tuner.attempt({"face_detection.input_size": size}, overlap=OVERLAP_OF_SIZES)
    won = tuner.against_default() if tuner.changes else None
    tuner.best.end()
    _report(tuner, won)
    if not options.dry_run:
        _keep(options, tuner, won)
    return 0


def _backends(base: Settings) -> Iterator[tuple[dict[str, str], str]]:
    """For every model that serves, every backend and provider that it does not run on already."""
    config = load(flags=base, environ={}).config
    for manifest in serving_manifests(config, build_store(config)):
        task = load_plugin(TASKS, manifest.task).Plugin.name
        for way in _ways(manifest, config):
            yield {manifest.id: way}, task


def _ways(manifest: Manifest, config: Config) -> Iterator[str]:
    asked = wish_for(manifest.id, config.engine)
    for name in manifest.backends:
        capability = load_backend(name).probe()
        if not (capability.is_available and capability.computes):
            continue
        own = capability.providers[:1] if name == asked.backend else ()
        yield from (f"{name}/{provider}" for provider in capability.providers if provider not in own)


def _threads(cores: int) -> Iterator[dict[str, int]]:
    """Threads inside a run by runs at once: as many as cores together, or one run more than cores."""
    halves = {(cores, 1), (2, max(1, cores // 2)), (1, cores + 1)} - {(1, cores)}
    for inside, at_once in sorted(halves):
        if inside <= cores:
            yield {"engine.intra_op_threads": inside, "server.workers": at_once}


def _sizes(tuner: Tuner, console: Console) -> tuple[int, ...]:
    faces = sum(len(finding.faces) for finding in tuner.expected)
    if faces >= ENOUGH_FACES:
        return SIZES
    why = f"the pictures show {faces} faces, it takes {ENOUGH_FACES} (--pictures DIR)"
    console.print(f"detector sizes are not tried: {why}", highlight=False)
    return ()


def _pictures(folder: Path | None) -> list[bytes]:
    if folder is None:
        return [load_picture(None)]
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not files:
        raise RequestError(ErrorCode.NO_EXIST, f"{folder} has no {', '.join(PICTURES)}")
    return [read_file(file, Config().limits.max_image_bytes) for file in files]


def line_of(trial: Trial) -> str:
    """A trial in words."""
    what = ", ".join(f"{key} = {value}" for key, value in trial.settings.items())
    if trial.refused:
        return f"{what}: not taken: {trial.refused}"
    return f"{what}: {spread_of(trial)} times the best so far"


def spread_of(trial: Trial) -> str:
    """A trial's ratio: median (min .. max)."""
    return f"{trial.ratio:.2f} ({trial.ratio_min:.2f} .. {trial.ratio_max:.2f})"


def _report(tuner: Tuner, won: Trial | None) -> None:
    console = Console()
    if won is None:
        console.print(f"the default is the best of {len(tuner.trials) + 1} settings on this box")
        return
    table = Table("key", "value", box=None)
    for key, value in won.settings.items():
        table.add_row(key, msgspec.json.encode(value).decode())
    console.print(table)
    tried = f"{tuner.rounds} rounds, {len(tuner.trials)} settings tried"
    console.print(f"{spread_of(won)} times the default's pictures a second; {tried}", highlight=False)


def _keep(options: argparse.Namespace, tuner: Tuner, won: Trial | None) -> None:
    profile = Profile(
        livegate=__version__,
        pack=options.pack,
        machine=this_machine(),
        settings=won.settings if won else {},
        trials=(*tuner.trials, *([won] if won else ())),
    )
    path = options.out or cache_dir() / FILE_NAME
    content = msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        fact = f"{path} cannot be written: {error.strerror}"
        raise RequestError(ErrorCode.WRITE_FAIL, fact) from error
    told = f"kept in {path}" + ("" if options.out else "; `livegate serve` takes it from there")
    Console().print(told, highlight=False, soft_wrap=True)
