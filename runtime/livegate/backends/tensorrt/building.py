"""A plan from an ONNX file: what the builder is told, and what differs between the versions.

- Precision. Where the builder takes types from the network (10 and 11) it gets one that says fp16
  itself (graphs/half.py), the very one that is held to the CPU; 8.6 has a flag, and so does the DLA of
  10, whose compiler wants it. fp32 is fp32: TensorFloat-32, which is on by default, is off. An int8
  network comes with its pairs of operators (graphs/int8.py); 8.6 wants a flag beside them.
- Progress is told from 10 on.
- One profile serves all contexts: by default from 10 on, in 8.6 as a preview feature.

Source: TensorRT developer guide (dynamic shapes, strongly typed networks, DLA, timing cache), migration
guides 8 to 10 and 10 to 11; each name was looked up in the bindings of all four versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from livegate.backends.tensorrt.messages import failure, make_logger, make_monitor
from livegate.core.errors import ErrorCode, SetupError
from livegate.devices.device import Device
from livegate.engines.base import BuildWatch, EngineOptions
from livegate.engines.tensors import FoundTensor, require_tensors
from livegate.graphs.half import half_from_onnx
from livegate.manifests.schema import Network

DLA = "dla"
WORKSPACE_PART = 2
"""Half of the free memory: the weights and the box's other work want some as well."""
NO_PROGRESS = "building (this version tells no progress)"


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """What a build leaves."""

    plan: bytes
    timing: bytes
    """What was measured of kernels, for the next build."""


def dla_core(provider: str) -> int | None:
    """The number of a DLA core; None for the GPU."""
    return int(provider.removeprefix(DLA)) if provider.startswith(DLA) else None


def is_typed(trt: Any, options: EngineOptions) -> bool:
    """Whether types are taken from the network; else from a flag."""
    if not hasattr(trt.BuilderFlag, "FP16"):
        return True
    has_types = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    return has_types and dla_core(options.provider) is None


def build_plan(
    trt: Any,
    device: Device,
    network: Network,
    model: bytes,
    options: EngineOptions,
    timing: bytes,
    watch: BuildWatch,
) -> BuiltPlan:
    """Build. Takes minutes; the device's context has to be current.

    Args:
        trt: the library.
        device: where the plan will run.
        network: what the file is to be.
        model: ONNX; for int8 the quantised one.
        options: provider and precision.
        timing: what an earlier build on this box left, or nothing.
        watch: hears how it gets on.

    Raises:
        SetupError: MODELINIT_FAIL, ALLOC_MEM; INIT_FAIL when the library does not start.
    """
    logger = make_logger(trt)
    is_half = options.precision == "fp16"
    onnx = half_from_onnx(model) if is_half and is_typed(trt, options) else model
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # their factory answered with a null pointer
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"TensorRT does not start: {'; '.join(logger.errors) or error}",
            hint="library, driver and GPU do not fit; `livegate doctor`",
        ) from error
    definition = builder.create_network(_creation_flags(trt, options))
    parser = trt.OnnxParser(definition, logger)
    if not parser.parse(onnx):
        said = [parser.get_error(number).desc() for number in range(parser.num_errors)]
        raise failure(f"network {network.name} of {network.file} is not read", said or logger.errors)
    _require_definition(trt, definition, network)
    config = builder.create_builder_config()
    _configure(trt, config, device, options)
    _add_profile(builder, config, network)
    _attach_timing(config, timing)
    monitor = make_monitor(trt, watch)
    if monitor is not None and hasattr(config, "progress_monitor"):
        config.progress_monitor = monitor
    else:
        watch.phase_start(NO_PROGRESS, "", 1)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise failure(
            f"network {network.name} was not built for {options.provider} in {options.precision}",
            logger.errors,
            hint="another precision or provider may do",
        )
    measured = config.get_timing_cache()
    return BuiltPlan(bytes(plan), b"" if measured is None else bytes(measured.serialize()))


def _creation_flags(trt: Any, options: EngineOptions) -> int:
    """Bits; 8.6 has to be told that the batch is a dimension, 10 that types are the network's."""
    flags = trt.NetworkDefinitionCreationFlag
    wanted = ["EXPLICIT_BATCH", *(["STRONGLY_TYPED"] if is_typed(trt, options) else [])]
    return sum(1 << int(getattr(flags, name)) for name in wanted if hasattr(flags, name))


def _configure(trt: Any, config: Any, device: Device, options: EngineOptions) -> None:
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, device.free_bytes() // WORKSPACE_PART)
    config.clear_flag(trt.BuilderFlag.TF32)
    if options.precision == "fp16" and not is_typed(trt, options):
        config.set_flag(getattr(trt.BuilderFlag, "FP16"))  # noqa: B009 - 11 has none, is_typed asked
    if options.precision == "int8" and not is_typed(trt, options):
        config.set_flag(getattr(trt.BuilderFlag, "INT8"))  # noqa: B009 - as above
    core = dla_core(options.provider)
    if core is not None:
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    sharing, version = getattr(trt.PreviewFeature, "PROFILE_SHARING_0806", None), str(trt.__version__)
    if sharing is not None and version.startswith("8."):
        config.set_preview_feature(sharing, True)


def _add_profile(builder: Any, config: Any, network: Network) -> None:
    """Shapes that the engine is to take, where the input leaves any free."""
    least, usual, greatest = network.extents()
    if least == greatest:
        return
    profile = builder.create_optimization_profile()
    profile.set_shape(network.input.name, least, usual, greatest)
    config.add_optimization_profile(profile)


def _attach_timing(config: Any, timing: bytes) -> None:
    """What does not fit this library and GPU is refused by theirs; then an empty one is filled."""
    for content in (timing, b""):
        if config.set_timing_cache(config.create_timing_cache(content), False):
            return


def _require_definition(trt: Any, definition: Any, network: Network) -> None:
    """The file's tensors are the manifest's, before minutes are spent on it."""
    inputs = {}
    for number in range(definition.num_inputs):
        tensor = definition.get_input(number)
        inputs[tensor.name] = FoundTensor(type_name(trt, tensor.dtype), free_shape(tensor.shape))
    outputs = [definition.get_output(number).name for number in range(definition.num_outputs)]
    require_tensors(network, inputs, outputs)


def type_name(trt: Any, dtype: Any) -> str:
    """Their type in the manifest's words, or in their own."""
    names = {trt.DataType.FLOAT: "float32", trt.DataType.UINT8: "uint8"}
    return names.get(dtype, str(dtype))


def free_shape(shape: Any) -> tuple[int | None, ...]:
    """Their shape, where -1 is a free dimension."""
    return tuple(None if side < 0 else int(side) for side in shape)
