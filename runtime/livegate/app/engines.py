"""Backends by name, the ways to run a model with them, and what their engines are held to."""

from __future__ import annotations

from collections.abc import Iterator

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import load_plugin
from livegate.engines.base import Backend, Engine, EngineOptions
from livegate.engines.choice import Way, Wish, ways_to_run
from livegate.engines.golden import GoldenGate
from livegate.manifests.goldens import GoldenShelf
from livegate.manifests.schema import Manifest, Network
from livegate.manifests.store import ModelStore

BACKENDS = "livegate.backends"
REFERENCE, REFERENCE_PROVIDER = "onnxruntime", "cpu"
"""What golden outputs are made with."""


def load_backend(name: str) -> Backend:
    """One backend by name."""
    backend: Backend = load_plugin(BACKENDS, name).Plugin()
    return backend


def ways_for(manifest: Manifest, wish: Wish) -> Iterator[Way]:
    """The ways to run a model on this box, as `ways_to_run`."""
    return ways_to_run(manifest, wish, load_backend)


def golden_gate(model_id: str, store: ModelStore) -> GoldenGate:
    """What the engines of a model are held to."""
    return GoldenGate(GoldenShelf(store.package, model_id), load_reference)


def prepare_golden_outputs(model_id: str, store: ModelStore) -> None:
    """Have the golden outputs of a model, so that no start has to make them.

    Raises:
        SetupError: MODELINIT_FAIL for a file that is not the manifest's; as GoldenGate.prepare.
    """
    manifest, gate = store.manifest(model_id), golden_gate(model_id, store)
    for network in manifest.networks:
        file = manifest.file(network.file)
        gate.prepare(network, file, store.read(file))


def load_reference(network: Network, content: bytes) -> tuple[Engine, str]:
    """The engine that golden outputs are made with, and its name and version.

    Raises:
        SetupError: MODELINIT_FAIL when its library is not here, or the network does not load.
    """
    backend = load_backend(REFERENCE)
    capability = backend.probe()
    if REFERENCE_PROVIDER not in capability.providers:
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"there are no golden outputs for the network {network.name}, and {REFERENCE} on the "
            f"{REFERENCE_PROVIDER}, which makes them, is not here: {capability.problem}",
            hint="install livegate[cpu] beside the other library, or bring the cache's folder golden/ "
            "from a box with the same models",
        )
    engine = backend.load(network, content, EngineOptions(REFERENCE_PROVIDER))
    return engine, f"{capability.backend} {capability.version} {REFERENCE_PROVIDER}"
