"""A loaded offline model: one lane for each run under way, all memory taken before the first request.

A model id may not be run twice at once, because its stream and memory are its own. So a lane loads the
model for itself; it has a stream, and for each tensor device memory and pinned memory of the host. What
is loaded in a context is run and unloaded in it; each thread chooses its context, and several may choose
the same one.

Source: CANN, pyACL API: acl.mdl.execute_async (restrictions), acl.rt.create_context, acl.rt.memcpy_async
(the host's memory has to be malloc_host's), acl.mdl.set_dynamic_batch_size, acl.mdl.set_dynamic_hw_size.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from livegate.backends.ascend.converting import Profiles
from livegate.backends.ascend.messages import AclError, check, run_error, setup_error
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.engines.base import Array, Feeds
from livegate.engines.tensors import FoundTensor, fits, require_contiguous, require_tensors
from livegate.manifests.dims import resolve_shape
from livegate.manifests.schema import InputTensor, Network

DYNAMIC_TENSOR = "ascend_mbatch_shape_data"
"""ACL_DYNAMIC_TENSOR_NAME: the input that says which profile is meant."""
HUGE_FIRST, HOST_TO_DEVICE, DEVICE_TO_HOST = 0, 1, 2
RUNS_ON_DEVICE = 0
"""ACL_DEVICE of get_run_mode: the program runs on the Ascend's own processor."""
TYPES = {0: "float32", 4: "uint8"}
"""ACL_FLOAT and ACL_UINT8, and the manifest's words."""
FLOAT_BYTES = 4


class AscendEngine:
    """One converted network, shared by all workers; each run borrows a lane."""

    def __init__(
        self,
        acl: Any,
        device: int,
        plan: bytes,
        network: Network,
        fed: InputTensor,
        profiles: Profiles,
        provider: str,
        lanes: int,
    ) -> None:
        """Make the context and the lanes.

        Raises:
            SetupError: as `setup_error`; MODELINIT_FAIL for a model with other tensors.
        """
        self.provider, self.input = provider, fed
        self._acl, self._network, self._profiles, self._plan = acl, network, profiles, plan
        self._idle: deque[_Lane] = deque()
        self._lock, self._is_closed, self._lanes = threading.Lock(), False, 0
        fact = f"network {network.name}: the converted model"
        try:
            check(acl, "acl.rt.set_device", acl.rt.set_device(device))
            self._context, status = acl.rt.create_context(device)
            check(acl, "acl.rt.create_context", status)
        except AclError as error:
            raise setup_error(f"{fact} has no context", error) from error
        try:
            for _ in range(max(1, lanes)):
                self._idle.append(self._new_lane())
        except AclError as error:
            self.close()
            raise setup_error(f"{fact} does not load", error) from error
        except BaseException:
            self.close()
            raise

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once, or once a picture where the model is built for sizes; outputs are the caller's."""
        array = self._input(feeds)
        try:
            check(self._acl, "acl.rt.set_context", self._acl.rt.set_context(self._context))
            lane = self._borrow()
            try:
                outputs = self._run(lane, array)
            except BaseException:
                self._drop(lane)  # in whatever state it is
                raise
        except AclError as error:
            raise run_error(f"network {self._network.name}", error) from error
        self._give_back(lane)
        return outputs

    def close(self) -> None:
        """Give everything back; runs under way end first, each with its own lane."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, deque()
        if self._context is not None:
            self._acl.rt.set_context(self._context)
        for lane in idle:
            self._drop(lane)
        self._end_if_unused()

    def _run(self, lane: _Lane, array: Array) -> dict[str, Array]:
        profiles = self._profiles
        if profiles.sizes:
            parts = [lane.run(array[number : number + 1], None) for number in range(len(array))]
            names = parts[0]
            return {name: np.concatenate([part[name] for part in parts]) for name in names}
        if not profiles.batches:
            return lane.run(array, None)
        batch = next(n for n in profiles.batches if n >= len(array))
        return {name: output[: len(array)] for name, output in lane.run(array, batch).items()}

    def _input(self, feeds: Feeds) -> Array:
        spec, name = self.input, self._network.name
        if self._is_closed:
            raise _closed(self._network)
        if set(feeds) != {spec.name}:
            raise EngineError(f"network {name}: the inputs are {sorted(feeds)}, not {spec.name!r}")
        require_contiguous(name, feeds)
        array = feeds[spec.name]
        if array.dtype != spec.dtype or not fits(array.shape, spec.shape) or not len(array):
            raise EngineError(f"network {name}: the input is {array.dtype} {array.shape}")
        least, _, greatest = self._network.extents()
        if not least[0] <= len(array) <= greatest[0]:
            raise EngineError(
                f"network {name}: {len(array)} pictures at once, its engine takes {least[0]} to "
                f"{greatest[0]}: the manifest's [networks.ranges]"
            )
        size = _size_of(array, spec)
        if self._profiles.sizes and size not in self._profiles.sizes:
            raise EngineError(
                f"network {name}: a picture of {size[0]}x{size[1]} (height x width), and its engine was "
                "not built for it: the manifest's [networks.sizes]"
            )
        return array

    def _new_lane(self) -> _Lane:
        lane = _Lane(self._acl, self._plan, self._network, self.input, self._profiles)
        with self._lock:
            self._lanes += 1
        return lane

    def _borrow(self) -> _Lane:
        with self._lock:
            if self._is_closed:
                raise _closed(self._network)
            if self._idle:
                return self._idle.pop()
        return self._new_lane()

    def _give_back(self, lane: _Lane) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(lane)
                return
        self._drop(lane)

    def _drop(self, lane: _Lane) -> None:
        lane.close()
        with self._lock:
            self._lanes -= 1
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        """The context goes with the last lane of a closed engine."""
        with self._lock:
            if self._lanes or not self._is_closed:
                return
            context, self._context = self._context, None
        if context is not None:
            self._acl.rt.destroy_context(context)


class _Lane:
    """What one run needs for itself. The engine's context has to be current in the calling thread."""

    def __init__(
        self, acl: Any, plan: bytes, network: Network, fed: InputTensor, profiles: Profiles
    ) -> None:
        """Load the model and take all memory; what was taken before a failure is given back."""
        self._acl, self._network, self._fed, self._profiles = acl, network, fed, profiles
        with contextlib.ExitStack() as held:
            self._model = self._load(held, plan)
            self._description = self._describe(held)
            self._stream = self._made(held, "acl.rt.create_stream", "acl.rt.destroy_stream")
            self._dynamic = -1
            self._inputs, self._input = self._input_set(held)
            self._outputs, self._told = self._output_set(held)
            self._held = held.pop_all()

    def run(self, array: Array, batch: int | None) -> dict[str, Array]:
        """Copy in, compute, copy out.

        Args:
            array: what the model is fed with; no more pictures than `batch`.
            batch: which profile; None where the model has none for batches.

        Raises:
            AclError: a call failed.
        """
        acl, stream, size = self._acl, self._stream, array.nbytes
        self._input.host[:size] = array.reshape(-1).view(np.uint8)
        self._input.host[size:] = 0  # what fills a batch up
        self._copy(self._input, HOST_TO_DEVICE)
        if batch is not None:
            status = acl.mdl.set_dynamic_batch_size(self._model, self._inputs, self._dynamic, batch)
            check(acl, "acl.mdl.set_dynamic_batch_size", status)
        elif self._profiles.sizes:
            height, width = _size_of(array, self._fed)
            status = acl.mdl.set_dynamic_hw_size(self._model, self._inputs, self._dynamic, height, width)
            check(acl, "acl.mdl.set_dynamic_hw_size", status)
        status = acl.mdl.execute_async(self._model, self._inputs, self._outputs, stream)
        check(acl, "acl.mdl.execute_async", status)
        for memory in self._told.values():
            self._copy(memory, DEVICE_TO_HOST)
        check(acl, "acl.rt.synchronize_stream", acl.rt.synchronize_stream(stream))
        return dict(self._answers(array, batch))

    def close(self) -> None:
        """Give everything back, in the reverse order, as far as a failed device takes it."""
        with contextlib.suppress(AclError):  # nothing may still be copied into what is freed
            check(self._acl, "acl.rt.synchronize_stream", self._acl.rt.synchronize_stream(self._stream))
        self._held.close()

    def _answers(self, array: Array, batch: int | None) -> Iterator[tuple[str, Array]]:
        spec, shape = self._fed, (batch or len(array), *array.shape[1:])
        known = {d: n for d, n in zip(spec.shape, shape, strict=True) if isinstance(d, str)}
        for output in self._network.outputs:
            told = resolve_shape(output.shape, known)
            size = math.prod(told) * FLOAT_BYTES
            content = self._told[output.name].host[:size]
            yield output.name, content.view(np.float32).reshape(told).copy()

    def _copy(self, memory: _Memory, kind: int) -> None:
        host, device = memory.host_address, memory.device_address
        target, source = (device, host) if kind == HOST_TO_DEVICE else (host, device)
        acl, size = self._acl, memory.size
        status = acl.rt.memcpy_async(target, size, source, size, kind, self._stream)
        check(acl, "acl.rt.memcpy_async", status)

    def _load(self, held: contextlib.ExitStack, plan: bytes) -> int:
        acl = self._acl
        mode, status = acl.rt.get_run_mode()
        check(acl, "acl.rt.get_run_mode", status)
        with contextlib.ExitStack() as loading:
            address = acl.util.bytes_to_ptr(plan)
            if mode == RUNS_ON_DEVICE:  # there the model is read from the device's memory
                copy = self._device_memory(loading, len(plan))
                status = acl.rt.memcpy(copy, len(plan), address, len(plan), HOST_TO_DEVICE)
                check(acl, "acl.rt.memcpy", status)
                address = copy
            model, status = acl.mdl.load_from_mem(address, len(plan))
            check(acl, "acl.mdl.load_from_mem", status)
        held.callback(acl.mdl.unload, model)
        return int(model)

    def _describe(self, held: contextlib.ExitStack) -> Any:
        acl = self._acl
        description = acl.mdl.create_desc()
        held.callback(acl.mdl.destroy_desc, description)
        check(acl, "acl.mdl.get_desc", acl.mdl.get_desc(description, self._model))
        return description

    def _input_set(self, held: contextlib.ExitStack) -> tuple[Any, _Memory]:
        """The input's memory, and that of the profile beside it where the model has profiles."""
        acl, mdl, description = self._acl, self._acl.mdl, self._description
        found, own = {}, None
        dataset = self._dataset(held)
        for index in range(mdl.get_num_inputs(description)):
            name = mdl.get_input_name_by_index(description, index)
            size = mdl.get_input_size_by_index(description, index)
            if name == DYNAMIC_TENSOR:
                self._dynamic, status = mdl.get_input_index_by_name(description, DYNAMIC_TENSOR)
                check(acl, "acl.mdl.get_input_index_by_name", status)
                self._add(held, dataset, self._device_memory(held, size), size)
                continue
            dims, status = mdl.get_input_dims(description, index)
            check(acl, "acl.mdl.get_input_dims", status)
            kind = mdl.get_input_data_type(description, index)
            shape = tuple(None if side < 0 else int(side) for side in dims["dims"])
            found[name] = FoundTensor(TYPES.get(kind, f"ACL type {kind}"), shape)
            own = self._memory(held, size)
            self._add(held, dataset, own.device_address, size)
        network = self._network
        require_tensors(_as_fed(network, self._fed), found, [o.name for o in network.outputs])
        if own is None or (self._dynamic < 0) == bool(self._profiles.batches or self._profiles.sizes):
            raise _other_model(network, "its profiles are not those that it was built for")
        return dataset, own

    def _output_set(self, held: contextlib.ExitStack) -> tuple[Any, dict[str, _Memory]]:
        mdl, description, network = self._acl.mdl, self._description, self._network
        dataset, memories = self._dataset(held), {}
        names = [output.name for output in network.outputs]
        for index in range(mdl.get_num_outputs(description)):
            # Operator, edge and name, with colons between, in what atc makes of an ONNX file.
            name = str(mdl.get_output_name_by_index(description, index)).rpartition(":")[2]
            size = mdl.get_output_size_by_index(description, index)
            if mdl.get_output_data_type(description, index) != 0:
                raise _other_model(network, f"its output {name} is not float32")
            memories[name] = self._memory(held, size)
            self._add(held, dataset, memories[name].device_address, size)
        if missing := sorted(set(names) - set(memories)):
            raise _other_model(network, f"outputs {missing} are not among {sorted(memories)}")
        return dataset, memories

    def _memory(self, held: contextlib.ExitStack, size: int) -> _Memory:
        acl = self._acl
        address, status = acl.rt.malloc_host(size)
        check(acl, "acl.rt.malloc_host", status)
        held.callback(acl.rt.free_host, address)
        return _Memory(self._device_memory(held, size), address, size)

    def _device_memory(self, held: contextlib.ExitStack, size: int) -> int:
        acl = self._acl
        address, status = acl.rt.malloc(size, HUGE_FIRST)
        check(acl, "acl.rt.malloc", status)
        held.callback(acl.rt.free, address)
        return int(address)

    def _dataset(self, held: contextlib.ExitStack) -> Any:
        dataset = self._acl.mdl.create_dataset()
        held.callback(self._acl.mdl.destroy_dataset, dataset)
        return dataset

    def _add(self, held: contextlib.ExitStack, dataset: Any, address: int, size: int) -> None:
        acl = self._acl
        buffer = acl.create_data_buffer(address, size)
        held.callback(acl.destroy_data_buffer, buffer)
        _, status = acl.mdl.add_dataset_buffer(dataset, buffer)
        check(acl, "acl.mdl.add_dataset_buffer", status)

    def _made(self, held: contextlib.ExitStack, make: str, end: str) -> Any:
        made, status = _call(self._acl, make)()
        check(self._acl, make, status)
        held.callback(_call(self._acl, end), made)
        return made


class _Memory:
    """Device memory and pinned memory of the host for one tensor; freed by the lane."""

    def __init__(self, device_address: int, host_address: int, size: int) -> None:
        """Look at the host's as bytes."""
        self.device_address, self.host_address, self.size = device_address, host_address, size
        self.host = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(host_address))


def _call(acl: Any, name: str) -> Callable[..., Any]:
    found = acl
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    call: Callable[..., Any] = found
    return call


def _size_of(array: Array, spec: InputTensor) -> tuple[int, int]:
    rows = 2 if spec.layout == "NCHW" else 1
    return int(array.shape[rows]), int(array.shape[rows + 1])


def _as_fed(network: Network, fed: InputTensor) -> Network:
    return msgspec.structs.replace(network, input=fed)


def _closed(network: Network) -> EngineError:
    return EngineError(f"network {network.name}: its engine is closed")


def _other_model(network: Network, why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL, f"network {network.name}: the converted model is another one: {why}"
    )
