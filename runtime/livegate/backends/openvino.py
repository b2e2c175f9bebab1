"""OpenVINO: the CPU, and Intel's graphics where somebody asks for them.

Two things that the library does by itself are not wanted here:
- On a CPU with AVX512-BF16 it computes in bfloat16 unless told otherwise: scores move in the second
  decimal. So the precision is asked for, and read back.
- One run takes all cores; with several streams, each run is handed to a thread of the library's own,
  and two of those share a core while another one idles (two runs at once: 1.6 of 2 cores busy). So the
  network is compiled once for each run that may be under way, with one stream of `intra_op_threads`
  threads; with one thread the run stays in the thread that asked (1.9 of 2 cores). Pinned threads
  would fight over cores with those of the next network.

Denormal weights, which make a network many times slower, are set to zero at load. The workers' own
floating-point setting (engines/denormals.py) does not do where a run has several threads: the library's
take over that of a thread which ran something before, one or another. Its own switch reaches no thread
but the one that compiles, which then takes 5e-324 for 0 in everything else that it computes (2025.0 and
2026.4).

Source: docs.openvino.ai, CPU device; OpenVINO Runtime Python API, shared memory on inputs;
openvinotoolkit/openvino issue 23476 (one stream, one thread: the caller's).
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, cast

import numpy as np

from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import Array, Capability, EngineOptions, Feeds
from livegate.engines.tensors import FoundTensor, require_contiguous, require_tensors
from livegate.manifests.schema import Network

PROVIDERS = {"cpu": "CPU", "gpu": "GPU"}
"""Our names and theirs; the CPU first, because it is what the models are proved on."""

WITHOUT_SIGN, LEAST_NORMAL = 0x7FFF_FFFF, 0x0080_0000
"""Of the bits of a float32: without its sign, those between zero and LEAST_NORMAL are denormal."""


def silent_library() -> Any:
    """The library, which calls nobody: a tool that it imports tells Google Analytics of every process.

    That tool does without where the package that tells is not here; so it is not, for this process.

    Raises:
        Exception: whatever a broken install raises.
    """
    sys.modules.setdefault("openvino_telemetry", cast("ModuleType", None))
    import openvino

    return openvino


class _Copy:
    """One compiled copy of a network, and the inference request that runs on it."""

    def __init__(self, compiled: Any, *, is_spare: bool = False) -> None:
        """Its request is made when it is first wanted."""
        self.compiled = compiled
        self.request: Any = None
        self.is_spare = is_spare


class OpenVinoEngine:
    """A network, compiled once for each run that may be under way; a run borrows one copy."""

    def __init__(self, openvino: Any, compiled: Sequence[Any], network: Network, provider: str) -> None:
        """Take over checked copies."""
        self.provider = provider
        self._openvino = openvino
        self._name = network.name
        self._outputs = [output.name for output in network.outputs]
        self._blanks = [(port, _blank(openvino, port)) for port in compiled[0].inputs]
        self._compiled = tuple(compiled)
        self._idle = deque(map(_Copy, compiled))

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once; contiguous, writable inputs are read in place, read-only ones copied once."""
        require_contiguous(self._name, feeds)
        copy = self._borrow()
        try:
            # A request that fails is dropped, with whatever state it is in.
            request, copy.request = copy.request or copy.compiled.create_infer_request(), None
            for name, array in feeds.items():
                # The binding refuses to share memory that is read-only.
                is_shared = array.flags.writeable
                request.set_tensor(name, self._openvino.Tensor(array, shared_memory=is_shared))
            request.infer()
            # Copied, because the request's own buffers are written again by the next run.
            outputs = {name: request.get_tensor(name).data.copy() for name in self._outputs}
            # A shared tensor is a bare pointer, which does not keep its array alive: take it back.
            for port, blank in self._blanks:
                request.set_tensor(port, blank)
            copy.request = request
        except Exception as error:
            raise EngineError(f"network {self._name}: {_reason(error)}") from error
        finally:
            self._give_back(copy)
        return outputs

    def close(self) -> None:
        """Let the network go; runs under way keep it until they end."""
        self._compiled = ()
        self._idle.clear()

    def _borrow(self) -> _Copy:
        """An idle copy; of more runs than were asked for, some share the first one, and wait."""
        compiled = self._compiled
        if not compiled:
            raise EngineError(f"network {self._name}: its engine is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return _Copy(compiled[0], is_spare=True)

    def _give_back(self, copy: _Copy) -> None:
        if self._compiled and not copy.is_spare:
            self._idle.append(copy)


class Plugin:
    """The OpenVINO backend."""

    def probe(self) -> Capability:
        """What the installed library finds on this box."""
        try:
            openvino = silent_library()
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
        openvino = silent_library()
        if options.provider not in self.probe().providers:
            raise SetupError(ErrorCode.INIT_FAIL, f"openvino has no provider {options.provider!r}")
        core, device = openvino.Core(), PROVIDERS[options.provider]
        try:
            graph = core.read_model(model)
            _flush_weights(openvino, graph)
            compiled = _compile(core, graph, device, _properties(openvino, device, options), options)
        except Exception as error:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"network {network.name} of {network.file} does not load: {_reason(error)}",
            ) from error
        for copy in compiled:
            _require_device(openvino, copy, network, device)
        outputs = [name for port in compiled[0].outputs for name in port.names]
        require_tensors(network, _inputs(compiled[0]), outputs)
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
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": options.intra_op_threads,
            "ENABLE_CPU_PINNING": False,
        }
    return wanted


def _compile(
    core: Any, graph: Any, device: str, properties: dict[str, Any], options: EngineOptions
) -> list[Any]:
    """For each run on the CPU a copy; a graphics card has queues of its own, and one does for all."""
    runs = options.parallel_runs
    if device != "CPU":
        return [core.compile_model(graph, device, properties)] * runs
    with ThreadPoolExecutor(runs) as threads:
        return list(threads.map(lambda _: core.compile_model(graph, device, properties), range(runs)))


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
