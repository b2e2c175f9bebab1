"""ONNX Runtime: CPU, CUDA, TensorRT, OpenVINO and CANN as execution providers of one library.

Measured (README, figures): one shared session, one thread inside a run, no spinning, and as many
worker threads as cores beat the library's defaults by far, because `run` releases the GIL. Denormals
are the workers' business (engines/denormals.py): the library's own switch does not reach them.

What the library lists is what it was built with, not what is here: without a device or a driver a
session that is asked for CUDA succeeds on the CPU, and its Python layer prints to standard output when
it falls back. So that layer's fallback is off, the provider is read back from the session, and where it
is another one the provider's own library is opened, to hear from the linker what is missing.

Some providers compute in fewer bits unless told otherwise; they are asked for fp32.

The library's wheels (1.32, for one) tell their maker of every process that loads them: a lasting number
of the device, what runs, error texts, kept in the user's cache meanwhile. That is switched off before.

Source: onnxruntime.ai, execution providers; onnxruntime_inference_collection.py (enable_fallback);
Privacy.md in the wheels (ORT_DISABLE_TELEMETRY).
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

from livegate.core.errors import EngineError, ErrorCode, SetupError, first_line
from livegate.engines.base import Array, Capability, EngineOptions, Feeds
from livegate.engines.tensors import FoundTensor, require_contiguous, require_tensors
from livegate.manifests.schema import Network

# Our names, best first, and theirs.
PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cann": "CANNExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# TensorRT builds its engine inside the first run; it is used when asked for, never by `auto`.
NOT_AUTOMATIC = "tensorrt"
LATE = ("tensorrt", "cann")
"""Those that compile inside the first run on each size of input."""
TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
"""The library's words and the manifest's."""
FLAVOURS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-cann", "onnxruntime-openvino")


class OrtEngine:
    """One session, shared by all workers."""

    def __init__(self, session: Any, network: Network, provider: str) -> None:
        """Take over a checked session."""
        self.provider = provider
        self._session = session
        self._name = network.name
        self._outputs = [output.name for output in network.outputs]

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once; contiguous inputs are read in place."""
        require_contiguous(self._name, feeds)
        session = self._session
        if session is None:
            raise EngineError(f"network {self._name}: its engine is closed")
        try:
            outputs = session.run(self._outputs, feeds)
        except Exception as error:
            raise EngineError(f"network {self._name}: {first_line(error)}") from error
        return dict(zip(self._outputs, outputs, strict=True))

    def close(self) -> None:
        """Let the session go; runs under way keep it until they end."""
        self._session = None


class Plugin:
    """The ONNX Runtime backend."""

    def probe(self) -> Capability:
        """What the installed flavour says it has."""
        try:
            onnxruntime = silent_library()
        except Exception as error:  # noqa: BLE001 - a broken install raises anything
            why = f"{type(error).__name__}: {first_line(error)}"
            hint = "install exactly one of the extras livegate[cpu], livegate[cuda] or livegate[cann]"
            return Capability("onnxruntime", "", (), f"{why}; {hint}")
        found = onnxruntime.get_available_providers()
        names = [name for name, theirs in PROVIDERS.items() if theirs in found]
        names.sort(key=lambda name: name == NOT_AUTOMATIC)
        late = tuple(name for name in names if name in LATE)
        version, warning = onnxruntime.__version__, _flavour_warning()
        return Capability("onnxruntime", version, tuple(names), warning=warning, late=late)

    def why_not(self, provider: str) -> str:
        """What the linker misses when it opens the library of a provider; nothing when it opens."""
        try:
            onnxruntime = silent_library()
        except Exception as error:  # noqa: BLE001 - a broken install raises anything
            return first_line(error)
        folder = Path(onnxruntime.__file__).parent / "capi"
        library = folder / f"libonnxruntime_providers_{provider}.so"
        if not library.is_file():  # the CPU's is part of the whole
            return ""
        try:
            # The others take their symbols from this one.
            ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
            ctypes.CDLL(str(library))
        except OSError as error:
            return f"{library.name} does not load: {first_line(error)}"
        return ""

    def load(self, network: Network, model: bytes, options: EngineOptions) -> OrtEngine:
        """Make a session and check it against the manifest."""
        onnxruntime = silent_library()
        wanted = PROVIDERS.get(options.provider)
        if wanted not in onnxruntime.get_available_providers():
            raise SetupError(ErrorCode.INIT_FAIL, f"onnxruntime has no provider {options.provider!r}")
        session = self._session(onnxruntime, network, model, options)
        actual = session.get_providers()[0]
        if actual != wanted:
            why = (
                self.why_not(options.provider) or "its library loads, so a driver or a device is missing"
            )
            raise _not_here(network, options.provider, f"it would run on {actual}; {why}")
        outputs = [tensor.name for tensor in session.get_outputs()]
        require_tensors(network, _inputs(session), outputs)
        return OrtEngine(session, network, options.provider)

    def _session(self, onnxruntime: Any, network: Network, model: bytes, options: EngineOptions) -> Any:
        try:
            return onnxruntime.InferenceSession(
                model,
                _session_options(onnxruntime, options),
                providers=[PROVIDERS[options.provider]],
                provider_options=[_provider_options(options)],
                enable_fallback=0,
            )
        except Exception as error:
            if why := self.why_not(options.provider):
                raise _not_here(network, options.provider, why) from error
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"network {network.name} of {network.file} does not load: {first_line(error)}",
            ) from error


def silent_library() -> Any:
    """The library, which calls nobody. The environment's own word on that counts; else it is no.

    Raises:
        Exception: whatever a broken install raises.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def _not_here(network: Network, provider: str, why: str) -> SetupError:
    return SetupError(
        ErrorCode.INIT_FAIL,
        f"network {network.name} was asked to run on {PROVIDERS[provider]}: {why}",
        hint="install what is missing, or set engine.provider to cpu, or engine.policy to prefer",
    )


def _provider_options(options: EngineOptions) -> dict[str, str]:
    """How each provider is asked for fp32, and for no more threads than the others get."""
    if options.provider == "cuda":
        return {"use_tf32": "0"}
    if options.provider == "cann":
        return {"precision_mode": "force_fp32"}
    if options.provider == "openvino":
        device = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": str(options.parallel_runs),
            "INFERENCE_NUM_THREADS": str(options.parallel_runs * options.intra_op_threads),
            "ENABLE_CPU_PINNING": "NO",
        }
        return {"device_type": "CPU", "load_config": json.dumps({"CPU": device})}
    return {}


def _flavour_warning() -> str:
    """Two flavours of the library install the same files over each other."""
    flavours = installed_flavours()
    if len(flavours) < 2:
        return ""
    return (
        f"{' and '.join(flavours)} are installed together and overwrite each other: uninstall all "
        "of them, then install exactly one extra (cpu, cuda or cann)"
    )


def installed_flavours() -> tuple[str, ...]:
    """The onnxruntime packages that are installed."""
    found = []
    for name in FLAVOURS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _session_options(onnxruntime: Any, options: EngineOptions) -> Any:
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.intra_op_threads
    session_options.inter_op_num_threads = 1
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session_options.log_severity_level = 3
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return session_options


def _inputs(session: Any) -> dict[str, FoundTensor]:
    return {
        tensor.name: FoundTensor(TYPES.get(tensor.type, tensor.type), tuple(tensor.shape))
        for tensor in session.get_inputs()
    }
