"""The composition root: everything is built here and handed down; nothing below reaches up."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2

from livegate.app.engines import golden_gate, ways_for
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import did_you_mean, load_plugin, plugin_names
from livegate.core.telemetry import Metrics, get_logger
from livegate.engines.builds import BuildBoard
from livegate.engines.choice import wish_for
from livegate.engines.model import RunOptions, load_model
from livegate.engines.pool import EnginePool
from livegate.manifests.schema import Manifest
from livegate.manifests.store import ModelStore
from livegate.pipelines.pipeline import Pipeline, Step
from livegate.service.liveness import LivenessService

TASKS = "livegate.tasks"
NULL = "null"
log = get_logger("livegate.build")


def build_store(config: Config) -> ModelStore:
    """The store over models.dirs and LIVEGATE_MODELS."""
    named = [*config.models.dirs, *os.environ.get("LIVEGATE_MODELS", "").split(os.pathsep)]
    return ModelStore(Path(folder).expanduser() for folder in named if folder)


def build_service(config: Config, metrics: Metrics, board: BuildBoard | None = None) -> LivenessService:
    """A service that is still warming: give `start` a pipeline. `board` tells what is being built."""
    cv2.setNumThreads(1)  # the workers are the parallelism
    pool = EnginePool(worker_count(config), config.server.queue_capacity, cores=own_cores(config))
    metrics.queue_depth.set_function(lambda: pool.depth)
    metrics.workers_busy.set_function(lambda: pool.running)
    board = board or BuildBoard()
    metrics.engine_build.set_function(lambda: board.current.part if board.current else math.nan)
    return LivenessService(config, pool, metrics, board)


def worker_count(config: Config) -> int:
    """The workers of a box: as many as are configured, else as the cores that we may use."""
    return config.server.workers or len(os.sched_getaffinity(0))


def own_cores(config: Config) -> tuple[int, ...]:
    """The core of each worker, where they are pinned and there is one for each; else none."""
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return cores if config.server.pin_workers and worker_count(config) == len(cores) else ()


def build_pipeline(config: Config, store: ModelStore) -> Pipeline:
    """Load and warm the model of every task; optional ones are left out when their files are not here.

    Raises:
        SetupError: a model, a file, a backend or a provider is not what it should be.
    """
    _require_known_models(config, store)
    steps: list[Step] = []
    left_out = {}
    try:
        for name in plugin_names(TASKS):
            if why := reason_to_leave_out(name, config, store):
                left_out[name] = why
                log.info("task left out", task=name, why=why)
            else:
                steps.append(_step(name, config, store))
        return Pipeline(steps, left_out)
    except BaseException:
        for step in steps:  # a reload that fails goes on with the old ones: these must not stay
            step.model.close()
        raise


def require_model_files(config: Config, store: ModelStore) -> None:
    """Hold that every model is here that `build_pipeline` would load, before it loads any.

    Raises:
        SetupError: as build_pipeline for models and files.
    """
    _require_known_models(config, store)
    for manifest in serving_manifests(config, store):
        if wish_for(manifest.id, config.engine).backend != NULL:
            for file in manifest.files:
                store.found(file)


def is_optional(name: str, config: Config) -> bool:
    """Whether a box may do without a task: it says so itself, and nobody configured its model."""
    return load_plugin(TASKS, name).Plugin.is_optional and name not in config.models.use


def reason_to_leave_out(name: str, config: Config, store: ModelStore) -> str:
    """Why an optional task cannot run here: a file of its model that is not there; or nothing.

    A file that is there and is wrong is no reason: loading it fails, loudly.
    """
    if config.engine.backend == NULL or not is_optional(name, config):
        return ""
    try:
        manifest = chosen_manifest(name, config, store)
    except SetupError as error:
        return error.message
    missing = [file.name for file in manifest.files if store.inspect(file).path is None]
    return f"files of the model {manifest.id} are missing: {', '.join(missing)}" if missing else ""


def chosen_manifest(task: str, config: Config, store: ModelStore) -> Manifest:
    """The model of a task: the one that is named, else that of the configured pack.

    Raises:
        SetupError: NO_EXIST for an unknown id or task without a model, MODELINIT_FAIL for a model
            of another task.
    """
    own = config.models.use.get(task)
    if own is not None:
        manifest = store.manifest(own)
        if manifest.task != task:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"models.use.{task} is {own!r}, which is a model for {manifest.task}",
            )
        return manifest
    manifests = [store.manifest(model_id) for model_id in store.ids()]
    pack = config.models.pack
    for manifest in manifests:
        if (manifest.task, manifest.pack) == (task, pack):
            return manifest
    packs = tuple(sorted({manifest.pack for manifest in manifests if manifest.pack}))
    raise SetupError(
        ErrorCode.NO_EXIST,
        f"the pack {pack!r} has no model for the task {task!r}",
        hint=f"models.use.{task} names one" if pack in packs else did_you_mean(pack, packs),
    )


def serving_manifests(config: Config, store: ModelStore) -> Iterator[Manifest]:
    """The models that `build_pipeline` would load, one for each task that is not left out.

    Raises:
        SetupError: as chosen_manifest.
    """
    for task in plugin_names(TASKS):
        if not reason_to_leave_out(task, config, store):
            yield chosen_manifest(task, config, store)


def chosen_manifests(config: Config, store: ModelStore) -> dict[str, Manifest]:
    """The model of every task that has one, by task."""
    made = {}
    for task in plugin_names(TASKS):
        with contextlib.suppress(SetupError):
            made[task] = chosen_manifest(task, config, store)
    return made


def _require_known_models(config: Config, store: ModelStore) -> None:
    """An entry for a model or a task that is not there would be without effect."""
    for task in sorted(set(config.models.use) - set(plugin_names(TASKS))):
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"models.use names a task {task!r}, and there is none",
            hint=did_you_mean(task, plugin_names(TASKS)),
        )
    for model_id in sorted(set(config.engine.use) - set(store.ids())):
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"engine.use names a model {model_id!r}, and there is none",
            hint=did_you_mean(model_id, store.ids()),
        )


def _step(name: str, config: Config, store: ModelStore) -> Step:
    manifest = chosen_manifest(name, config, store)
    plugin = load_plugin(TASKS, name).Plugin
    task = plugin(manifest, config)
    wish = wish_for(manifest.id, config.engine)
    # The null backend computes nothing, so it needs no weights.
    read_file = (lambda file: b"") if wish.backend == NULL else store.read
    engine = config.engine
    options = RunOptions(
        wish,
        engine.intra_op_threads,
        worker_count(config),
        engine.cuda_graphs,
        engine.preprocess,
    )
    gate = golden_gate(manifest.id, store)
    ways = partial(ways_for, manifest, wish)
    model = load_model(manifest, ways, read_file, options, task.warm_dims, gate)
    if model.fed_manifest is not manifest:  # a device makes the tensors: hand it pictures
        task = plugin(model.fed_manifest, config)
    return Step(task, model)
