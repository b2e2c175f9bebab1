"""The plug-in: what is here, which built engine is meant, build it, load it.

`load` never builds: an engine takes minutes, and nobody waits for it inside a start or a request
without knowing. What was not built is refused with the command that builds it, and the policy decides
whether the box serves on something else meanwhile.

Source: TensorRT developer guide, engines are specific to version and GPU (compute capability).
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from livegate.backends.tensorrt.building import build_plan, dla_core, is_typed
from livegate.backends.tensorrt.messages import failure, make_logger
from livegate.backends.tensorrt.running import TensorRtEngine
from livegate.core.errors import ErrorCode, LiveGateError, SetupError, first_line
from livegate.core.telemetry import get_logger
from livegate.devices.cutting import Cutter, LoadKernels, load_kernels
from livegate.devices.device import CudaError, Device, open_device
from livegate.engines.base import BuildWatch, Capability, EngineOptions
from livegate.engines.cache import EngineCache, EngineKey
from livegate.engines.ranges import find_ranges
from livegate.graphs.int8 import int8_from_onnx
from livegate.manifests.schema import Network, Precision

NAME = "tensorrt"
GPU = "gpu"
OLDEST = (8, 6)
NEWEST_MAJOR = 11
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
RECIPE = 1
"""Counts changes of what the builder is told: engines of another one are others."""
INT8: Precision = "int8"
INT8_RECIPE = 1
"""Counts changes of the conversion (graphs/int8.py)."""
log = get_logger("livegate.tensorrt")


class Plugin:
    """The TensorRT backend."""

    def __init__(
        self, cache: EngineCache | None = None, load_kernels: LoadKernels = load_kernels
    ) -> None:
        """Look at nothing yet."""
        self._cache = cache or EngineCache()
        self._load_kernels = load_kernels
        self._device: Device | None = None
        self._found: Capability | None = None

    def probe(self) -> Capability:
        """What the installed library finds on this box; looked for once, until something is found."""
        if self._found is None:
            capability = self._look()
            if not capability.is_available:
                return capability
            self._found = capability
        return self._found

    def _look(self) -> Capability:
        try:
            import tensorrt as trt

            version = str(trt.__version__)
        except Exception as error:  # noqa: BLE001 - a broken install raises anything
            why = f"{type(error).__name__}: {first_line(error)}"
            hint = "it comes with JetPack; elsewhere install tensorrt-cu12 or tensorrt-cu13"
            return Capability(NAME, "", (), f"{why}; {hint}")
        if why := _unsupported(version):
            return Capability(NAME, version, (), why)
        try:
            device = self._gpu()
            with device.current():
                providers = (GPU, *(f"dla{core}" for core in range(_dla_cores(trt))))
        except (SetupError, CudaError) as error:
            return Capability(NAME, version, (), first_line(error))
        except Exception as error:  # noqa: BLE001 - a library that does not fit its driver raises anything
            return Capability(NAME, version, (), f"TensorRT does not start: {first_line(error)}")
        return Capability(NAME, version, providers, precisions=PRECISIONS)

    def why_not(self, provider: str) -> str:
        """Nothing: a device was opened to list it."""
        return ""

    def key(self, network: Network, model: bytes, options: EngineOptions) -> EngineKey:
        """Which built engine is meant.

        Raises:
            SetupError: INIT_FAIL for a provider that is not here; MODELINIT_FAIL for free dimensions
                without ranges, and for int8 of a network that was not measured.
        """
        import tensorrt as trt

        self._require_provider(options)
        facts = self._gpu().facts
        typed = "strongly_typed" if is_typed(trt, options) else "weakly_typed"
        return EngineKey(
            backend=NAME,
            network=network.name,
            onnx_sha256=hashlib.sha256(model).hexdigest(),
            library=trt.__version__,
            cuda=".".join(map(str, facts.cuda)),
            driver=facts.driver,
            gpu=facts.name,
            capability=".".join(map(str, facts.capability)),
            provider=options.provider,
            precision=options.precision,
            profile=network.extents(),
            flags=(f"recipe {RECIPE}", typed, "no_tf32", *self._measured(network, model, options)),
        )

    def why_unbuilt(self, network: Network, model: bytes, options: EngineOptions) -> str:
        """Why there is no built engine that `load` would take."""
        try:
            plan = self._cache.plan(self.key(network, model, options))
        except SetupError as error:
            if error.code is not ErrorCode.MODELINIT_FAIL or "engine" not in error.fields:
                raise
            return error.message
        return _none_yet(network, options) if plan is None else ""

    def build(self, network: Network, model: bytes, options: EngineOptions, watch: BuildWatch) -> float:
        """Build an engine for this box and keep it."""
        import tensorrt as trt

        key, device = self.key(network, model, options), self._gpu()
        with self._cache.building(), device.current():
            begun_s = time.monotonic()
            timing = self._cache.timing(key)
            own = self._quantised(network, model) if options.precision == INT8 else model
            built = build_plan(trt, device, network, own, options, timing, watch)
            took_s = time.monotonic() - begun_s
            self._cache.keep(key, built.plan, took_s)
            if built.timing:
                self._cache.keep_timing(key, built.timing)
        return took_s

    def _measured(self, network: Network, model: bytes, options: EngineOptions) -> tuple[str, ...]:
        """Which ranges an int8 engine is made with: with others it is another engine."""
        if options.precision != INT8:
            return ()
        ranges = find_ranges(self._cache, network, model)
        kept = (f"float {name}" for name in network.float_products)
        return (f"int8 recipe {INT8_RECIPE}", f"ranges {ranges.digest}", *kept)

    def _quantised(self, network: Network, model: bytes) -> bytes:
        reaches = find_ranges(self._cache, network, model).reaches
        return int8_from_onnx(model, reaches, network.float_products)

    def forecast_s(self, network: Network, model: bytes, options: EngineOptions) -> float | None:
        """What such a build took the last time."""
        return self._cache.forecast_s(self.key(network, model, options))

    def fits_here(self, key: EngineKey) -> bool | None:
        """Whether a kept engine is for this box as it is now; None when that cannot be told here."""
        import_problem = self.probe().problem
        if import_problem:
            return None
        import tensorrt as trt

        facts = self._gpu().facts
        here = (
            *(NAME, trt.__version__, ".".join(map(str, facts.cuda))),
            *(facts.driver, facts.name, ".".join(map(str, facts.capability))),
        )
        return key.machine == here

    def load(self, network: Network, model: bytes, options: EngineOptions) -> TensorRtEngine:
        """Load the engine that was built for exactly this; never builds."""
        import tensorrt as trt

        plan = self._cache.plan(self.key(network, model, options))
        if plan is None:
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                _none_yet(network, options),
                hint="`livegate engines build` makes it, before the start",
            )
        device, logger = self._gpu(), make_logger(trt)
        try:
            with device.current():
                runtime = trt.Runtime(logger)
                core = dla_core(options.provider)
                if core is not None:
                    runtime.DLA_core = core
                engine = runtime.deserialize_cuda_engine(plan)
                if engine is None:
                    raise failure(
                        f"the built engine of network {network.name} does not load",
                        logger.errors,
                        hint="`livegate engines build` makes it again",
                    )
                cutter = self._cutter(device, network, options)
                return TensorRtEngine(trt, device, runtime, engine, network, options, cutter)
        except (CudaError, TypeError) as error:  # TypeError: their factory answered with a null pointer
            raise SetupError(
                ErrorCode.INIT_FAIL,
                f"TensorRT does not start: {'; '.join(logger.errors) or error}",
                hint="library, driver and GPU do not fit; `livegate doctor`",
            ) from error

    def _cutter(self, device: Device, network: Network, options: EngineOptions) -> Cutter | None:
        """What makes tensors of frames on the GPU; None where the CPU does, and why in the log."""
        is_asked = options.preprocess == "gpu"
        if not is_asked and (options.preprocess == "cpu" or not device.facts.reads_in_place):
            return None
        cutter: Cutter | None = None
        try:
            cutter = Cutter(device, self._load_kernels)
            cutter.prove(network.input)
            if not is_asked and not cutter.reads_slots:
                raise SetupError(ErrorCode.INIT_FAIL, "the driver refuses to register a slot's memory")
        except (LiveGateError, OSError, CudaError) as error:
            log.warning("frames are cut by the CPU", network=network.name, why=str(error))
            if cutter is not None:
                cutter.close()
            return None
        return cutter

    def _gpu(self) -> Device:
        if self._device is None:
            self._device = open_device()
        return self._device

    def _require_provider(self, options: EngineOptions) -> None:
        capability = self.probe()
        if options.provider not in capability.providers:
            why = capability.problem or f"tensorrt has no provider {options.provider!r}"
            raise SetupError(ErrorCode.INIT_FAIL, why, hint="`livegate doctor` shows what is here")
        if dla_core(options.provider) is not None and options.precision != "fp16":
            raise SetupError(
                ErrorCode.INIT_FAIL,
                f"the DLA computes in fp16, and {options.precision} was asked for",
                hint="set engine.precision to fp16, or the provider to gpu",
            )


def _unsupported(version: str) -> str:
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    if len(numbers) < 2 or tuple(numbers) < OLDEST or numbers[0] > NEWEST_MAJOR or numbers[0] == 9:
        return f"TensorRT {version} is here; 8.6, 10 and 11 are supported"
    return ""


def _dla_cores(trt: Any) -> int:
    runtime = trt.Runtime(make_logger(trt))
    return int(runtime.num_DLA_cores)


def _none_yet(network: Network, options: EngineOptions) -> str:
    return (
        f"network {network.name} has no TensorRT engine for this box as it is now, "
        f"on {options.provider} in {options.precision}"
    )
