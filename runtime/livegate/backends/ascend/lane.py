"""What one run on an Ascend needs for itself: a model of its own, a stream, memory of both sides.

A model id may not be run twice at once, because its stream and memory are its own; so each lane loads
the model for itself. Copies run beside the program, so the host's memory has to be malloc_host's.

Source: CANN, pyACL API: acl.mdl.execute_async (restrictions), acl.rt.memcpy_async,
acl.mdl.load_from_mem, acl.mdl.set_dynamic_batch_size, acl.mdl.set_dynamic_hw_size.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from livegate.backends.ascend.converting import Profiles
from livegate.backends.ascend.messages import AclError, check
from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.base import Array
from livegate.engines.tensors import FoundTensor, require_tensors
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


class Lane:
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
            height, width = size_of(array, self._fed)
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


def size_of(array: Array, spec: InputTensor) -> tuple[int, int]:
    """Height and width of the pictures in a batch."""
    rows = 2 if spec.layout == "NCHW" else 1
    return int(array.shape[rows]), int(array.shape[rows + 1])


def _as_fed(network: Network, fed: InputTensor) -> Network:
    return msgspec.structs.replace(network, input=fed)


def _other_model(network: Network, why: str) -> SetupError:
    return SetupError(
        ErrorCode.MODELINIT_FAIL, f"network {network.name}: the converted model is another one: {why}"
    )
