"""OpenVINO: the CPU, and Intel's graphics where somebody asks for them.

Two things that the library does by itself are not wanted here:
- On a CPU with AVX512-BF16 it computes in bfloat16 unless told otherwise: scores move in the second
  decimal. So the precision is asked for, and read back.
- One run takes all cores. Here a stream, of `intra_op_threads` threads, is made for each run that may
  be under way; pinned ones would fight over cores with those of the next network.

Denormal weights, which make a network many times slower, are set to zero at load. The workers' own
floating-point setting (engines/denormals.py) does not do here: the library's threads take over that of
a thread which ran something before, one or another. Its own switch reaches no thread but the one that
compiles, which then takes 5e-324 for 0 in everything else that it computes (2025.0 and 2026.4).

Source: docs.openvino.ai, CPU device; OpenVINO Runtime Python API, shared memory on inputs.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import Array, Capability, EngineOptions, Feeds
from livegate.engines.tensors import FoundTensor, require_contiguous, require_tensors
from livegate.manifests.schema import Network

PROVIDERS = {"cpu": "CPU", "gpu": "GPU"}
"""Our names and theirs; the CPU first, because it is what the models are proved on."""

WITHOUT_SIGN, LEAST_NORMAL = 0x7FFF_FFFF, 0x0080_0000
"""Of the bits of a float32: without its sign, those between zero and LEAST_NORMAL are denormal."""


class OpenVinoEngine:
    """One compiled network; each run borrows an inference request."""

    def __init__(self, openvino: Any, compiled: Any, network: Network, provider: str) -> None:
        """Take over a checked network."""
        self.provider = provider
        self._openvino = openvino
        self._compiled = compiled
        self._name = network.name
        self._outputs = [output.name for output in network.outputs]
        self._idle: deque[Any] = deque()
        self._blanks = [(port, _blank(openvino, port)) for port in compiled.inputs]

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once; contiguous, writable inputs are read in place, read-only ones copied once."""
        require_contiguous(self._name, feeds)
        compiled = self._compiled
        if compiled is None:
            raise EngineError(f"network {self._name}: its engine is closed")
        try:
            request = self._borrow(compiled)
            for name, array in feeds.items():
                # The binding refuses to share memory that is read-only.
                is_shared = array.flags.writeable
                request.set_tensor(name, self._openvino.Tensor(array, shared_memory=is_shared))
            request.infer()
            # Copies: the request's own buffers are written again by the next run.
            outputs = {name: request.get_tensor(name).data.copy() for name in self._outputs}
            self._give_back(request)
        except Exception as error:
            # The request is dropped with whatever state it is in.
            raise EngineError(f"network {self._name}: {_reason(error)}") from error
        return outputs

    def close(self) -> None:
        """Let the network go; runs under way keep it until they end."""
        self._compiled = None
        self._idle.clear()

    def _borrow(self, compiled: Any) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return compiled.create_infer_request()

    def _give_back(self, request: Any) -> None:
        """A shared tensor is a bare pointer, which does not keep its array alive: take it back."""
        for port, blank in self._blanks:
            request.set_tensor(port, blank)
        if self._compiled is not None:
            self._idle.append(request)


class Plugin:
    """The OpenVINO backend."""

    def probe(self) -> Capability:
        """What the installed library finds on this box."""
        try:
            import openvino

            devices = {device.partition(".")[0] for device in openvino.Core().available_devices}
        except Exception as error:  # noqa: BLE001 - a broken install raises anything
            why = f"{type(error).__name__}: {_reason(error)}; install the extra livegate[openvino]"
            return Capability("openvino", "", (), why)
        names = tuple(name for name, theirs in PROVIDERS.items() if theirs in devices)
        version = openvino.__version__.partition("-")[0]
        return Capability(
            "openvino", version, names, "" if names else f"it finds only {sorted(devices)}"
        )

    def why_not(self, provider: str) -> str:
        """Nothing: what the library lists, it has opened."""
        return ""

    def load(self, network: Network, model: bytes, options: EngineOptions) -> OpenVinoEngine:
        """Compile a network, and check it against the manifest."""
        import openvino

        if options.provider not in self.probe().providers:
            raise SetupError(ErrorCode.INIT_FAIL, f"openvino has no provider {options.provider!r}")
        core, device = openvino.Core(), PROVIDERS[options.provider]
        try:
            graph = core.read_model(model)
            _flush_weights(openvino, graph)
            compiled = core.compile_model(graph, device, _properties(openvino, device, options))
        except Exception as error:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"network {network.name} of {network.file} does not load: {_reason(error)}",
            ) from error
        _require_device(openvino, compiled, network, device)
        outputs = [name for port in compiled.outputs for name in port.names]
        require_tensors(network, _inputs(compiled), outputs)
        return OpenVinoEngine(openvino, compiled, network, options.provider)


def _blank(openvino: Any, port: Any) -> Any:
    """A tensor of the library's own that fits an input; nobody computes with it."""
    shape = [1 if side.is_dynamic else side.get_length() for side in port.partial_shape]
    return openvino.Tensor(port.element_type, shape)


def _flush_weights(openvino: Any, graph: Any) -> None:
    for node in graph.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.f32:
            continue
        # As integers: a thread that flushes takes a denormal for zero when it compares.
        bits = np.array(node.data, np.float32, ndmin=1).view(np.uint32)
        size = bits & WITHOUT_SIGN
        is_denormal = (size > 0) & (size < LEAST_NORMAL)
        if is_denormal.any():
            weights = np.where(is_denormal, 0, bits).astype(np.uint32).view(np.float32)
            flushed = openvino.op.Constant(weights.reshape(node.data.shape))
            node.output(0).replace(flushed.output(0))


def _properties(openvino: Any, device: str, options: EngineOptions) -> dict[str, Any]:
    wanted = {"INFERENCE_PRECISION_HINT": openvino.Type.f32}
    if device == "CPU":
        wanted |= {
            "NUM_STREAMS": options.parallel_runs,
            "INFERENCE_NUM_THREADS": options.parallel_runs * options.intra_op_threads,
            "ENABLE_CPU_PINNING": False,
        }
    return wanted


def _require_device(openvino: Any, compiled: Any, network: Network, device: str) -> None:
    """Hold that it runs where and how it was asked to."""
    where = [name.partition(".")[0] for name in compiled.get_property("EXECUTION_DEVICES")]
    precision = compiled.get_property("INFERENCE_PRECISION_HINT")
    if where != [device] or precision != openvino.Type.f32:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"network {network.name} was asked to run on {device} in f32 "
            f"but runs on {', '.join(where)} in {precision.get_type_name()}",
            hint="another version of openvino may do better; see `livegate doctor`",
        )


def _inputs(compiled: Any) -> dict[str, FoundTensor]:
    found = {}
    for port in compiled.inputs:
        shape = tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape)
        found[port.any_name] = FoundTensor(port.element_type.to_dtype().name, shape)
    return found


def _reason(error: Exception) -> str:
    """Its messages begin with the lines of its own source that raised them."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("Exception from ")]
    return said[-1] if said else type(error).__name__
