"""Which engines a box still has to build before it serves, and the building of them.

Only what runs first is built: with `engine.policy` prefer or any the box serves on the next backend of
the manifest's list meanwhile, and whoever wants the engine calls `livegate engines build`. With
require nothing else may serve, so the server builds before it is ready, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import cast

from livegate.app.build import serving_manifests, worker_count
from livegate.app.engines import BACKENDS, load_backend, ways_for
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import plugin_names
from livegate.core.telemetry import get_logger
from livegate.engines.base import EngineBuilder, EngineOptions
from livegate.engines.builds import BuildBoard, BuildProgress, Watch
from livegate.engines.cache import EngineKey
from livegate.engines.choice import Way, precision_for, wish_for
from livegate.engines.model import RunOptions, engine_options
from livegate.manifests.schema import Manifest, Network
from livegate.manifests.store import ModelStore

LOGGED_PART = 0.1
"""Progress goes into the log whenever this part more is done."""
log = get_logger("livegate.engines")


@dataclass(frozen=True, slots=True)
class BuildJob:
    """One engine that is to be built, and why there is none."""

    model: str
    network: Network
    content: bytes
    builder: EngineBuilder
    options: EngineOptions
    why: str
    backend: str


class EngineBuilds:
    """The builds of one process: one after the other, each to be looked at and to be given up."""

    def __init__(self, show: Callable[[BuildProgress], None] = lambda progress: None) -> None:
        """`show` hears of every step, from threads of the builder."""
        self.board = BuildBoard()
        self._show = show
        self._watch: Watch | None = None
        self._is_cancelled = False

    def cancel(self) -> None:
        """Give up what is being built, and begin nothing more."""
        self._is_cancelled = True
        if self._watch is not None:
            self._watch.cancel()

    def run(self, jobs: Collection[BuildJob]) -> list[float]:
        """Build; returns the seconds of each.

        Raises:
            SetupError: as EngineBuilder.build; EXIT when it was given up.
        """
        try:
            return [self._build(job) for job in jobs]
        finally:
            self.board.clear()

    def _build(self, job: BuildJob) -> float:
        forecast_s = job.builder.forecast_s(job.network, job.content, job.options)
        report = _Reporter(self.board, self._show)
        watch = self._watch = Watch(job.model, job.network.name, report, forecast_s=forecast_s)
        if self._is_cancelled:
            raise _given_up(job)
        log.info("engine build begins", model=job.model, network=job.network.name, why=job.why)
        self.board.show(BuildProgress(job.model, job.network.name, "starting", 0.0, 0.0, None))
        try:
            took_s = job.builder.build(job.network, job.content, job.options, watch)
        except SetupError as error:
            if watch.is_cancelled:
                raise _given_up(job) from error
            raise
        log.info("engine built", model=job.model, network=job.network.name, seconds=round(took_s, 1))
        return took_s


class _Reporter:
    """Shows every step, and logs each tenth."""

    def __init__(self, board: BuildBoard, show: Callable[[BuildProgress], None]) -> None:
        """Nothing was logged."""
        self._board, self._show, self._logged = board, show, 0.0

    def __call__(self, progress: BuildProgress) -> None:
        """One step."""
        self._board.show(progress)
        self._show(progress)
        if progress.part >= self._logged + LOGGED_PART:
            self._logged = progress.part
            left_s = None if progress.left_s is None else round(progress.left_s)
            named = {"model": progress.model, "network": progress.network, "phase": progress.phase}
            log.info("engine build", **named, part=round(progress.part, 2), left_s=left_s)


def build_before_serving(config: Config, store: ModelStore, builds: EngineBuilds) -> None:
    """Build what `require` cannot do without; what else is wrong is left to the loading of the models.

    Raises:
        SetupError: as EngineBuilds.run.
    """
    if config.engine.policy == "require":
        builds.run(list(missing_engines(config, store)))


def missing_engines(
    config: Config, store: ModelStore, model_ids: Collection[str] = ()
) -> Iterator[BuildJob]:
    """The engines that are to run first and are not built; of all models that serve, or of some."""
    for job in wanted_engines(config, store, model_ids):
        if job.why:
            yield job


def wanted_engines(
    config: Config, store: ModelStore, model_ids: Collection[str] = ()
) -> Iterator[BuildJob]:
    """Every engine that is to run first on a backend that builds; `why` is empty where it is built.

    What cannot run at all is passed over: loading it says why.
    """
    for manifest in wanted_manifests(config, store, model_ids):
        wish = wish_for(manifest.id, config.engine)
        try:
            way = next(ways_for(manifest, wish))
        except (SetupError, StopIteration):
            continue
        if isinstance(way.backend, EngineBuilder):
            options = RunOptions(wish, config.engine.intra_op_threads, worker_count(config))
            for network in manifest.networks:
                yield _job(manifest, network, way, options, store)


def unwanted_by_this_box() -> Callable[[EngineKey], bool]:
    """Whether a kept engine is of this box: a question for its backend; kept where nobody can tell."""
    asked: dict[str, object] = {}

    def is_wanted(key: EngineKey) -> bool:
        if key.backend not in plugin_names(BACKENDS):
            return False
        backend = asked.setdefault(key.backend, load_backend(key.backend))
        return isinstance(backend, EngineBuilder) and backend.fits_here(key) is not False

    return is_wanted


def wanted_manifests(
    config: Config, store: ModelStore, model_ids: Collection[str] = ()
) -> Iterator[Manifest]:
    """The models of these ids; of none, those that serve.

    Raises:
        SetupError: NO_EXIST for an id that there is not.
    """
    if model_ids:
        return (store.manifest(model_id) for model_id in model_ids)
    return serving_manifests(config, store)


def _job(
    manifest: Manifest, network: Network, way: Way, options: RunOptions, store: ModelStore
) -> BuildJob:
    content = store.read(manifest.file(network.file))
    asked = engine_options(way, options, precision_for(network, way, options.wish))
    builder = cast("EngineBuilder", way.backend)
    why = builder.why_unbuilt(network, content, asked)
    backend = way.capability.backend
    return BuildJob(manifest.id, network, content, builder, asked, why, backend)


def _given_up(job: BuildJob) -> SetupError:
    return SetupError(
        ErrorCode.EXIT,
        f"the build of network {job.network.name} was given up",
        hint="what was built before is kept",
    )
