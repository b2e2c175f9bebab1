"""Which backend and which provider run a model: what was asked for, and what else the policy allows.

A model runs only on backends that its manifest lists, best first: on those it was proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from livegate.core.config import EngineConfig
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.telemetry import get_logger
from livegate.engines.base import Backend, Capability, Policy, provider_order
from livegate.manifests.schema import Manifest, Network, Precision

AUTO = "auto"
LoadBackend = Callable[[str], Backend]
log = get_logger("livegate.engines")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator wants a model to run on; `auto` leaves the choice to the manifest and the box."""

    backend: str
    provider: str
    policy: Policy
    precision: Precision = "fp32"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a network: a backend and one of its providers."""

    backend: Backend
    capability: Capability
    provider: str

    def grants(self, wish: Wish) -> bool:
        """Whether this is what was asked for."""
        is_backend = wish.backend in (AUTO, self.capability.backend)
        return is_backend and wish.provider in (AUTO, self.provider)


def wish_for(model_id: str, config: EngineConfig) -> Wish:
    """What the configuration says of one model: its entry in engine.use, else the general keys."""
    if own := config.use.get(model_id):
        backend, _, provider = own.partition("/")
        return Wish(backend, provider or AUTO, config.policy, config.precision)
    return Wish(config.backend, config.provider, config.policy, config.precision)


def ways_to_run(manifest: Manifest, wish: Wish, load_backend: LoadBackend) -> Iterator[Way]:
    """The ways to try, one after the other, the asked one first; `require` allows one.

    A backend is looked at (and its library imported) only when those before it did not do.

    Raises:
        SetupError: INIT_FAIL when nothing that may run the model is here; MODELINIT_FAIL for a backend
            that the manifest does not list; NO_EXIST for one that there is not.
    """
    problems: list[SetupError] = []
    found = False
    for name in _backend_order(manifest, wish, load_backend):
        backend = load_backend(name)
        capability = backend.probe()
        if not capability.computes and name != wish.backend:
            continue
        # A provider that was asked for by name is one of the backend that was asked for.
        provider = wish.provider if wish.backend in (AUTO, name) else AUTO
        try:
            order = provider_order(capability, provider, wish.policy)
        except SetupError as error:
            problems.append(error)
            log.info("backend passed over", model=manifest.id, backend=name, why=error.message)
            continue
        for one in order:
            found = True
            yield Way(backend, capability, one)
        if wish.policy == "require":
            return
    if not found:
        raise problems[0]


def precision_for(network: Network, way: Way, wish: Wish) -> Precision:
    """What a network is computed in: the wish, if manifest and backend have it, else as its weights are.

    No policy makes an error of the rest: one key is for all models, and they run on several backends.
    What each is computed in is told with every engine.
    """
    asked, own = wish.precision, network.precision
    is_had = asked in network.precisions and asked in way.capability.precisions
    return asked if is_had else own


def _backend_order(manifest: Manifest, wish: Wish, load_backend: LoadBackend) -> tuple[str, ...]:
    listed = manifest.backends
    if wish.backend == AUTO:
        return listed
    load_backend(wish.backend)  # a name of none is told before anything else
    if wish.backend not in listed:
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"the model {manifest.id} is not proved on the backend {wish.backend}: its manifest lists "
            f"{', '.join(listed)}",
            hint=f"engine.use.{manifest.id} chooses another one for this model",
        )
    if wish.policy == "require":
        return (wish.backend,)
    return (wish.backend, *(name for name in listed if name != wish.backend))
