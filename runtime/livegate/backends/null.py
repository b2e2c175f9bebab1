"""A backend without arithmetic: for tests, and to weigh everything that is not inference.

It answers with zeros of the right shapes and ones in the first row: a detector then "sees" faces in
the top left corner, and a classifier says class 0, which for our liveness models is a spoof. So a
box that runs it by mistake lets nobody in.
"""

from __future__ import annotations

import numpy as np

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import Array, Capability, EngineOptions, Feeds
from livegate.engines.tensors import fits, require_contiguous
from livegate.manifests.dims import resolve_shape
from livegate.manifests.schema import Network


class NullEngine:
    """Answers with the shapes that the manifest promises."""

    def __init__(self, network: Network, provider: str) -> None:
        """Keep the promise."""
        self.provider = provider
        self._network = network
        self._is_closed = False

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Zeros, with ones in the first row of each output."""
        spec = self._network.input
        if self._is_closed:
            raise EngineError(f"network {self._network.name}: its engine is closed")
        if spec.name not in feeds:
            raise EngineError(f"network {self._network.name}: no input named {spec.name!r}")
        require_contiguous(self._network.name, feeds)
        array = feeds[spec.name]
        if array.dtype != spec.dtype:
            raise EngineError(f"network {self._network.name}: the input is {array.dtype}")
        if not fits(array.shape, spec.shape):
            raise EngineError(f"network {self._network.name}: the input is {array.shape}")
        known = {d: n for d, n in zip(spec.shape, array.shape, strict=True) if isinstance(d, str)}
        return {o.name: _first_row(resolve_shape(o.shape, known)) for o in self._network.outputs}

    def close(self) -> None:
        """Hold nothing, and run no more."""
        self._is_closed = True


class Plugin:
    """The null backend."""

    def probe(self) -> Capability:
        """Always there."""
        return Capability("null", "1", ("null",), computes=False)

    def why_not(self, provider: str) -> str:
        """Nothing keeps it from doing nothing."""
        return ""

    def load(self, network: Network, model: bytes, options: EngineOptions) -> NullEngine:
        """Load nothing; `model` may be empty."""
        if options.provider != "null":
            raise SetupError(ErrorCode.INIT_FAIL, f"null has no provider {options.provider!r}")
        return NullEngine(network, options.provider)


def _first_row(shape: tuple[int, ...]) -> Array:
    output = np.zeros(shape, np.float32)
    output[0, 0] = 1.0
    return output
