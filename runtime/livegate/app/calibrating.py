"""How far a network's tensors go on the pictures of one door, for engines in int8.

The models run as they would serve, in fp32 on the reference, over a folder of pictures: so each network
sees what the tasks really cut for it. Watched networks answer their inner tensors as well, which are
counted and forgotten. What is kept is one number a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from livegate.app.build import build_pipeline
from livegate.app.engines import REFERENCE, REFERENCE_PROVIDER, load_reference
from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, RequestError, SetupError
from livegate.core.files import read_file
from livegate.core.telemetry import StageClock
from livegate.engines.base import Array, Engine, Feeds
from livegate.engines.cache import EngineCache
from livegate.engines.magnitudes import Magnitudes
from livegate.engines.ranges import METHOD, Ranges, keep_ranges, ranges_key
from livegate.graphs.int8 import observed_from_onnx, quantised_inputs
from livegate.ingest.image import frame_from_bytes
from livegate.manifests.schema import Manifest, Network, OutputTensor, Precision
from livegate.manifests.store import ModelStore
from livegate.pipelines.pipeline import Pipeline, Step
from livegate.preprocess.scratch import Scratch

INT8: Precision = "int8"
LEAST_RUNS = 8
"""Inputs that every network has to have seen."""
Tell = Callable[[Path, str], None]
"""Hears of each picture, and why it was passed over; empty when it was seen."""


class Watched:
    """An engine whose inner tensors are counted."""

    provider = REFERENCE_PROVIDER

    def __init__(self, engine: Engine, network: Network, model: bytes, names: Collection[str]) -> None:
        """Take over an engine that answers these tensors, too."""
        self._engine, self._network = engine, network
        self._magnitudes = {name: Magnitudes() for name in names}
        self.key = ranges_key(network, model)
        self._runs = 0

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once, and count."""
        answers = self._engine.run(feeds)
        try:
            for name, seen in self._magnitudes.items():
                seen.add(answers[name])
        except ValueError as error:
            raise EngineError(f"network {self._network.name}: {error}") from error
        self._runs += 1
        return answers

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def ranges(self) -> Ranges:
        """What was seen.

        Raises:
            RequestError: PARAM_FAILURE when that was too little.
        """
        if self._runs < LEAST_RUNS:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"network {self._network.name} saw {self._runs} pictures, {LEAST_RUNS} is the least",
                hint="give pictures of this door, with a face in each; a hundred are better than ten",
            )
        reaches = {name: seen.reach() for name, seen in self._magnitudes.items()}
        return Ranges(
            key=self.key, network=self._network.name, method=METHOD, runs=self._runs, reaches=reaches
        )


def int8_manifests(manifests: Iterable[Manifest], named: Collection[str]) -> tuple[Manifest, ...]:
    """Those of which a network may run in int8.

    Raises:
        SetupError: MODELINIT_FAIL when none may, or one that was named may not.
    """
    told = tuple(manifests)
    allowed = tuple(one for one in told if any(INT8 in network.precisions for network in one.networks))
    refused = [one.id for one in told if one not in allowed]
    if refused and (named or not allowed):
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"int8 is not allowed for {', '.join(refused)}: the manifest has no tolerance for it",
            hint="leave engine.precision as it is; docs/engines.md, Int8",
            fields={"models": ", ".join(refused)},
        )
    return allowed


def calibrate(
    config: Config,
    store: ModelStore,
    manifests: Collection[Manifest],
    pictures: Iterable[Path],
    tell: Tell = lambda path, why: None,
    cache: EngineCache | None = None,
) -> list[Ranges]:
    """Measure these models' int8 networks on pictures, and keep the ranges; those before are replaced.

    Raises:
        SetupError: as build_pipeline; MODELINIT_FAIL for a network that cannot be converted, or a model
            that does not serve with this configuration; WRITE_FAIL.
        RequestError: PARAM_FAILURE for too few pictures of use; nothing is kept then.
        EngineError: a network does not run.
    """
    pipeline = build_pipeline(_reference_config(config), store)
    watched: dict[str, Watched] = {}
    try:
        steps = _watched_steps(pipeline, store, manifests, watched)
        scratch = Scratch()
        for path in pictures:
            tell(path, _look(pipeline, steps, path, config, scratch))
        measured = [one.ranges() for one in watched.values()]
        for ranges in measured:
            keep_ranges(cache or EngineCache(), ranges)
        return measured
    finally:
        pipeline.close()
        for one in watched.values():
            one.close()


def _reference_config(config: Config) -> Config:
    own = msgspec.structs.replace(
        config.engine,
        backend=REFERENCE,
        provider=REFERENCE_PROVIDER,
        policy="require",
        precision="fp32",
        use={},
        preprocess="cpu",
    )
    return msgspec.structs.replace(config, engine=own)


def _watched_steps(
    pipeline: Pipeline, store: ModelStore, manifests: Collection[Manifest], watched: dict[str, Watched]
) -> tuple[Step, ...]:
    """Every step that these models and those they need take, with engines that are watched."""
    tasks = {one.task for one in manifests}
    steps = pipeline.plan_tasks(tasks)
    serving = {step.model.manifest.id for step in steps}
    if strangers := sorted({one.id for one in manifests} - serving):
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"the models {', '.join(strangers)} do not serve with this configuration",
            hint="--pack or models.use chooses those that do",
        )
    return tuple(
        _watched_step(step, store, watched) if step.task.name in tasks else step for step in steps
    )


def _watched_step(step: Step, store: ModelStore, watched: dict[str, Watched]) -> Step:
    engines: dict[str, Engine] = dict(step.model.engines)
    for network in step.model.manifest.networks:
        if INT8 in network.precisions:
            content = store.read(step.model.manifest.file(network.file))
            key = ranges_key(network, content)
            # Two models may share a network: it is watched once, and sees the inputs of both.
            if key not in watched:
                watched[key] = _watched(network, content)
            engines[network.name] = watched[key]
    return Step(step.task, replace(step.model, engines=engines))


def _watched(network: Network, content: bytes) -> Watched:
    names = quantised_inputs(content)
    told = {output.name for output in network.outputs}
    more = tuple(OutputTensor(name=name, shape=()) for name in names if name not in told)
    seen = msgspec.structs.replace(network, outputs=(*network.outputs, *more))
    engine, _ = load_reference(seen, observed_from_onnx(content, names))
    return Watched(engine, network, content, names)


def _look(
    pipeline: Pipeline, steps: tuple[Step, ...], path: Path, config: Config, scratch: Scratch
) -> str:
    """Why a picture could not be seen."""
    try:
        content = read_file(path, config.limits.max_image_bytes)
        frame = frame_from_bytes(content, config.limits, name=path.name)
        pipeline.run(frame, steps, StageClock(), scratch)
    except RequestError as error:
        return error.message
    return ""
