"""What a reload builds: a pipeline of the configuration and the files as they are now.

Read anew: the tables `models` and `engine` of the configuration file, below the environment and the
flags that the server was started with, the manifests and the model files. All else stays as it was at
the start: addresses, workers, thresholds. What a request names lies over it, for this reload only.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from livegate.app.build import (
    TASKS,
    build_pipeline,
    build_store,
    require_model_files,
    serving_manifests,
)
from livegate.app.enginebuilds import EngineBuilds, build_before_serving
from livegate.app.exposure import warn_of_pilot_models
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.plugins import did_you_mean, plugin_names
from livegate.core.telemetry import get_logger
from livegate.pipelines.pipeline import Pipeline
from livegate.service.reload import ModelWish

log = get_logger("livegate.reload")


class PipelineBuilder:
    """Builds a pipeline for each reload of one server."""

    def __init__(self, config: Config, reread: Callable[[], Config], builds: EngineBuilds) -> None:
        """`config` is what the server was started with; `reread` loads it as it is now."""
        self._builds = builds
        self._config = self.serving = config
        self._reread = reread

    def build(self, wish: ModelWish) -> Pipeline:
        """Check, then load, warm and prove.

        Raises:
            RequestError: PARAM_FAILURE for a task that there is not.
            SetupError: a configuration, a pack, a model, a file, a backend or a provider is not what it
                should be; nothing was loaded where that could be told beforehand.
        """
        config = self.config_for(wish)
        store = build_store(config)
        require_model_files(config, store)
        warn_of_pilot_models(config, serving_manifests(config, store))
        build_before_serving(config, store, self._builds)
        pipeline = build_pipeline(config, store)
        self.serving = config
        return pipeline

    def config_for(self, wish: ModelWish) -> Config:
        """The configuration of a reload. Raises as `build` for what it says itself."""
        if wish.as_served:
            return self.serving
        _require_known_tasks(wish)
        now = self._reread()
        models = msgspec.structs.replace(
            now.models, pack=wish.pack or now.models.pack, use={**now.models.use, **wish.use}
        )
        return msgspec.structs.replace(self._config, models=models, engine=now.engine)


def _require_known_tasks(wish: ModelWish) -> None:
    names = plugin_names(TASKS)
    for task in sorted(set(wish.use) - set(names)):
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"a model is named for the task {task!r}, and there is none",
            hint=did_you_mean(task, names),
        )
