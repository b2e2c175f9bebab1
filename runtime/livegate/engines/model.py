"""A model that is loaded, checked and warm: its manifest and an engine for each network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import msgspec
import numpy as np

from livegate.core.errors import EngineError, ErrorCode, LiveGateError, SetupError
from livegate.core.results import EngineInfo, GraphRuns
from livegate.core.telemetry import get_logger
from livegate.engines.base import (
    Array,
    Engine,
    EngineBuilder,
    EngineOptions,
    GraphEngine,
    Preprocess,
    fed_network,
)
from livegate.engines.choice import Way, Wish, precision_for
from livegate.engines.golden import GoldenGate
from livegate.manifests.dims import resolve_shape
from livegate.manifests.schema import Manifest, ModelFile, Network, Precision
from livegate.preprocess.cut import CutInput

ReadFile = Callable[[ModelFile], bytes]
Ways = Callable[[], Iterable[Way]]
BUILD_HINT = "`livegate engines build` makes it, before the start"
log = get_logger("livegate.engines")


@dataclass(frozen=True, slots=True)
class Model:
    """A manifest with running engines, by the name of the network."""

    manifest: Manifest
    engines: Mapping[str, Engine]
    infos: tuple[EngineInfo, ...]

    @property
    def fed_manifest(self) -> Manifest:
        """The manifest with the inputs that the engines are really fed with."""
        own = tuple(fed_network(one, self.engines[one.name]) for one in self.manifest.networks)
        if own == self.manifest.networks:
            return self.manifest
        return msgspec.structs.replace(self.manifest, networks=own)

    @property
    def graph_runs(self) -> dict[str, GraphRuns]:
        """How the runs of each network were launched, where its device can record them."""
        engines = self.engines.items()
        return {name: one.graph_runs() for name, one in engines if isinstance(one, GraphEngine)}

    def close(self) -> None:
        """Close every engine."""
        for engine in self.engines.values():
            engine.close()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a model is to run: what was asked for, and what EngineOptions say."""

    wish: Wish
    intra_op_threads: int = 1
    parallel_runs: int = 1
    records_graphs: bool = True
    preprocess: Preprocess = "cpu"


def load_model(
    manifest: Manifest,
    ways: Ways,
    read_file: ReadFile,
    options: RunOptions,
    dims: Mapping[str, int],
    gate: GoldenGate,
) -> Model:
    """Load, warm and prove every network of a model.

    Args:
        manifest: the model.
        ways: gives the ways to run it, in the order in which they are tried for each network.
        read_file: gives the verified bytes of a file.
        options: what was asked for, threads.
        dims: numbers for the named dimensions of the inputs, used to warm.
        gate: what an engine that computes has to pass.

    Raises:
        SetupError: a file, a provider or a network is not what it should be; MODELINIT_FAIL for an
            engine that strays from its golden outputs.
        EngineError: a network does not run in any way that may be tried.
    """
    engines: dict[str, Engine] = {}
    infos = []
    whole = WholeBuilds(manifest, read_file, options)
    try:
        for network in manifest.networks:
            file = manifest.file(network.file)
            content = read_file(file)
            prove = partial(_prove, network, file, content, dims, gate)
            way, engine, precision = _load_network(network, ways(), content, options, prove, whole)
            engines[network.name] = engine
            infos.append(_info(manifest, network, file, way, engine, precision, options.wish))
    except BaseException:
        for engine in engines.values():
            engine.close()
        raise
    return Model(manifest, engines, tuple(infos))


class WholeBuilds:
    """Holds that a backend has built all networks of a model, where another may serve instead.

    Half of a model on another library is a mixture that nobody asked for.
    """

    def __init__(self, manifest: Manifest, read_file: ReadFile, options: RunOptions) -> None:
        """Of one model, while it is loaded; each way is looked at once."""
        self._manifest, self._read_file, self._options = manifest, read_file, options
        self._missing: dict[tuple[str, str], str] = {}

    def require(self, way: Way) -> None:
        """Raises SetupError: MODELINIT_FAIL with the first network that is not built."""
        networks = self._manifest.networks
        is_asked = isinstance(way.backend, EngineBuilder) and self._options.wish.policy != "require"
        if not is_asked or len(networks) == 1:  # loading says it
            return
        named = (way.capability.backend, way.provider)
        if named not in self._missing:
            self._missing[named] = next(filter(None, (self._why(way, one) for one in networks)), "")
        if why := self._missing[named]:
            raise SetupError(ErrorCode.MODELINIT_FAIL, why, hint=BUILD_HINT)

    def _why(self, way: Way, network: Network) -> str:
        builder = cast("EngineBuilder", way.backend)
        asked = engine_options(way, self._options, precision_for(network, way, self._options.wish))
        return builder.why_unbuilt(network, self._read_file(self._manifest.file(network.file)), asked)


def engine_options(way: Way, options: RunOptions, precision: Precision) -> EngineOptions:
    """What a backend is asked for."""
    return EngineOptions(
        way.provider,
        options.intra_op_threads,
        options.parallel_runs,
        precision,
        options.records_graphs,
        options.preprocess,
    )


def _load_network(
    network: Network,
    ways: Iterable[Way],
    content: bytes,
    options: RunOptions,
    prove: Callable[[Way, Engine, Precision], None],
    whole: WholeBuilds,
) -> tuple[Way, Engine, Precision]:
    """Load and prove in the first way that works; with `require` there is only one to try."""
    problems: list[LiveGateError] = []
    for way in ways:
        try:
            whole.require(way)
            precision = precision_for(network, way, options.wish)
            asked = engine_options(way, options, precision)
            engine = way.backend.load(network, content, asked)
        except (SetupError, EngineError) as error:
            problems.append(error)
            _tell_failure(network, way, error)
            continue
        try:
            prove(way, engine, precision)
            return way, engine, precision
        except (SetupError, EngineError) as error:
            engine.close()
            problems.append(error)
            _tell_failure(network, way, error)
        except BaseException:
            engine.close()
            raise
    raise problems[0]


def _tell_failure(network: Network, way: Way, error: LiveGateError) -> None:
    log.warning(
        "provider failed",
        network=network.name,
        backend=way.capability.backend,
        provider=way.provider,
        why=str(error),
    )


def _prove(
    network: Network,
    file: ModelFile,
    content: bytes,
    dims: Mapping[str, int],
    gate: GoldenGate,
    way: Way,
    engine: Engine,
    precision: Precision,
) -> None:
    _warm(engine, network, dims)
    if way.capability.computes:
        figure = gate.admit(network, file, content, engine, precision)
        log.info("golden gate passed", network=network.name, provider=engine.provider, stray=figure)


def _warm(engine: Engine, network: Network, dims: Mapping[str, int]) -> None:
    """Run on zeros: the first run allocates and compiles, and shows whether the outputs are right."""
    network = fed_network(network, engine)
    shape = resolve_shape(network.input.shape, dims)
    named = {d: n for d, n in zip(network.input.shape, shape, strict=True) if isinstance(d, str)}
    feeds = {network.input.name: np.zeros(shape, network.input.dtype)}
    outputs: dict[str, Array] = {}
    for _ in range(2):
        outputs = engine.run(feeds)
    for output in network.outputs:
        told = resolve_shape(output.shape, named)
        if outputs[output.name].shape != told:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"network {network.name}: output {output.name} is {outputs[output.name].shape}, "
                f"the manifest says {told}",
            )


def _info(
    manifest: Manifest,
    network: Network,
    file: ModelFile,
    way: Way,
    engine: Engine,
    precision: Precision,
    wish: Wish,
) -> EngineInfo:
    capability = way.capability
    is_of_backend = capability.backend == wish.backend
    asked = wish.provider if is_of_backend else f"{wish.backend}/{wish.provider}"
    info = EngineInfo(
        model_id=manifest.id,
        network=network.name,
        sha256=file.sha256,
        backend=f"{capability.backend} {capability.version}",
        provider_asked=f"{asked} ({wish.policy})",
        provider=engine.provider,
        precision=precision,
        compiles_in_runs=engine.provider in capability.late,
        preprocess=preprocess_of(network, engine),
    )
    level = log.info if way.grants(wish) or wish.policy == "any" else log.warning
    level(
        "engine ready",
        model=info.model_id,
        network=info.network,
        backend=info.backend,
        provider_asked=info.provider_asked,
        provider=info.provider,
    )
    return info


def preprocess_of(network: Network, engine: Engine) -> str:
    """Where frames become tensors for an engine."""
    fed = fed_network(network, engine).input
    if not isinstance(fed, CutInput):
        return "cpu"
    return "gpu" if fed.takes_copies else "gpu for frames in place"
