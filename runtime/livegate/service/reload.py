"""Hot reload: other models in the place of those that serve, while they serve.

The new pipeline is loaded, warmed and proved beside the old one in the calling thread, which is none of
the workers. Only when all of it is good do requests get it; until then, and after any failure, the old
one answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from livegate.core.errors import ErrorCode, LiveGateError, RequestError, SetupError, as_livegate_error
from livegate.core.results import EngineInfo
from livegate.core.telemetry import Metrics, get_logger
from livegate.engines.pool import shutting_down
from livegate.pipelines.pipeline import Pipeline
from livegate.service.liveness import LivenessService, State

DRAIN_S = 1.0
"""For the old pipeline to be drained before the answer says that it still is in use."""
log = get_logger("livegate.reload")


@dataclass(frozen=True, slots=True)
class ModelWish:
    """What a reload is to change: `pack` for models.pack, `use` over models.use; empty: nothing.

    `as_served`: the configuration of what serves now, and none that was written since.
    """

    pack: str = ""
    use: Mapping[str, str] = field(default_factory=dict)
    as_served: bool = False


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What serves after a reload; `is_drained`: what served before is closed already."""

    algo_tasks: tuple[int, ...]
    engines: tuple[EngineInfo, ...]
    is_drained: bool


class ModelReloader:
    """Reloads the models of a service, one reload at a time. Safe for any thread."""

    def __init__(
        self,
        service: LivenessService,
        build: Callable[[ModelWish], Pipeline],
        metrics: Metrics,
        *,
        drain_s: float = DRAIN_S,
    ) -> None:
        """`build` gives a pipeline, loaded, warm and proved; if it fails, nothing is left of it."""
        self._service = service
        self._build = build
        self._metrics = metrics
        self._drain_s = drain_s
        self._one_at_a_time = threading.Lock()

    @property
    def is_reloading(self) -> bool:
        """Whether a reload is under way: another one would be refused."""
        return self._one_at_a_time.locked()

    def reload(self, wish: ModelWish) -> Reloaded:
        """Serve with the models that the configuration, and the wish over it, name now.

        It is carried through even if nobody waits for it any more.

        Raises:
            LiveGateError: NOT_INIT while the first models are warming.
            QueueError: QUEUE_STOPED when the server shuts down.
            RequestError: BUSY while another reload is under way.
            SetupError: why the new models do not load; OUT_OF_MEM when there is no room beside the old
                ones; MODELINIT_FAIL when those as served would run as they do now. The old ones go on.
        """
        if not self._one_at_a_time.acquire(blocking=False):
            self._count("refused")
            raise RequestError(
                ErrorCode.BUSY, "the models are being reloaded already", hint="wait for its end"
            )
        try:
            self._require_ready()
            return self._reload(wish)
        finally:
            self._one_at_a_time.release()

    def _require_ready(self) -> None:
        state = self._service.status.state
        if state is State.READY:
            return
        self._count("refused")
        if state is State.DRAINING:
            raise shutting_down()
        raise LiveGateError(
            ErrorCode.NOT_INIT,
            "the models are not warm yet, so there is nothing to reload",
            hint="ask /readyz, then try again",
        )

    def _reload(self, wish: ModelWish) -> Reloaded:
        log.info("reloading models", pack=wish.pack, use=dict(wish.use))
        try:
            pipeline = self._build(wish)
            self._require_gain(wish, pipeline)
            retirement = self._service.replace(pipeline)
        except Exception as error:
            failure = _failure(error)
            self._count("failed")
            is_defect = failure.code is ErrorCode.INNER
            log.warning(
                "reload failed, the models that served go on",
                code=int(failure.code),
                why=failure.message,
                exc_info=error if is_defect else None,
            )
            if failure is error:
                raise
            raise failure from error
        self._count("swapped")
        is_drained = retirement.wait(self._drain_s)
        models = ", ".join(sorted({engine.model_id for engine in pipeline.engines}))
        log.info("models reloaded", models=models, is_drained=is_drained)
        return Reloaded(self._service.status.algo_tasks, pipeline.engines, is_drained)

    def _require_gain(self, wish: ModelWish, pipeline: Pipeline) -> None:
        """Hold that other engines are to serve: a swap forgets the cameras' votes."""
        if wish.as_served and pipeline.engines == self._service.status.engines:
            pipeline.close()
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                "the engines that were built do not serve: the same would run as does now",
                hint="the log says above why each provider failed",
            )

    def _count(self, outcome: str) -> None:
        self._metrics.reloads.labels(outcome).inc()


def _failure(error: Exception) -> LiveGateError:
    if isinstance(error, MemoryError):
        return SetupError(
            ErrorCode.OUT_OF_MEM,
            "the box has no memory for other models beside those that serve",
            hint="free some memory, or restart the server with the new models",
        )
    return as_livegate_error(error)
