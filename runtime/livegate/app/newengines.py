"""Engines that were built while the box served on something else, swapped in between requests.

With `engine.policy` prefer or any a box whose engines are not built serves on the next backend of a
manifest's list. Once `livegate engines build` has made all engines of a model, in whatever process, the
server reloads what it serves: the engines are loaded, pass the golden gate and take over between two
requests, as with any reload. What is refused leaves things as they are, even if a fallback would load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

from livegate.app.build import build_store
from livegate.app.enginebuilds import BuildJob, wanted_engines
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.results import EngineInfo
from livegate.core.telemetry import get_logger
from livegate.engines.cache import EngineCache
from livegate.service.liveness import Status
from livegate.service.reload import ModelWish

LOOK_S = 5.0
"""Between two looks into the cache's folder."""
log = get_logger("livegate.engines")


class NewEngines:
    """Looks for them; for one thread at a time."""

    def __init__(
        self,
        serving: Callable[[], Config],
        status: Callable[[], Status],
        reload: Callable[[ModelWish], object],
        is_reloading: Callable[[], bool] = lambda: False,
        cache: EngineCache | None = None,
    ) -> None:
        """`serving` gives the configuration of what serves now; engines that are there count as seen.

        `is_reloading`: whether a reload would be refused because another one is under way.
        """
        self._is_reloading = is_reloading
        self._serving, self._status, self._reload = serving, status, reload
        self._cache = cache or EngineCache()
        self._seen: object = self._cache.marks()

    def look(self) -> bool:
        """Swap in what is new, if it is wanted and does not run yet; whether something was swapped in.

        Never raises for what an operator has to mend: that is logged, and not tried again before
        another engine is built.
        """
        marks = self._cache.marks()
        if marks == self._seen or self._is_reloading():
            return False
        before, self._seen = self._seen, marks
        try:
            config = self._serving()
            models = list(_models_to_swap_in(config, self._status().engines))
            if not models:
                return False
            log.info("engines were built: they are to serve", models=", ".join(models))
            self._reload(ModelWish(as_served=True))
            return True
        except LiveGateError as error:
            if error.code is ErrorCode.BUSY:
                self._seen = before  # after the reload that is under way
            else:
                log.warning("built engines do not serve", code=int(error.code), why=error.message)
            return False


def _models_to_swap_in(config: Config, engines: tuple[EngineInfo, ...]) -> Iterator[str]:
    """The models whose wanted engines are all built, and which run on something else."""
    running = {
        (one.model_id, one.network): (one.backend.partition(" ")[0], one.provider, one.precision)
        for one in engines
    }
    for model, jobs in groupby(wanted_engines(config, build_store(config)), key=lambda job: job.model):
        told = list(jobs)
        if any(job.why for job in told):
            continue
        if any(running.get((model, job.network.name)) != _asked(job) for job in told):
            yield model


def _asked(job: BuildJob) -> tuple[str, str, str]:
    return (job.backend, job.options.provider, job.options.precision)
