"""A model that is loaded, checked and warm: its manifest and an engine for each network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from livegate.core.config import EngineConfig
from livegate.core.errors import EngineError, ErrorCode, LiveGateError, SetupError
from livegate.core.results import EngineInfo
from livegate.core.telemetry import get_logger
from livegate.engines.base import Array, Backend, Capability, Engine, EngineOptions, provider_order
from livegate.manifests.dims import resolve_shape
from livegate.manifests.schema import Manifest, ModelFile, Network

ReadFile = Callable[[ModelFile], bytes]
log = get_logger("livegate.engines")


@dataclass(frozen=True, slots=True)
class Model:
    """A manifest with running engines, by the name of the network."""

    manifest: Manifest
    engines: Mapping[str, Engine]
    infos: tuple[EngineInfo, ...]

    def close(self) -> None:
        """Close every engine."""
        for engine in self.engines.values():
            engine.close()


def load_model(
    manifest: Manifest,
    backend: Backend,
    read_file: ReadFile,
    config: EngineConfig,
    dims: Mapping[str, int],
) -> Model:
    """Load, check and warm every network of a model.

    Args:
        manifest: the model.
        backend: what runs it.
        read_file: gives the verified bytes of a file.
        config: provider, policy, threads.
        dims: numbers for the named dimensions of the inputs, used to warm.

    Raises:
        SetupError: a file, a provider or a network is not what it should be.
        EngineError: a network does not run on any provider that may be tried.
    """
    capability = backend.probe()
    order = provider_order(capability, config.provider, config.policy)
    engines: dict[str, Engine] = {}
    infos = []
    for network in manifest.networks:
        file = manifest.file(network.file)
        engine = _load_network(network, backend, read_file(file), config, order, dims)
        engines[network.name] = engine
        infos.append(_info(manifest, network, file, capability, config, engine))
    return Model(manifest, engines, tuple(infos))


def _load_network(
    network: Network,
    backend: Backend,
    content: bytes,
    config: EngineConfig,
    order: tuple[str, ...],
    dims: Mapping[str, int],
) -> Engine:
    """Load and warm on the first provider that works; with `require` there is only one to try."""
    problems: list[LiveGateError] = []
    for provider in order:
        options = EngineOptions(provider, config.intra_op_threads)
        try:
            engine = backend.load(network, content, options)
            _warm(engine, network, dims)
            return engine
        except (SetupError, EngineError) as error:
            problems.append(error)
            log.warning("provider failed", network=network.name, provider=provider, why=str(error))
    raise problems[0]


def _warm(engine: Engine, network: Network, dims: Mapping[str, int]) -> None:
    """Run on zeros: the first run allocates and compiles, and shows whether the outputs are right."""
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
    capability: Capability,
    config: EngineConfig,
    engine: Engine,
) -> EngineInfo:
    info = EngineInfo(
        model_id=manifest.id,
        network=network.name,
        sha256=file.sha256,
        backend=f"{capability.backend} {capability.version}",
        provider_asked=f"{config.provider} ({config.policy})",
        provider=engine.provider,
        precision="fp32",
    )
    level = log.info if config.provider in ("auto", engine.provider) else log.warning
    level(
        "engine ready",
        model=info.model_id,
        network=info.network,
        backend=info.backend,
        provider_asked=info.provider_asked,
        provider=info.provider,
    )
    return info
