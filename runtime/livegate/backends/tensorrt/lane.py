"""What one run needs for itself: contexts, a stream, an event, memory for each tensor.

For each tensor there is a block of device memory and a pinned one of the host, as large as the largest
shape needs. Waiting is sleeping on the event: the GIL is free, and the processor as well.

All versions from 8.5 on have execute_async_v3 and addresses by name; the older call with a list of
bindings is gone from 10, and nothing here needs it.

Source: TensorRT Python API, IExecutionContext; developer guide, dynamic shapes.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from livegate.backends.tensorrt.graphs import (
    GraphLedger,
    NotCapturedError,
    Outputs,
    Recorder,
    Shape,
)
from livegate.backends.tensorrt.messages import failure
from livegate.core.errors import EngineError
from livegate.devices.cutting import CutRoom, Cutter
from livegate.devices.device import CudaError, Device, DeviceMemory, Event, Graph, PinnedMemory, Stream
from livegate.engines.base import Array
from livegate.manifests.schema import Network
from livegate.preprocess.cut import Cut

FLOAT_BYTES = 4


class Lane:
    """One run at a time."""

    def __init__(
        self,
        trt: Any,
        device: Device,
        engine: Any,
        network: Network,
        ledger: GraphLedger,
        cutter: Cutter | None,
    ) -> None:
        """Take everything that the largest input needs.

        Raises:
            SetupError: ALLOC_MEM, MODELINIT_FAIL.
        """
        self._engine, self._network, self._ledger = engine, network, ledger
        least, _, greatest = network.extents()
        self._has_one_shape = least == greatest
        self._memory: dict[str, DeviceMemory] = {}
        self._pinned: dict[str, PinnedMemory] = {}
        self._held: list[Any] = []
        self._recorder = Recorder(ledger)
        self._room = CutRoom(cutter) if cutter is not None else None
        self._context: Any = None
        try:
            context = self._context = _context_of(engine, network)
            self._stream: Stream = self._hold(device.stream())
            self._event: Event = self._hold(device.event())
            for name, size in _sizes(trt, engine, context, network).items():
                self._memory[name] = device.allocate(size)
                self._pinned[name] = device.pin(size)
            self._address(context)
        except CudaError as error:
            self.close()
            raise failure(f"network {network.name}: a lane was not made", [str(error)]) from error
        except BaseException:
            self.close()
            raise

    def run(self, feed: Array | Cut) -> dict[str, Array]:
        """Copy or cut in, compute, copy out; the outputs are the caller's.

        Raises:
            EngineError: TensorRT refuses the shape or the work.
            CudaError: the device failed.
        """
        shape = feed.shape
        self._fill(feed)
        kept = self._recorder.find(shape)
        if kept is not None:
            self._launch(kept.graph)
            return self._answers(kept.outputs)
        own = self._context_to_record(shape)
        outputs = self._enqueue(self._context if own is None else own, shape)
        self._ledger.count(recorded=False)
        answers = self._answers(outputs)
        if own is not None:
            self._recorder.record(shape, own, outputs, lambda: self._capture(own, outputs))
        return answers

    def close(self) -> None:
        """Give everything back, as far as a failed device takes it."""
        if len(self._held) == 2:
            with contextlib.suppress(CudaError):  # nothing may still be copied into what is freed
                self._wait()
        self._recorder.close()
        if self._room is not None:
            self._room.close()
        self._context = self._engine = None
        memories: list[DeviceMemory | PinnedMemory] = [*self._memory.values(), *self._pinned.values()]
        for memory in memories:
            with contextlib.suppress(CudaError):
                memory.free()
        for held in self._held:
            with contextlib.suppress(CudaError):
                held.close()
        self._memory, self._pinned, self._held = {}, {}, []

    def _fill(self, feed: Array | Cut) -> None:
        """Have the input in device memory when the stream comes to the network."""
        name = self._network.input.name
        if isinstance(feed, Cut):
            if self._room is None:
                raise EngineError(f"network {self._network.name}: nothing here cuts frames")
            self._room.cut(feed, self._memory[name].address, self._stream)
            return
        pinned = self._pinned[name]
        pinned.array[: feed.nbytes] = feed.reshape(-1).view(np.uint8)
        self._stream.copy_in(self._memory[name], pinned, feed.nbytes)

    def _launch(self, graph: Graph) -> None:
        try:
            graph.launch(self._stream)
        except CudaError as error:
            self._ledger.refuse(f"one was not launched: {error}")
            raise
        self._ledger.count(recorded=True)

    def _enqueue(self, context: Any, shape: Shape) -> Outputs:
        """Compute and copy out; the shapes of the outputs."""
        network = self._network
        if not context.set_input_shape(network.input.name, shape):
            raise EngineError(f"network {network.name}: the engine refuses {shape}")
        if not context.execute_async_v3(self._stream.handle):
            raise EngineError(f"network {network.name}: the engine did not run")
        outputs = {
            output.name: tuple(int(side) for side in context.get_tensor_shape(output.name))
            for output in network.outputs
        }
        self._copy_out(outputs)
        return outputs

    def _context_to_record(self, shape: Shape) -> Any:
        """A context that sees this shape only; None where the shape is not to be recorded now."""
        if not self._recorder.wants(shape, only_shape=self._has_one_shape):
            return None
        if self._has_one_shape:
            return self._context
        context = self._engine.create_execution_context()
        if context is None:
            self._ledger.refuse("there is no memory for one more execution context")
            return None
        self._address(context)
        return context

    def _capture(self, context: Any, outputs: Outputs) -> Graph:
        """The work on the shape that the context has, and the copies, as a graph."""

        def enqueue() -> None:
            if not context.execute_async_v3(self._stream.handle):
                raise NotCapturedError("TensorRT refuses, as it does with loops and conditions")
            self._copy_out(outputs)

        return self._stream.record(enqueue)

    def _copy_out(self, outputs: Outputs) -> None:
        for name, shape in outputs.items():
            size = math.prod(shape) * FLOAT_BYTES
            self._stream.copy_out(self._pinned[name], self._memory[name], size)

    def _answers(self, outputs: Outputs) -> dict[str, Array]:
        """Wait; copies of what was copied out."""
        self._wait()
        return {name: self._answer(name, shape) for name, shape in outputs.items()}

    def _answer(self, name: str, shape: Shape) -> Array:
        size = math.prod(shape) * FLOAT_BYTES
        answer: Array = self._pinned[name].array[:size].view(np.float32).reshape(shape).copy()
        return answer

    def _wait(self) -> None:
        self._stream.mark(self._event)
        self._event.wait()

    def _address(self, context: Any) -> None:
        for name, memory in self._memory.items():
            if not context.set_tensor_address(name, memory.address):
                raise failure(f"network {self._network.name}: no address for the tensor {name}", [])

    def _hold(self, made: Any) -> Any:
        self._held.append(made)
        return made


def _context_of(engine: Any, network: Network) -> Any:
    context = engine.create_execution_context()
    if context is None:
        raise failure(f"network {network.name}: there is no execution context", ["out of memory"])
    return context


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
