"""A loaded plan: one lane for each run under way, all memory taken before the first request.

A lane is an execution context, a stream, an event, and for each tensor a block of device memory and a
pinned one of the host, as large as the largest shape needs. Waiting is sleeping on the event: the GIL is
free, and the processor as well.

All versions from 8.5 on have execute_async_v3 and addresses by name; the older call with a list of
bindings is gone from 10, and nothing here needs it.

Source: TensorRT Python API, IExecutionContext; developer guide, dynamic shapes and thread safety.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from livegate.backends.tensorrt.building import free_shape, type_name
from livegate.backends.tensorrt.messages import failure
from livegate.core.errors import EngineError
from livegate.devices.device import CudaError, Device, DeviceMemory, PinnedMemory
from livegate.engines.base import Array, Feeds
from livegate.engines.tensors import FoundTensor, fits, require_contiguous, require_tensors
from livegate.manifests.schema import Network

FLOAT_BYTES = 4


class TensorRtEngine:
    """One deserialised engine, shared by all workers; each run borrows a lane."""

    def __init__(
        self,
        trt: Any,
        device: Device,
        runtime: Any,
        engine: Any,
        network: Network,
        provider: str,
        lanes: int,
    ) -> None:
        """Check the engine's tensors and make the lanes; the device's context has to be current.

        Raises:
            SetupError: MODELINIT_FAIL for other tensors than the manifest's, ALLOC_MEM.
        """
        self.provider = provider
        self._device, self._network = device, network
        self._runtime, self._engine = runtime, engine  # contexts need them as long as they live
        self._trt, self._is_closed = trt, False
        self._extents = network.extents()
        self._idle: deque[_Lane] = deque()
        self._lock = threading.Lock()
        _require_engine(trt, engine, network)
        try:
            for _ in range(lanes):
                self._idle.append(_Lane(trt, device, engine, network))
        except BaseException:
            self.close()
            raise

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once, in a lane of its own."""
        array = self._input(feeds)
        try:
            with self._device.current():
                lane = self._borrow()
                try:
                    outputs = lane.run(array)
                except BaseException:
                    lane.close()  # in whatever state it is
                    raise
                self._give_back(lane)
                return outputs
        except CudaError as error:
            raise EngineError(f"network {self._network.name}: {error}") from error

    def close(self) -> None:
        """Give back the lanes; runs under way end first, each with its own."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, deque()
        with contextlib.suppress(CudaError), self._device.current():
            for lane in idle:
                lane.close()
            self._engine = self._runtime = None  # lanes under way hold theirs through their contexts

    def _input(self, feeds: Feeds) -> Array:
        spec, name = self._network.input, self._network.name
        if self._is_closed:
            raise _closed(self._network)
        if set(feeds) != {spec.name}:
            raise EngineError(f"network {name}: the inputs are {sorted(feeds)}, not {spec.name!r}")
        require_contiguous(name, feeds)
        array = feeds[spec.name]
        if array.dtype != spec.dtype or not fits(array.shape, spec.shape):
            raise EngineError(f"network {name}: the input is {array.dtype} {array.shape}")
        least, _, greatest = self._extents
        if any(not a <= n <= b for a, n, b in zip(least, array.shape, greatest, strict=True)):
            raise EngineError(
                f"network {name}: the input is {array.shape}, its engine takes {least} to {greatest}: "
                "the manifest's [networks.ranges]"
            )
        return array

    def _borrow(self) -> _Lane:
        with self._lock:
            if self._is_closed:
                raise _closed(self._network)
            if self._idle:
                return self._idle.pop()
            engine = self._engine
        return _Lane(self._trt, self._device, engine, self._network)

    def _give_back(self, lane: _Lane) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(lane)
                return
        lane.close()


class _Lane:
    """What one run needs for itself."""

    def __init__(self, trt: Any, device: Device, engine: Any, network: Network) -> None:
        """Take everything that the largest input needs."""
        self._network = network
        self._memory: dict[str, DeviceMemory] = {}
        self._pinned: dict[str, PinnedMemory] = {}
        self._held: list[Any] = []
        try:
            context = self._context = engine.create_execution_context()
            if context is None:
                raise failure(
                    f"network {network.name}: there is no execution context", ["out of memory"]
                )
            self._stream, self._event = self._hold(device.stream()), self._hold(device.event())
            for name, size in _sizes(trt, engine, context, network).items():
                self._memory[name] = device.allocate(size)
                self._pinned[name] = device.pin(size)
                if not context.set_tensor_address(name, self._memory[name].address):
                    raise failure(f"network {network.name}: no address for the tensor {name}", [])
        except CudaError as error:
            self.close()
            raise failure(f"network {network.name}: a lane was not made", [str(error)]) from error
        except BaseException:
            self.close()
            raise

    def run(self, array: Array) -> dict[str, Array]:
        """Copy in, compute, copy out; the outputs are the caller's.

        Raises:
            EngineError: TensorRT refuses the shape or the work.
            CudaError: the device failed.
        """
        context, stream, name = self._context, self._stream, self._network.input.name
        pinned = self._pinned[name]
        pinned.array[: array.nbytes] = array.reshape(-1).view(np.uint8)
        stream.copy_in(self._memory[name], pinned, array.nbytes)
        if not context.set_input_shape(name, array.shape):
            raise EngineError(f"network {self._network.name}: the engine refuses {array.shape}")
        if not context.execute_async_v3(stream.handle):
            raise EngineError(f"network {self._network.name}: the engine did not run")
        shapes = {}
        for output in self._network.outputs:
            shape = tuple(int(side) for side in context.get_tensor_shape(output.name))
            shapes[output.name] = shape
            size = math.prod(shape) * FLOAT_BYTES
            stream.copy_out(self._pinned[output.name], self._memory[output.name], size)
        stream.mark(self._event)
        self._event.wait()
        return {output: self._answer(output, shape) for output, shape in shapes.items()}

    def close(self) -> None:
        """Give everything back, as far as a failed device takes it."""
        self._context = None
        if len(self._held) == 2:
            with contextlib.suppress(CudaError):  # nothing may still be copied into what is freed
                self._stream.mark(self._event)
                self._event.wait()
        memories: list[DeviceMemory | PinnedMemory] = [*self._memory.values(), *self._pinned.values()]
        for memory in memories:
            with contextlib.suppress(CudaError):
                memory.free()
        for held in self._held:
            with contextlib.suppress(CudaError):
                held.close()
        self._memory, self._pinned, self._held = {}, {}, []

    def _hold(self, made: Any) -> Any:
        self._held.append(made)
        return made

    def _answer(self, name: str, shape: Sequence[int]) -> Array:
        size = math.prod(shape) * FLOAT_BYTES
        answer: Array = self._pinned[name].array[:size].view(np.float32).reshape(shape).copy()
        return answer


def _closed(network: Network) -> EngineError:
    return EngineError(f"network {network.name}: its engine is closed")


def _sizes(trt: Any, engine: Any, context: Any, network: Network) -> dict[str, int]:
    """The bytes of each tensor at the largest input; also of outputs that the manifest leaves out."""
    greatest = network.extents()[2]
    if not context.set_input_shape(network.input.name, greatest):
        raise failure(f"network {network.name}: its engine refuses {greatest}", [])
    sizes = {}
    for number in range(engine.num_io_tensors):
        name = engine.get_tensor_name(number)
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            sizes[name] = math.prod(greatest) * np.dtype(network.input.dtype).itemsize
        else:
            sizes[name] = max(1, int(context.get_max_output_size(name)))
    return sizes


def _require_engine(trt: Any, engine: Any, network: Network) -> None:
    """The tensors are the manifest's, and the outputs floats."""
    inputs, outputs = {}, {}
    for number in range(engine.num_io_tensors):
        name = engine.get_tensor_name(number)
        dtype = type_name(trt, engine.get_tensor_dtype(name))
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            inputs[name] = FoundTensor(dtype, free_shape(engine.get_tensor_shape(name)))
        else:
            outputs[name] = dtype
    require_tensors(network, inputs, outputs)
    told = {output.name: outputs[output.name] for output in network.outputs}
    if others := {name: dtype for name, dtype in told.items() if dtype != "float32"}:
        raise failure(f"network {network.name} answers {others}", ["outputs have to be float32"])
