"""What TensorRT says: its log, kept for our errors, and how a build gets on.

Calls that fail answer None or False; why stands in the log alone.

Source: TensorRT Python API, ILogger and IProgressMonitor (from 10.0 on).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.telemetry import get_logger
from livegate.engines.base import BuildWatch

KEPT_LINES = 4
NO_MEMORY = ("out of memory", "outofmemory", "cudaerrormemoryallocation", "insufficient memory")
log = get_logger("livegate.tensorrt")


def make_logger(trt: Any) -> Any:
    """A logger of theirs that keeps its last errors in `errors`."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11 wants it called by name
            self.errors: deque[str] = deque(maxlen=KEPT_LINES)

        def log(self, severity: Any, msg: str) -> None:
            # Called from threads of theirs: a deque takes one line at a time.
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(" ".join(msg.split()))
            elif severity == trt.ILogger.Severity.WARNING:
                log.debug("tensorrt", warning=msg)

    return Logger()


def make_monitor(trt: Any, watch: BuildWatch) -> Any:
    """A progress monitor of theirs that tells ours; None in a version without."""
    theirs: Any = getattr(trt, "IProgressMonitor", None)
    if theirs is None:
        return None

    class Monitor(theirs):  # type: ignore[misc]
        def __init__(self) -> None:
            theirs.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watch.phase_start(phase_name, parent_phase or "", num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step_complete(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.phase_finish(phase_name)

    return Monitor()


def failure(fact: str, said: Sequence[str], *, hint: str = "") -> SetupError:
    """An error of ours with what theirs said: ALLOC_MEM when memory was short, else MODELINIT_FAIL."""
    text = "; ".join(said) or "TensorRT does not say why"
    is_short = any(word in text.lower().replace("_", " ") for word in NO_MEMORY)
    if is_short:
        hint = "free memory of the GPU, or narrow the manifest's [networks.ranges]"
    code = ErrorCode.ALLOC_MEM if is_short else ErrorCode.MODELINIT_FAIL
    return SetupError(code, f"{fact}: {text}", hint=hint)
