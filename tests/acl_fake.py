"""pyACL without an Ascend: the calls that our backend makes, as Huawei's documentation tells of them.

A converted model is the ONNX file with what atc was told (tests/fake_atc.py); a run is ONNX Runtime's,
from the input's address to the outputs', in the order of a stream. So our flow is run, and its answers
are the network's; that an Ascend computes rightly is not shown by this.

What the documentation forbids and does not promise an error for is noted in `violations`: host memory
that malloc_host did not give, a model run twice at once, things destroyed while others need them.
`left` tells what was made and not given back.

Pages: www.hiascend.com/document/detail/en/canncommercial/800/apiref/appdevgapi, one for each function
("Function: load_from_mem", aclpythondevg_01_0149.html); each function here names its own by its title.
The page aclError has the numbers.
"""

from __future__ import annotations

import base64
import ctypes
import itertools
import json
import os
import stat
import sys
import threading
import types
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parent
PAGES: dict[str, str] = {}
"""What each function of a fake says of its page."""
SOC = "Ascend310P3"
DYNAMIC = "ascend_mbatch_shape_data"
INVALID_PARAM, UNINITIALISED, REPEATED_INIT = 100000, 100001, 100002
CONTEXT_NULL, STREAM_CONTEXT, MODEL_CONTEXT, NO_MEMORY = 107002, 107003, 107004, 207001
FLOAT, UINT8, HUGE_FIRST = 0, 4, 0
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2


class Om:
    """A loaded model."""

    def __init__(self, content: bytes, context: int) -> None:
        """Read what fake_atc wrote."""
        import onnxruntime

        told = json.loads(content)
        self.context, self.aipp, self.running_in = context, told["aipp"], 0
        self.name, self.outputs, self.format = told["name"], told["outputs"], told["format"]
        self.batches, self.sizes, self.dims = told["batches"], told["sizes"], told["dims"]
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        onnx = base64.b64decode(told["onnx"])
        self.session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.is_bytes = bool(self.aipp) or "uint8" in self.session.get_inputs()[0].type
        zeros = np.zeros(self.shape(self.greatest), np.uint8 if self.is_bytes else np.float32)
        self.input_bytes = zeros.nbytes
        self.output_bytes = [answer.nbytes for answer in self.compute(zeros)]

    @property
    def is_dynamic(self) -> bool:
        """Whether it has profiles."""
        return bool(self.batches or self.sizes)

    @property
    def greatest(self) -> Any:
        """The profile that needs most memory."""
        if self.batches:
            return max(self.batches)
        return max(self.sizes, key=lambda size: size[0] * size[1]) if self.sizes else None

    @property
    def told_dims(self) -> list[int]:
        """As get_input_dims tells them: AIPP makes the input a picture, NHWC."""
        if not self.aipp:
            return self.dims
        batch, channels, height, width = self.dims
        return [batch, height, width, channels]

    def shape(self, profile: Any) -> list[int]:
        """The input's shape under a profile."""
        free = [profile] if self.batches else list(profile or [])
        return [free.pop(0) if side < 0 else side for side in self.told_dims]

    def compute(self, fed: np.ndarray) -> list[np.ndarray]:
        """AIPP where it is built in, then the network."""
        if self.aipp:
            swap = self.aipp["rbuv_swap_switch"] == "true"
            pixels = fed[..., ::-1] if swap else fed
            least, scale = (
                np.array([float(self.aipp[f"{word}_{channel}"]) for channel in range(3)], np.float32)
                for word in ("min_chn", "var_reci_chn")
            )
            # AIPP answers in half precision.
            made = ((pixels.astype(np.float32) - least) * scale).astype(np.float16).astype(np.float32)
            fed = np.ascontiguousarray(made.transpose(0, 3, 1, 2))
        return self.session.run(self.outputs, {self.name: fed})


class FakeNpu:
    """One NPU's state."""

    def __init__(self, *, count: int = 1, memory: int = 1 << 32, runs_on_device: bool = False) -> None:
        """Nothing is taken."""
        self.count, self.memory, self.runs_on_device = count, memory, runs_on_device
        self.is_started = False
        self.held: dict[str, dict[int, Any]] = {}
        self.failures: dict[str, int] = {}
        """By call: the status that it ends with, once."""
        self.violations: list[str] = []
        self.calls: Counter[str] = Counter()
        self.copies: list[tuple[int, int]] = []
        self.lock = threading.RLock()
        self._numbers = itertools.count(1 << 20, 64)
        self._thread = threading.local()

    @property
    def context(self) -> int:
        """The calling thread's."""
        return getattr(self._thread, "context", 0)

    @context.setter
    def context(self, context: int) -> None:
        self._thread.context = context

    @property
    def left(self) -> dict[str, int]:
        """What was made and not given back."""
        return {kind: len(found) for kind, found in self.held.items() if found}

    def make(self, kind: str, thing: Any) -> int:
        """A handle for something."""
        with self.lock:
            number = next(self._numbers)
            self.held.setdefault(kind, {})[number] = thing
            return number

    def end(self, kind: str, number: int) -> int:
        """Something is given back; twice is an invalid parameter."""
        with self.lock:
            found = self.held.get(kind, {}).pop(number, None)
            return INVALID_PARAM if found is None else 0

    def take(self, kind: str, size: int) -> tuple[int, int]:
        """Memory at an address that is a multiple of 64."""
        used = sum(block[1] for block in self.held.get("device memory", {}).values())
        if size <= 0:
            return 0, INVALID_PARAM
        if kind == "device memory" and used + size > self.memory:
            return 0, NO_MEMORY
        block = (ctypes.c_ubyte * (size + 64))()
        address = -(-ctypes.addressof(block) // 64) * 64
        with self.lock:
            self.held.setdefault(kind, {})[address] = (block, size)
        return address, 0

    def holds(self, kind: str, address: int, size: int) -> bool:
        """Whether memory of that kind is there."""
        found = self.held.get(kind, {}).get(address)
        return found is not None and found[1] >= size


def acl_fake(npu: FakeNpu) -> Any:
    """A module that stands for acl."""
    acl: Any = types.ModuleType("acl")
    acl.rt, acl.mdl, acl.util = (types.SimpleNamespace() for _ in range(3))

    def page(room: Any, *, needs_context: bool = False) -> Any:
        """Put a function into its room; it counts, fails when it is told to, and wants its context."""

        def put(function: Any) -> Any:
            name = function.__name__
            answers = function.__annotations__["return"]

            def called(*arguments: Any) -> Any:
                with npu.lock:
                    npu.calls[name] += 1
                    status = npu.failures.pop(name, 0)
                if not status and needs_context and not npu.context:
                    status = CONTEXT_NULL
                if not status:
                    return function(*arguments)
                return (None, status) if answers.startswith("tuple") else status

            setattr(room, name, called)
            PAGES[name] = function.__doc__ or ""
            return called

        return put

    @page(acl)
    def init() -> int:
        """[init] ret; a second time in a process is ACL_ERROR_REPEAT_INITIALIZE."""
        status, npu.is_started = (REPEATED_INIT if npu.is_started else 0), True
        return status

    @page(acl)
    def get_version() -> tuple:
        """[get_version, 01_0007] major, minor, patch, ret."""
        return 1, 12, 0, 0

    @page(acl)
    def get_soc_name() -> str:
        """[get_soc_name] str: what atc takes as --soc_version; None when it fails."""
        return SOC

    @page(acl)
    def get_recent_err_msg() -> str:
        """[get_recent_err_msg] str: the thread's last error; empty when there is none."""
        return "EL0004: \n Failed to allocate memory."

    @page(acl.rt)
    def get_device_count() -> tuple:
        """[get_device_count] count, ret."""
        return (npu.count, 0) if npu.is_started else (0, UNINITIALISED)

    @page(acl.rt)
    def get_run_mode() -> tuple:
        """[get_run_mode] run_mode, ret: 0 ACL_DEVICE, 1 ACL_HOST."""
        return (0 if npu.runs_on_device else 1), 0

    @page(acl.rt)
    def set_device(device: int) -> int:
        """[set_device] ret: makes a default context for the calling thread."""
        return 0 if device < npu.count else 107001

    @page(acl.rt)
    def create_context(device: int) -> tuple:
        """[create_context, 01_0075] context, ret: it is the calling thread's from now on."""
        npu.context = npu.make("contexts", device)
        return npu.context, 0

    @page(acl.rt)
    def set_context(context: int) -> int:
        """[set_context] ret: the calling thread's context."""
        if context not in npu.held.get("contexts", {}):
            return INVALID_PARAM
        npu.context = context
        return 0

    @page(acl.rt)
    def destroy_context(context: int) -> int:
        """[destroy_context] ret."""
        users = [om for om in npu.held.get("models", {}).values() if om.context == context]
        if users:
            npu.violations.append("a context was destroyed before its models")
        return npu.end("contexts", context)

    @page(acl.rt, needs_context=True)
    def create_stream() -> tuple:
        """[create_stream] stream, ret: of the current context."""
        return npu.make("streams", {"context": npu.context, "todo": []}), 0

    @page(acl.rt, needs_context=True)
    def destroy_stream(stream: int) -> int:
        """[destroy_stream] ret: its work has to be done."""
        if npu.held.get("streams", {}).get(stream, {}).get("todo"):
            npu.violations.append("a stream was destroyed with work in it")
        return npu.end("streams", stream)

    @page(acl.rt, needs_context=True)
    def synchronize_stream(stream: int) -> int:
        """[synchronize_stream] ret: blocks until the work is done; its errors are told here."""
        found = npu.held.get("streams", {}).get(stream)
        if found is None:
            return 107017
        if found["context"] != npu.context:
            return STREAM_CONTEXT
        todo, found["todo"] = found["todo"], []
        for step in todo:
            step()
        return 0

    @page(acl.rt, needs_context=True)
    def malloc(size: int, policy: int) -> tuple:
        """[malloc] dev_ptr, ret: size is not 0; policy 0 ACL_MEM_MALLOC_HUGE_FIRST."""
        assert policy == HUGE_FIRST
        return npu.take("device memory", size)

    @page(acl.rt, needs_context=True)
    def free(address: int) -> int:
        """[free] ret."""
        return npu.end("device memory", address)

    @page(acl.rt, needs_context=True)
    def malloc_host(size: int) -> tuple:
        """[malloc_host, 01_0116] host_ptr, ret: locked pages, at a multiple of 64 bytes."""
        return npu.take("host memory", size)

    @page(acl.rt, needs_context=True)
    def free_host(address: int) -> int:
        """[free_host, 01_0117] ret: only what malloc_host gave."""
        return npu.end("host memory", address)

    @page(acl.rt, needs_context=True)
    def memcpy(target: int, greatest: int, source: int, size: int, kind: int) -> int:
        """[memcpy] ret."""
        if size > greatest:
            return INVALID_PARAM
        ctypes.memmove(target, source, size)
        return 0

    @page(acl.rt, needs_context=True)
    def memcpy_async(target: int, greatest: int, source: int, size: int, kind: int, stream: int) -> int:
        """[memcpy_async, 01_0125] ret: host memory that is not malloc_host's may fail later, anyhow."""
        host, device = (source, target) if kind == HOST_TO_DEVICE else (target, source)
        if not npu.holds("host memory", host, size) or not npu.holds("device memory", device, size):
            npu.violations.append("a copy from or to memory of another kind")
        if size > greatest:
            return INVALID_PARAM
        npu.copies.append((kind, size))
        npu.held["streams"][stream]["todo"].append(lambda: ctypes.memmove(target, source, size))
        return 0

    @page(acl.util)
    def bytes_to_ptr(content: bytes) -> int:
        """[bytes_to_ptr] int: the bytes have to live longer than the address."""
        return ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value

    @page(acl.mdl, needs_context=True)
    def load_from_mem(address: int, size: int) -> tuple:
        """[load_from_mem, 01_0149] model_id, ret: the bytes lie where the program runs."""
        if npu.runs_on_device and not npu.holds("device memory", address, size):
            npu.violations.append("on the device a model is loaded from the device's memory")
        try:
            return npu.make("models", Om(ctypes.string_at(address, size), npu.context)), 0
        except ValueError:
            return None, 100012

    @page(acl.mdl, needs_context=True)
    def unload(model: int) -> int:
        """[unload] ret: in the context that it was loaded in."""
        if npu.held["models"][model].context != npu.context:
            npu.violations.append("a model was unloaded in another context")
        return npu.end("models", model)

    @page(acl.mdl)
    def create_desc() -> int:
        """[create_desc, 01_0202] desc."""
        return npu.make("descriptions", [None])

    @page(acl.mdl)
    def destroy_desc(description: int) -> int:
        """[destroy_desc] ret."""
        return npu.end("descriptions", description)

    @page(acl.mdl)
    def get_desc(description: int, model: int) -> int:
        """[get_desc] ret."""
        npu.held["descriptions"][description][0] = npu.held["models"][model]
        return 0

    def om_of(description: int) -> Om:
        return npu.held["descriptions"][description][0]

    @page(acl.mdl)
    def get_num_inputs(description: int) -> int:
        """[get_num_inputs] int: one more where there are profiles."""
        return 2 if om_of(description).is_dynamic else 1

    @page(acl.mdl)
    def get_num_outputs(description: int) -> int:
        """[get_num_outputs] int."""
        return len(om_of(description).outputs)

    @page(acl.mdl)
    def get_input_name_by_index(description: int, index: int) -> str:
        """[get_input_name_by_index] str."""
        return DYNAMIC if index else om_of(description).name

    @page(acl.mdl)
    def get_output_name_by_index(description: int, index: int) -> str:
        """[get_output_name_by_index] str: operator, edge and the output's own name, colons between."""
        return f"PartitionedCall_node_{index}:0:{om_of(description).outputs[index]}"

    @page(acl.mdl)
    def get_input_size_by_index(description: int, index: int) -> int:
        """[get_input_size_by_index] int: bytes of the greatest profile."""
        return 8 if index else om_of(description).input_bytes

    @page(acl.mdl)
    def get_output_size_by_index(description: int, index: int) -> int:
        """[get_output_size_by_index] int."""
        return om_of(description).output_bytes[index]

    @page(acl.mdl)
    def get_input_data_type(description: int, index: int) -> int:
        """[get_input_data_type] int: 0 ACL_FLOAT, 4 ACL_UINT8."""
        return UINT8 if om_of(description).is_bytes else FLOAT

    @page(acl.mdl)
    def get_output_data_type(description: int, index: int) -> int:
        """[get_output_data_type] int."""
        return FLOAT

    @page(acl.mdl)
    def get_input_dims(description: int, index: int) -> tuple:
        """[get_input_dims] {name, dimCount, dims}, ret: -1 where it is free."""
        om = om_of(description)
        return {"name": om.name, "dimCount": 4, "dims": list(om.told_dims)}, 0

    @page(acl.mdl)
    def get_input_index_by_name(description: int, name: str) -> tuple:
        """[get_input_index_by_name] index, ret."""
        is_there = name == DYNAMIC and om_of(description).is_dynamic
        return (1, 0) if is_there else (0, INVALID_PARAM)

    @page(acl.mdl)
    def create_dataset() -> int:
        """[create_dataset] dataset."""
        return npu.make("datasets", {"buffers": [], "profile": None})

    @page(acl.mdl)
    def destroy_dataset(dataset: int) -> int:
        """[destroy_dataset] ret."""
        return npu.end("datasets", dataset)

    @page(acl)
    def create_data_buffer(address: int, size: int) -> int:
        """[create_data_buffer] buffer."""
        return npu.make("buffers", (address, size))

    @page(acl)
    def destroy_data_buffer(buffer: int) -> int:
        """[destroy_data_buffer] ret."""
        return npu.end("buffers", buffer)

    @page(acl.mdl)
    def add_dataset_buffer(dataset: int, buffer: int) -> tuple:
        """[add_dataset_buffer] dataset, ret."""
        npu.held["datasets"][dataset]["buffers"].append(npu.held["buffers"][buffer])
        return dataset, 0

    @page(acl.mdl, needs_context=True)
    def set_dynamic_batch_size(model: int, dataset: int, index: int, batch: int) -> int:
        """[set_dynamic_batch_size, 01_0160] ret: a profile; `index` is the dynamic input's."""
        if index != 1 or batch not in npu.held["models"][model].batches:
            return INVALID_PARAM
        npu.held["datasets"][dataset]["profile"] = batch
        return 0

    @page(acl.mdl, needs_context=True)
    def set_dynamic_hw_size(model: int, dataset: int, index: int, height: int, width: int) -> int:
        """[set_dynamic_hw_size] ret."""
        if index != 1 or [height, width] not in npu.held["models"][model].sizes:
            return INVALID_PARAM
        npu.held["datasets"][dataset]["profile"] = [height, width]
        return 0

    @page(acl.mdl, needs_context=True)
    def execute_async(model: int, inputs: int, outputs: int, stream: int) -> int:
        """[execute_async] ret: a model not twice at once; in the context that it was loaded in."""
        om, told = npu.held["models"][model], npu.held["datasets"][inputs]
        if om.context != npu.context:
            return MODEL_CONTEXT
        if npu.held["streams"][stream]["context"] != npu.context:
            return STREAM_CONTEXT
        if om.running_in:
            npu.violations.append("a model was run twice at once")
        om.running_in = stream
        if om.is_dynamic and len(told["buffers"]) != 2:
            return 100017

        def compute() -> None:
            shape = om.shape(told["profile"])
            dtype = np.uint8 if om.is_bytes else np.float32
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            fed = np.frombuffer(ctypes.string_at(told["buffers"][0][0], size), dtype).reshape(shape)
            answers = om.compute(fed)
            for answer, (address, room) in zip(
                answers, npu.held["datasets"][outputs]["buffers"], strict=True
            ):
                assert answer.nbytes <= room
                ctypes.memmove(address, answer.tobytes(), answer.nbytes)
            om.running_in = 0

        npu.held["streams"][stream]["todo"].append(compute)
        return 0

    return acl


def install_acl(monkeypatch: Any, folder: Path, **more: Any) -> FakeNpu:
    """Have the backend find CANN, its converter, and an NPU: the fakes of all three."""
    npu = FakeNpu(**more)
    monkeypatch.setitem(sys.modules, "acl", acl_fake(npu))
    tools = folder / "bin"
    tools.mkdir(parents=True)
    atc = tools / "atc"
    atc.write_text(f'#!/bin/sh\nexec {sys.executable} {TESTS / "fake_atc.py"} "$@"\n')
    atc.chmod(atc.stat().st_mode | stat.S_IXUSR)
    toolkit = folder / "toolkit" / "x86_64-linux"
    toolkit.mkdir(parents=True)
    facts = "package_name=Ascend-cann-toolkit\nversion=8.0.0\n"
    (toolkit / "ascend_toolkit_install.info").write_text(facts)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ASCEND_TOOLKIT_HOME", str(folder / "toolkit"))
    return npu
