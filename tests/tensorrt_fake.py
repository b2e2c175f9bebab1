"""TensorRT without a GPU: the calls that our backend makes, as its documentation tells of them.

A plan is the ONNX file that was parsed; a context reads its input from the address that it was given,
runs the network with ONNX Runtime on the CPU, and writes its outputs where it was told to, in its
stream's order. So our flow is run, and its answers are the network's; that TensorRT itself computes
rightly is not shown by this. Names that a version has not are not here either, and
tests/packaging/test_vendor_names.py holds what we use to the vendor's own bindings.

Pages: [A] docs.nvidia.com/deeplearning/tensorrt/latest/_static/python-api, by class; [G] the developer
guide; [M] its migration guides.
"""

from __future__ import annotations

import ctypes
import enum
import pickle
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from cuda_fake import FakeGpu

VERSIONS = ("8.6.1", "10.3.0", "10.13.3.9", "11.4.0.106")


def tensorrt_fake(
    version: str, gpu: FakeGpu, *, dla_cores: int = 0, on_step: Callable[[int], None] = lambda step: None
) -> Any:
    """A module that stands for tensorrt of that version.

    Args:
        version: one of VERSIONS.
        gpu: whose streams its work goes into.
        dla_cores: as many as the board has.
        on_step: called by a build after each of its steps.
    """
    major = int(version.partition(".")[0])
    trt: Any = types.ModuleType("tensorrt")
    trt.__version__ = version
    trt.seen = types.SimpleNamespace(
        flags=set(), creation=0, workspace=0, previews=set(), builds=0, cores=[]
    )
    trt.breaks = types.SimpleNamespace(
        builder=False, build="", deserialise="", context=False, execute=False, capture=False
    )

    # [A] Core/Logger: Severity, and `log` that a subclass overrides.
    severity = enum.Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE", start=0)

    class ILogger:
        Severity = severity

        def log(self, severity: Any, msg: str) -> None:
            raise NotImplementedError

    # [A] Core/BuilderConfig, BuilderFlag. [M] 10 to 11: FP16 and INT8 are removed.
    flags = "DEBUG GPU_FALLBACK TF32" if major >= 11 else "FP16 INT8 DEBUG GPU_FALLBACK TF32"
    # [A] Graph/Network, NetworkDefinitionCreationFlag. [M] 10 to 11: EXPLICIT_BATCH is removed.
    creation = {8: "EXPLICIT_BATCH", 10: "EXPLICIT_BATCH STRONGLY_TYPED", 11: "STRONGLY_TYPED"}[major]
    # [A] Core/BuilderConfig, PreviewFeature.
    previews = "ALIASED_PLUGIN_IO_10_03" if major >= 11 else "PROFILE_SHARING_0806"

    class Tensor:
        """[A] Graph/Network, ITensor: -1 stands for a dimension that is free."""

        def __init__(self, argument: Any) -> None:
            self.name = argument.name
            types_ = {"tensor(float)": trt.DataType.FLOAT, "tensor(uint8)": trt.DataType.UINT8}
            self.dtype = types_.get(argument.type, trt.DataType.INT32)
            self.shape = tuple(n if isinstance(n, int) else -1 for n in argument.shape)

    class Definition:
        """[A] Graph/Network, INetworkDefinition."""

        session: Any = None
        onnx = b""

        @property
        def num_inputs(self) -> int:
            return len(self.session.get_inputs())

        @property
        def num_outputs(self) -> int:
            return len(self.session.get_outputs())

        def get_input(self, index: int) -> Tensor:
            return Tensor(self.session.get_inputs()[index])

        def get_output(self, index: int) -> Tensor:
            return Tensor(self.session.get_outputs()[index])

    class ParserError:
        """[A] OnnxParser, ParserError."""

        def __init__(self, text: str) -> None:
            self._text = text

        def desc(self) -> str:
            return self._text

    class OnnxParser:
        """[A] OnnxParser: `parse` answers False, the errors are asked for by number."""

        def __init__(self, network: Definition, logger: ILogger) -> None:
            self._network, self._errors = network, list[ParserError]()

        def parse(self, model: bytes) -> bool:
            try:
                self._network.session, self._network.onnx = _session(model), model
            except Exception as error:
                self._errors.append(ParserError(str(error).splitlines()[0]))
            return not self._errors

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> ParserError:
            return self._errors[index]

    class Profile:
        """[A] Core/OptimizationProfile: least, usual, greatest shape."""

        def __init__(self) -> None:
            self.shapes: dict[str, Any] = {}

        def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
            self.shapes[input] = (min, opt, max)

    class Memory(bytes):
        """[A] FoundationalTypes/HostMemory: a buffer."""

    class TimingCache:
        """[A] Core/BuilderConfig, ITimingCache."""

        def __init__(self, content: bytes) -> None:
            self.content = content

        def serialize(self) -> Memory:
            return Memory(self.content + b"+")

    class Config:
        """[A] Core/BuilderConfig, IBuilderConfig."""

        def __init__(self) -> None:
            self.profiles: list[Profile] = []
            self._timing: TimingCache | None = None
            self.default_device_type, self.DLA_core = trt.DeviceType.GPU, -1
            trt.seen.flags = {trt.BuilderFlag.TF32}  # [A] TF32 is on by default
            if major >= 10:
                self.progress_monitor = None

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            trt.seen.workspace = pool_size

        def set_flag(self, flag: Any) -> None:
            trt.seen.flags.add(flag)

        def clear_flag(self, flag: Any) -> None:
            trt.seen.flags.discard(flag)

        def set_preview_feature(self, feature: Any, enable: bool) -> None:
            trt.seen.previews.add(feature)

        def add_optimization_profile(self, profile: Profile) -> int:
            self.profiles.append(profile)
            return len(self.profiles) - 1

        def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache:
            return TimingCache(serialized_timing_cache)

        def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
            """[A] False for one of another version or GPU."""
            if cache.content.startswith(b"foreign"):
                return False
            self._timing = cache
            return True

        def get_timing_cache(self) -> TimingCache | None:
            return self._timing

    class Builder:
        """[A] Core/Builder."""

        def __init__(self, logger: ILogger) -> None:
            if trt.breaks.builder:
                logger.log(severity.ERROR, "CUDA initialization failure with error: 35")
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._logger = logger

        def create_network(self, flags: int = 0) -> Definition:
            trt.seen.creation = flags
            return Definition()

        def create_builder_config(self) -> Config:
            return Config()

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(self, network: Definition, config: Config) -> Memory | None:
            """[A] None on failure; a monitor's False gives the build up."""
            if not self._monitored(config) or trt.breaks.build:
                self._logger.log(severity.ERROR, trt.breaks.build or "build was cancelled")
                return None
            free = [t for t in map(network.get_input, range(network.num_inputs)) if -1 in t.shape]
            if free and not config.profiles:
                # [G] dynamic shapes: at least one profile is needed.
                self._logger.log(
                    severity.ERROR, "Network has dynamic inputs, but no optimization profile"
                )
                return None
            trt.seen.builds += 1
            shapes = config.profiles[0].shapes if config.profiles else {}
            kept = {"onnx": network.onnx, "shapes": shapes, "version": version}
            return Memory(pickle.dumps(kept))

        def _monitored(self, config: Config) -> bool:
            monitor = getattr(config, "progress_monitor", None)
            names = ("Building engine", "Timing graph nodes")
            for step in range(2):
                if monitor is None:
                    on_step(step)
                    continue
                if step == 0:
                    monitor.phase_start(names[0], None, 2)
                monitor.phase_start(names[1], names[0], 4)
                goes_on = monitor.step_complete(names[1], 3)
                monitor.phase_finish(names[1])
                on_step(step)
                if not (goes_on and monitor.step_complete(names[0], step)):
                    return False
            if monitor is not None:
                monitor.phase_finish(names[0])
            return True

    class Runtime:
        """[A] Core/Runtime."""

        def __init__(self, logger: ILogger) -> None:
            self._logger, self.num_DLA_cores = logger, dla_cores

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "DLA_core":
                trt.seen.cores.append(value)
            object.__setattr__(self, name, value)

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
            """[A] None when it cannot be; [G] a plan of another version cannot."""
            kept = pickle.loads(serialized_engine)
            if trt.breaks.deserialise or kept["version"] != version:
                self._logger.log(severity.ERROR, trt.breaks.deserialise or "Version tag does not match")
                return None
            return Engine(kept)

    class Engine:
        """[A] Core/Engine, ICudaEngine: tensors by number and name."""

        def __init__(self, kept: Any) -> None:
            self.session, self.shapes = _session(kept["onnx"]), kept["shapes"]
            self.tensors = {t.name: Tensor(t) for t in self.session.get_inputs()}
            self.inputs = set(self.tensors)
            self.tensors |= {t.name: Tensor(t) for t in self.session.get_outputs()}

        @property
        def num_io_tensors(self) -> int:
            return len(self.tensors)

        def get_tensor_name(self, index: int) -> str:
            return list(self.tensors)[index]

        def get_tensor_mode(self, name: str) -> Any:
            modes = trt.TensorIOMode
            return modes.INPUT if name in self.inputs else modes.OUTPUT

        def get_tensor_dtype(self, name: str) -> Any:
            return self.tensors[name].dtype

        def get_tensor_shape(self, name: str) -> Any:
            return self.tensors[name].shape

        def create_execution_context(self) -> Context | None:
            """[A] None without memory."""
            return None if trt.breaks.context else Context(self)

    class Context:
        """[A] Core/ExecutionContext, IExecutionContext; [G] one thread at a time."""

        def __init__(self, engine: Engine) -> None:
            self._engine = engine
            self._addresses: dict[str, int] = {}
            self._shape: tuple[int, ...] = ()
            self._ran: tuple[int, ...] = ()
            """[G] CUDA Graphs: the shape whose deferred updates an enqueue has flushed."""

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return name in self._engine.tensors

        def set_input_shape(self, name: str, shape: Any) -> bool:
            """[A] False outside of the profile."""
            least, _, greatest = self._engine.shapes.get(name, (shape, shape, shape))
            self._shape = tuple(shape)
            return all(a <= n <= b for a, n, b in zip(least, shape, greatest, strict=True))

        def get_max_output_size(self, name: str) -> int:
            """[A] Bytes, for the profile's greatest shape."""
            (told,) = self._engine.shapes.values() or [((), (), self._shape)]
            return self._answers(np.zeros(told[2], self._dtype()))[name].nbytes

        def get_tensor_shape(self, name: str) -> Any:
            return self._answers(np.zeros(self._shape, self._dtype()))[name].shape

        def execute_async_v3(self, stream_handle: int) -> bool:
            """[A] Enqueues; reads and writes the addresses when its turn comes."""
            shape, captures = self._shape, stream_handle in gpu.captures
            if trt.breaks.execute or (captures and trt.breaks.capture):
                return False  # [G] CUDA Graphs: models with loops or conditions are not captured
            if captures and self._ran != shape:
                raise AssertionError("captured before it was enqueued once in its shape")
            gpu.ask(stream_handle, lambda: self._run(shape))
            self._ran = shape
            return True

        def _run(self, shape: tuple[int, ...]) -> None:
            if shape != self._shape:
                raise AssertionError("a graph whose context was used for another shape is undefined")
            (name,) = self._engine.inputs
            fed = np.zeros(shape, self._dtype())
            ctypes.memmove(fed.ctypes.data, self._addresses[name], fed.nbytes)
            for output, answer in self._answers(fed).items():
                ctypes.memmove(self._addresses[output], answer.ctypes.data, answer.nbytes)

        def _dtype(self) -> Any:
            (name,) = self._engine.inputs
            return np.uint8 if self._engine.tensors[name].dtype == trt.DataType.UINT8 else np.float32

        def _answers(self, fed: np.ndarray) -> dict[str, np.ndarray]:
            (name,) = self._engine.inputs
            names = [output.name for output in self._engine.session.get_outputs()]
            answers = self._engine.session.run(names, {name: fed})
            return {n: np.ascontiguousarray(a) for n, a in zip(names, answers, strict=True)}

    trt.ILogger, trt.Builder, trt.OnnxParser, trt.Runtime = ILogger, Builder, OnnxParser, Runtime
    trt.BuilderFlag = enum.Enum("BuilderFlag", flags)
    trt.NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", creation, start=0)
    trt.PreviewFeature = enum.Enum("PreviewFeature", previews)
    trt.MemoryPoolType = enum.Enum("MemoryPoolType", "WORKSPACE")
    trt.DeviceType = enum.Enum("DeviceType", "GPU DLA")
    trt.DataType = enum.Enum("DataType", "FLOAT HALF INT32 UINT8")
    trt.TensorIOMode = enum.Enum("TensorIOMode", "NONE INPUT OUTPUT", start=0)
    if major >= 10:

        class IProgressMonitor:
            """[A] Core/ProgressMonitor; [M] new in 10.0."""

        trt.IProgressMonitor = IProgressMonitor
    return trt


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    # int8 pairs as they are written: its own int8 kernels saturate on processors without VNNI.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def install_tensorrt(monkeypatch: Any, version: str, **more: Any) -> tuple[Any, FakeGpu]:
    """Have the backend find TensorRT of that version, and a GPU: the fakes of both."""
    import sys

    from cuda_fake import install_fake

    gpu = FakeGpu()
    install_fake(monkeypatch, "cuda_python", gpu)
    trt = tensorrt_fake(version, gpu, **more)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    return trt, gpu
