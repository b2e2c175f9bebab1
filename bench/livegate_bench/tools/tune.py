"""`livegate tune`: what runs best on this very box, measured, held to what it must find, and kept.

Each step tries settings against the best so far, in turns, so that a machine that slows down does it to
both: a backend for each model, then precisions, threads, and the detector's size. A setting is kept when
its median is better by WORTH and no round was worse; so a box is not moved by noise. Engines pass the
golden gate when they load; then every picture must show the same faces, and the same score within the
tolerance.

Models that share a file are moved together: apart, the file would run twice for what ran once.

A smaller detector finds small faces no more, a lower precision moves scores, and two portraits would
show neither: both are tried with pictures of the operator's own door only, ENOUGH_FACES faces in them at
least.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from livegate import __version__
from livegate.app.build import TASKS, build_store, serving_manifests
from livegate.app.engines import load_backend
from livegate.cli.settings import add_settings, load_settings
from livegate.core.config import Config, EngineConfig, LogConfig
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.files import read_file, replace_file
from livegate.core.plugins import load_plugin
from livegate.core.profile import FILE_NAME, Profile, Trial, by_section, this_machine
from livegate.core.telemetry import configure_logging
from livegate.engines.choice import precision_for, ways_to_run, wish_for
from livegate.manifests.schema import Manifest, Precision
from livegate.manifests.store import cache_dir
from livegate_bench.options import number, whole
from livegate_bench.picture import load_picture
from livegate_bench.report.reports import check_writable
from livegate_bench.tools.contender import SILENT, Contender, Finding, strays

PICTURES = (".jpg", ".jpeg", ".png")
WORTH = 1.03
ENOUGH_FACES = 20
MOST_TIMED = 16
"""Pictures that are timed, evenly drawn: both sides see all of them, again and again."""
SIZES = (160, 192, 224, 256, 288)
PRECISIONS: tuple[Precision, ...] = ("fp16", "int8")
OVERLAP, OVERLAP_OF_OTHERS = 0.9, 0.7
"""Of faces that the same network computes elsewhere; by another size or precision."""
Settings = Mapping[str, Any]
Load = tuple[str, ...]
"""Tasks that are asked for at once."""


@dataclass
class Tuner:
    """The best so far, and what was tried. Settings are changes of the default, by key."""

    pictures: Mapping[str, bytes]
    tolerance: float
    rounds: int
    seconds: float
    console: Console
    contend: Callable[[Settings], Contender]
    """Loads a configuration; raises LiveGateError where it does not run."""
    changes: Settings = field(init=False, default_factory=dict)
    """What the best has otherwise than the default."""
    best: Contender = field(init=False)
    expected: Mapping[str, Finding] = field(init=False)
    trials: list[Trial] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Load the default, which everything is held to."""
        self.best = self.contend({})
        self.expected = {name: _found(self.best, name, one) for name, one in self.pictures.items()}
        shown = [self.pictures[name] for name, finding in self.expected.items() if finding.faces]
        if not shown:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"no face is seen in {self._named}",
                hint="it takes people: only the detector would run",
            )
        step = max(1, len(shown) / MOST_TIMED)
        self._timed = [shown[int(place * step)] for place in range(min(len(shown), MOST_TIMED))]

    @property
    def _named(self) -> str:
        first, *others = self.pictures
        return f"any of {len(self.pictures)} pictures, {first} and so on" if others else first

    @property
    def loads(self) -> tuple[Load, ...]:
        """What settings of the whole box are held to: silent liveness, and everything at once."""
        return (SILENT,), self.best.tasks

    def attempt(self, change: Settings, loads: Sequence[Load] = (), overlap: float = OVERLAP) -> None:
        """Measure a change of the best so far, and keep it where it is worth it."""
        settings = {**self.changes, **change}
        try:
            rival = self.contend(settings)
        except LiveGateError as error:
            self._note(Trial(settings=dict(change), refused=error.message))
            return
        try:
            trial = self._tried(change, rival, loads or self.loads, overlap)
        except LiveGateError as error:
            trial = Trial(settings=dict(change), refused=error.message)
        self._note(trial)
        if trial.ratio and not trial.refused and trial.ratio >= WORTH and (trial.ratio_min or 0) > 1:
            self.best, rival, self.changes = rival, self.best, settings
        rival.end()

    def against_default(self) -> Trial:
        """What the best is worth, measured once more."""
        default = self.contend({})
        trial = self._measured(self.changes, default, self.best, self.loads)
        default.end()
        return trial

    def _tried(self, change: Settings, rival: Contender, loads: Sequence[Load], overlap: float) -> Trial:
        found = {name: rival.find(picture) for name, picture in self.pictures.items()}
        if why := strays(self.expected, found, overlap=overlap, score=self.tolerance):
            return Trial(settings=dict(change), refused=why)
        return self._measured(change, self.best, rival, loads)

    def _measured(
        self, change: Settings, base: Contender, rival: Contender, loads: Sequence[Load]
    ) -> Trial:
        by_load: dict[Load, list[float]] = {load: [] for load in loads}
        for turn in range(self.rounds + 1):
            for load, ratios in by_load.items():
                order = (base, rival) if turn % 2 else (rival, base)
                rates = {id(one): one.rate(self._timed, load, self.seconds) for one in order}
                if turn:  # the first one warms
                    ratios.append(rates[id(rival)] / rates[id(base)])
        means = [statistics.geometric_mean(ratios) for ratios in zip(*by_load.values(), strict=True)]
        slower = [
            f"{' and '.join(load)}: {median:.2f} times as fast"
            for load, ratios in by_load.items()
            if (median := statistics.median(ratios)) < 1 / WORTH
        ]
        return Trial(
            settings=dict(change),
            ratio=statistics.median(means),
            ratio_min=min(means),
            ratio_max=max(means),
            refused=slower[0] if slower and len(by_load) > 1 else "",
        )

    def _note(self, trial: Trial) -> None:
        self.trials.append(trial)
        self.say(line_of(trial))

    def say(self, line: str) -> None:
        """Progress, for whoever waits."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _found(contender: Contender, name: str, picture: bytes) -> Finding:
    try:
        return contender.find(picture)
    except RequestError as error:
        raise RequestError(error.code, f"{name}: {error.message}", hint=error.hint) from error


def add(scenarios: Any) -> None:
    """Add it to the parser; `livegate tune` is the same."""
    parser = scenarios.add_parser("tune", help="find and keep the fastest settings of this box")
    add_settings(parser)
    parser.add_argument("--rounds", type=whole(3, 100), default=5)
    parser.add_argument(
        "--seconds", type=number(0.01, 60), default=1.0, help="of each setting in each round, at least"
    )
    parser.add_argument(
        "--pictures",
        metavar="DIR",
        type=Path,
        help=f"of your own door; with {ENOUGH_FACES} faces sizes and precisions are tried, too",
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
    path = options.out or cache_dir() / FILE_NAME
    if not options.dry_run:
        _require_place(path)
    loaded = load_settings(options)
    config, set_here = loaded.config, frozenset(loaded.sources)
    tuner = Tuner(
        _pictures(options.pictures, config),
        options.tolerance,
        options.rounds,
        options.seconds,
        Console(stderr=True),
        lambda settings: Contender(changed(config, settings)),
    )
    for what, keys, trials in (
        ("backends", ("engine.",), partial(_try_backends, tuner, config)),
        ("precisions", ("engine.",), partial(_try_precisions, tuner, config)),
        ("threads", ("engine.", "server.workers"), partial(_try_threads, tuner)),
        ("detector sizes", ("face_detection.input_size",), partial(_try_sizes, tuner)),
    ):
        if fixed := sorted(key for key in set_here if key.startswith(keys)):
            tuner.say(f"not tried: {what}: {fixed[0]} is set by {loaded.sources[fixed[0]]}")
        else:
            trials()
    won = tuner.against_default() if tuner.changes else None
    tuner.best.end()
    _report(tuner, won)
    if not options.dry_run:
        _keep(path, config, tuner, won, is_found=options.out is None)
    return 0


def changed(config: Config, settings: Settings) -> Config:
    """A configuration with other values, by key."""
    sections = {
        name: msgspec.structs.replace(getattr(config, name), **values)
        for name, values in by_section(settings).items()
    }
    return msgspec.structs.replace(config, **sections)


def _try_backends(tuner: Tuner, config: Config) -> None:
    for manifests in sharing_files(tuple(serving_manifests(config, build_store(config)))):
        load = tuple(load_plugin(TASKS, manifest.task).Plugin.name for manifest in manifests)
        for way in _ways(manifests, config):
            own = {manifest.id: way for manifest in manifests}
            tuner.attempt({"engine.use": {**tuner.changes.get("engine.use", {}), **own}}, [load])


def sharing_files(manifests: Sequence[Manifest]) -> list[list[Manifest]]:
    """The models in groups: those that have a file in common."""
    groups: list[list[Manifest]] = []
    for manifest in manifests:
        own = {file.sha256 for file in manifest.files}
        kin = [group for group in groups if any(own & {f.sha256 for f in one.files} for one in group)]
        groups = [group for group in groups if group not in kin]
        groups.append([*(one for group in kin for one in group), manifest])
    return groups


def _ways(manifests: Sequence[Manifest], config: Config) -> Iterator[str]:
    """Every backend and provider that all of the models may run on, but for what they run on already.

    Providers that compile inside a first run are left out: that takes minutes at every start.
    """
    first = manifests[0]
    now = next(ways_to_run(first, wish_for(first.id, config.engine), load_backend))
    for name in first.backends:
        capability = load_backend(name).probe()
        if not capability.computes or any(name not in one.backends for one in manifests):
            continue
        for provider in capability.providers:
            is_now = (name, provider) == (now.capability.backend, now.provider)
            if not is_now and provider not in capability.late:
                yield f"{name}/{provider}"


def _try_precisions(tuner: Tuner, config: Config) -> None:
    """Those that the backend of some network has, as things stand."""
    engine = changed(config, tuner.changes).engine
    manifests = tuple(serving_manifests(config, build_store(config)))
    for precision in PRECISIONS:
        asked = msgspec.structs.replace(engine, precision=precision)
        if any(has_precision(manifest, asked) for manifest in manifests) and _is_told(tuner, precision):
            tuner.attempt({"engine.precision": precision}, overlap=OVERLAP_OF_OTHERS)


def has_precision(manifest: Manifest, engine: EngineConfig) -> bool:
    """Whether some network of a model would be computed in the precision that is asked for."""
    wish = wish_for(manifest.id, engine)
    way = next(ways_to_run(manifest, wish, load_backend))
    return any(precision_for(one, way, wish) == engine.precision for one in manifest.networks)


def _try_threads(tuner: Tuner) -> None:
    for threads in thread_settings(len(os.sched_getaffinity(0))):
        tuner.attempt(threads)


def thread_settings(cores: int) -> Iterator[dict[str, int]]:
    """Threads inside a run by runs at once: no more than cores together, or one run more than cores."""
    halves = {(cores, 1), (2, max(1, cores // 2)), (1, cores + 1)} - {(1, cores)}
    for inside, at_once in sorted(halves):
        if inside <= cores:
            yield {"engine.intra_op_threads": inside, "server.workers": at_once}


def _try_sizes(tuner: Tuner) -> None:
    if _is_told(tuner, "detector sizes"):
        for size in SIZES:
            tuner.attempt({"face_detection.input_size": size}, overlap=OVERLAP_OF_OTHERS)


def _is_told(tuner: Tuner, what: str) -> bool:
    """Whether the pictures can tell that findings stay."""
    faces = sum(len(finding.faces) for finding in tuner.expected.values())
    if faces < ENOUGH_FACES:
        lack = f"the pictures show {faces} of the {ENOUGH_FACES} faces that it takes (--pictures DIR)"
        tuner.say(f"not tried: {what}: {lack}")
    return faces >= ENOUGH_FACES


def _pictures(folder: Path | None, config: Config) -> dict[str, bytes]:
    """By name."""
    if folder is None:
        return {"the portrait": load_picture(None)}
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not files:
        raise RequestError(ErrorCode.NO_EXIST, f"{folder} has no {', '.join(PICTURES)}")
    return {str(file): read_file(file, config.limits.max_image_bytes) for file in files}


def line_of(trial: Trial) -> str:
    """A trial in words."""
    what = ", ".join(f"{key} = {value}" for key, value in trial.settings.items())
    refused = f"not taken: {trial.refused}" if trial.refused else ""
    measured = f"{spread_of(trial)} times the best so far" if trial.ratio is not None else ""
    return f"{what}: {', '.join(filter(None, (measured, refused)))}"


def spread_of(trial: Trial) -> str:
    """A trial's ratio: median (min .. max)."""
    return f"{trial.ratio:.2f} ({trial.ratio_min:.2f} .. {trial.ratio_max:.2f})"


def is_worth(won: Trial | None) -> bool:
    """Whether what won step by step is better than the default, too."""
    return won is not None and not won.refused and (won.ratio or 0) > 1


def _report(tuner: Tuner, won: Trial | None) -> None:
    console = Console()
    tried = f"{tuner.rounds} rounds, {len(tuner.trials)} settings tried"
    if won is None:
        console.print(f"the default is the best of {len(tuner.trials) + 1} settings on this box")
        return
    if not is_worth(won):
        told = f"the default stays: what had won was, measured once more, {spread_of(won)} times as fast"
        console.print(f"{told}; {tried}", highlight=False)
        return
    table = Table("key", "value", box=None)
    for key, value in won.settings.items():
        table.add_row(key, msgspec.json.encode(value).decode())
    console.print(table)
    console.print(f"{spread_of(won)} times the default's pictures a second; {tried}", highlight=False)


def _require_place(path: Path) -> None:
    """Hold that the profile can be written, before an hour of measuring."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(path, error) from error
    check_writable("the profile", path)


def _keep(path: Path, config: Config, tuner: Tuner, won: Trial | None, *, is_found: bool) -> None:
    profile = Profile(
        livegate=__version__,
        pack=config.models.pack,
        use=config.models.use,
        machine=this_machine(),
        settings=won.settings if won is not None and is_worth(won) else {},
        trials=(*tuner.trials, *([won] if won else ())),
    )
    content = msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n"
    try:
        replace_file(path, content)
    except OSError as error:
        raise _not_written(path, error) from error
    told = "`livegate serve` of this user takes it from there"
    Console().print(
        f"kept in {path}; {told if is_found else f'`livegate serve --profile {path}` takes it'}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _not_written(path: Path, error: OSError) -> RequestError:
    return RequestError(ErrorCode.WRITE_FAIL, f"{path} cannot be written: {error.strerror}")
