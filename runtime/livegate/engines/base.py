"""What a backend must be: two verbs to get an engine, one to run it.

A backend is one file in livegate/backends with a class `Plugin` that fulfils `Backend`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec
from numpy.typing import NDArray

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.results import GraphRuns
from livegate.engines.cache import EngineKey
from livegate.manifests.schema import InputTensor, Network, Precision

Array = NDArray[Any]
Feeds = Mapping[str, NDArray[Any]]
Policy = Literal["require", "prefer", "any"]
Preprocess = Literal["cpu", "auto", "gpu"]


@dataclass(frozen=True, slots=True)
class Capability:
    """What a backend can do on this box: its providers, best first, or why it can do nothing.

    `warning` is about an installation that works by luck. One that does not compute only answers in the
    right shapes, and is never chosen unless somebody names it.
    """

    backend: str
    version: str
    providers: tuple[str, ...]
    problem: str = ""
    warning: str = ""
    computes: bool = True
    late: tuple[str, ...] = ()
    """Providers that build their engine inside the first run, which takes minutes."""
    precisions: tuple[Precision, ...] = ("fp32",)

    @property
    def is_available(self) -> bool:
        """Whether it can run anything."""
        return bool(self.providers)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run: the provider, threads inside one run, how many runs at once, and the precision.

    `records_graphs`: a GPU's work for a shape may be recorded once and launched as a whole.
    `preprocess`: who makes tensors of frames: the CPU; the engine's device where it reads frames in
    place (auto); or that one always (gpu).
    """

    provider: str
    intra_op_threads: int = 1
    parallel_runs: int = 1
    precision: Precision = "fp32"
    records_graphs: bool = True
    preprocess: Preprocess = "cpu"


class Engine(Protocol):
    """A loaded network. `run` may be called from many threads at once."""

    provider: str
    """The provider that really runs."""

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once: C-contiguous inputs by name, outputs by name.

        Raises:
            EngineError: the network failed.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds; it cannot run afterwards."""
        ...


@runtime_checkable
class GraphEngine(Protocol):
    """An engine whose device can launch recorded work."""

    def graph_runs(self) -> GraphRuns:
        """How its runs were launched until now."""
        ...


@runtime_checkable
class PictureEngine(Protocol):
    """An engine that is not fed with the manifest's tensor: its device makes that of the picture."""

    input: InputTensor
    """What it is fed with; of the same name."""


def fed_network(network: Network, engine: object) -> Network:
    """The network with the input that this engine is really fed with."""
    if isinstance(engine, PictureEngine) and engine.input != network.input:
        return msgspec.structs.replace(network, input=engine.input)
    return network


@dataclass(frozen=True, slots=True)
class DeviceState:
    """How a device is; `problem` is empty when it is well."""

    name: str
    fact: str
    problem: str = ""


@runtime_checkable
class DeviceWatcher(Protocol):
    """A backend that knows how its devices are."""

    def devices(self) -> Sequence[DeviceState]:
        """Every device that it could run on. Never raises; may ask a vendor's command."""
        ...


class Backend(Protocol):
    """A library that runs networks."""

    def probe(self) -> Capability:
        """What it can do here. Never raises."""
        ...

    def why_not(self, provider: str) -> str:
        """What keeps a provider that `probe` lists from running; empty when nothing is known to.

        Looks closer than `probe`, which is asked at every start: it may open the provider's libraries.
        Never raises.
        """
        ...

    def load(self, network: Network, model: bytes, options: EngineOptions) -> Engine:
        """Make an engine from the verified bytes of a model file.

        Raises:
            SetupError: MODELINIT_FAIL when the network does not load or does not fit its manifest;
                INIT_FAIL when the provider does not run it.
        """
        ...


class BuildWatch(Protocol):
    """Hears how a build gets on, from any thread; phases may hold phases."""

    def phase_start(self, name: str, parent: str, steps: int) -> None:
        """A phase begins; `parent` is empty for one that stands by itself."""
        ...

    def step_complete(self, name: str, step: int) -> bool:
        """Step number `step` of a phase is done, counted from 0. False: the build is to be given up."""
        ...

    def phase_finish(self, name: str) -> None:
        """A phase has ended, perhaps before its last step."""
        ...


@runtime_checkable
class EngineBuilder(Protocol):
    """A backend whose engines take minutes to make: they are built first, kept, and only then loaded."""

    def why_unbuilt(self, network: Network, model: bytes, options: EngineOptions) -> str:
        """Why there is no built engine that would be loaded; empty when there is one.

        Raises:
            SetupError: as `load`, for what no build could mend.
        """
        ...

    def forecast_s(self, network: Network, model: bytes, options: EngineOptions) -> float | None:
        """Seconds that the last such build took; None when there was none."""
        ...

    def fits_here(self, key: EngineKey) -> bool | None:
        """Whether a kept engine is for this box as it is now; None when that cannot be told."""
        ...

    def build(self, network: Network, model: bytes, options: EngineOptions, watch: BuildWatch) -> float:
        """Build an engine and keep it; what was kept before stays until then.

        Returns:
            Seconds that it took.

        Raises:
            SetupError: MODELINIT_FAIL when it does not build or was given up; ALLOC_MEM without memory;
                BUSY while another process builds; INIT_FAIL, WRITE_FAIL.
        """
        ...


def provider_order(capability: Capability, asked: str, policy: Policy) -> tuple[str, ...]:
    """The providers to try, in order. `auto` asks for the best one that the backend reports.

    Raises:
        SetupError: INIT_FAIL when the backend is not there, or when `require` cannot be met.
    """
    if not capability.is_available:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"the backend {capability.backend} cannot run here: {capability.problem}",
            hint="`livegate doctor` shows what is installed",
        )
    wanted = capability.providers[0] if asked == "auto" else asked
    others = tuple(p for p in capability.providers if p != wanted)
    if wanted in capability.providers:
        return (wanted,) if policy == "require" else (wanted, *others)
    if policy == "require":
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"the provider {wanted!r} is required, but {capability.backend} {capability.version} "
            f"has only: {', '.join(capability.providers)}",
            hint="install the extra that brings it, or set engine.policy to prefer",
        )
    return others
