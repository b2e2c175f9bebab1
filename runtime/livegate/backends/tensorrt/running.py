"""A loaded plan: one lane for each run under way, made before the first request.

Source: TensorRT Python API, ICudaEngine; developer guide, thread safety.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from livegate.backends.tensorrt.building import dla_core, free_shape, type_name
from livegate.backends.tensorrt.graphs import GraphLedger, why_plain
from livegate.backends.tensorrt.lane import Lane
from livegate.backends.tensorrt.messages import failure
from livegate.core.errors import EngineError
from livegate.core.results import GraphRuns
from livegate.devices.cutting import Cutter
from livegate.devices.device import CudaError, Device
from livegate.engines.base import Array, EngineOptions, Feeds
from livegate.engines.tensors import FoundTensor, fits, require_contiguous, require_tensors
from livegate.kernels.pictures import require_reach
from livegate.manifests.schema import Network
from livegate.preprocess.cut import Cut, cut_input
from livegate.preprocess.ops import TurnedPlan


class TensorRtEngine:
    """One deserialised engine, shared by all workers; each run borrows a lane."""

    def __init__(
        self,
        trt: Any,
        device: Device,
        runtime: Any,
        engine: Any,
        network: Network,
        options: EngineOptions,
        cutter: Cutter | None = None,
    ) -> None:
        """Check the engine's tensors and make the lanes; the device's context has to be current.

        With a cutter, which is closed with the engine, frames are taken as well as tensors.
        A network with one shape only has run and is recorded in every lane afterwards.

        Raises:
            SetupError: MODELINIT_FAIL for other tensors than the manifest's, ALLOC_MEM.
        """
        self.provider = provider = options.provider
        self._device, self._network = device, network
        self._runtime, self._engine = runtime, engine  # contexts need them as long as they live
        self._trt, self._is_closed = trt, False
        self._cutter, copies = cutter, options.preprocess == "gpu"
        self.input = cut_input(network.input, takes_copies=copies) if cutter else network.input
        self._under_way = 0
        self._extents = network.extents()
        self._idle: deque[Lane] = deque()
        self._lock = threading.Lock()
        is_dla, is_wanted = dla_core(provider) is not None, options.records_graphs
        plainly = why_plain(device, provider, is_dla=is_dla, is_wanted=is_wanted)
        self._ledger = GraphLedger(network.name, plainly)
        try:
            _require_engine(trt, engine, network)
            for _ in range(options.parallel_runs):
                lane = self._lane(engine)
                self._idle.append(lane)
                self._rehearse(lane)
        except BaseException:
            self.close()
            raise

    def graph_runs(self) -> GraphRuns:
        """How runs were launched until now, those of the load included."""
        return self._ledger.read()

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once, in a lane of its own."""
        feed = self._input(feeds)
        try:
            with self._device.current(), self._borrowed() as lane:
                return lane.run(feed)
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
            self._close_cutter()

    def _input(self, feeds: Feeds) -> Array | Cut:
        spec, name = self._network.input, self._network.name
        if self._is_closed:
            raise _closed(self._network)
        if set(feeds) != {spec.name}:
            raise EngineError(f"network {name}: the inputs are {sorted(feeds)}, not {spec.name!r}")
        array: Array | Cut = feeds[spec.name]
        if isinstance(array, Cut):
            dtype = str(spec.dtype) if self._cutter else "a frame"
        else:
            require_contiguous(name, feeds)
            dtype = str(array.dtype)
        if dtype != spec.dtype or not fits(array.shape, spec.shape):
            raise EngineError(f"network {name}: the input is {dtype} {array.shape}")
        least, _, greatest = self._extents
        if any(not a <= n <= b for a, n, b in zip(least, array.shape, greatest, strict=True)):
            raise EngineError(
                f"network {name}: the input is {array.shape}, its engine takes {least} to {greatest}: "
                "the manifest's [networks.ranges]"
            )
        if isinstance(array, Cut) and isinstance(array.plan, TurnedPlan):
            require_reach(array.plan, array.spec)  # a lane in which it fails would be dropped
        return array

    def _lane(self, engine: Any) -> Lane:
        return Lane(self._trt, self._device, engine, self._network, self._ledger, self._cutter)

    def _rehearse(self, lane: Lane) -> None:
        """Run once where there is one shape only, so that no request waits for a recording."""
        least, _, greatest = self._extents
        if not self._ledger.is_open or least != greatest:
            return
        try:
            lane.run(np.zeros(least, self._network.input.dtype))
        except (CudaError, EngineError) as error:
            raise failure(
                f"network {self._network.name}: its engine does not run", [str(error)]
            ) from error

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Lane]:
        """A lane for one run; one whose run failed is dropped, in whatever state it is."""
        with self._lock:
            if self._is_closed:
                raise _closed(self._network)
            self._under_way += 1
            engine, lane = self._engine, self._idle.pop() if self._idle else None
        is_good = False
        try:
            lane = lane or self._lane(engine)
            yield lane
            is_good = True
        finally:
            self._give_back(lane, is_good=is_good)

    def _give_back(self, lane: Lane | None, *, is_good: bool) -> None:
        with self._lock:
            self._under_way -= 1
            is_kept = is_good and not self._is_closed
            if lane is not None and is_kept:
                self._idle.append(lane)
        if lane is not None and not is_kept:
            lane.close()
        self._close_cutter()

    def _close_cutter(self) -> None:
        """When the engine is closed and nothing runs any more: the kernel's code goes."""
        with self._lock:
            is_over = self._is_closed and not self._under_way
            cutter, self._cutter = (self._cutter, None) if is_over else (None, self._cutter)
        if cutter is not None:
            cutter.close()


def _closed(network: Network) -> EngineError:
    return EngineError(f"network {network.name}: its engine is closed")


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
