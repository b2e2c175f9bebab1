"""The kernels' code for the GPU at hand: built beforehand if it fits, else compiled on the box.

A fatbin fits when it was built from these very sources (their digest stands in its name, because the
structures of a launch have to be the same on both sides), when it holds something for this GPU,
and when the driver is not older than the compiler: a driver runs what its own and older CUDA releases
built. JetPack 6 has a driver for 12.6, so there the sources are compiled by the box's own NVRTC.

Source: NVIDIA's CUDA Compatibility guide.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.telemetry import get_logger
from livegate.kernels.nvrtc import Nvrtc, Version, nvrtc_paths, open_compilers

OPERATIONS = ("letterbox", "face_crops", "face_detection")
FATBIN_GPUS = ("75", "86", "87", "89", "90", "100", "110", "120")
"""What `make kernels` builds for: Turing, Ampere, Orin, Ada, Hopper, Blackwell, Thor, Blackwell's cards.

Beside these a fatbin holds PTX for the first of them, which drivers compile for any newer GPU.
"""
OLDEST_GPU: Version = (7, 5)

log = get_logger("livegate.kernels")


@dataclass(frozen=True, slots=True)
class KernelCode:
    """What the driver loads for one operation, and where it is from, for logs."""

    content: bytes
    origin: str


def load_code(
    operation: str,
    capability: Version,
    driver: Version,
    folder: Path,
    *,
    compilers: Callable[[], Sequence[Nvrtc]] = lambda: open_compilers(nvrtc_paths()),
) -> KernelCode:
    """Find or compile the code of one operation.

    Args:
        operation: one of OPERATIONS.
        capability: the GPU's compute capability.
        driver: the newest CUDA release that the driver knows.
        folder: the resource folder kernels/.
        compilers: NVRTC libraries, newest first; asked for only when no fatbin fits.

    Raises:
        SetupError: INIT_FAIL when no fatbin fits and no compiler on the box takes the sources.
    """
    for path, toolkit in _fatbins(operation, folder):
        if driver >= toolkit and capability >= OLDEST_GPU:
            return KernelCode(path.read_bytes(), f"fatbin {path.name}")
    problems = []
    for compiler in compilers():
        if compiler.version[0] > driver[0]:
            continue
        try:
            return _compiled(operation, capability, folder, compiler)
        except SetupError as error:
            problems.append(error.message)
    why = "; ".join(problems) or "no fatbin fits, and no NVRTC that the driver can follow is there"
    raise SetupError(
        ErrorCode.INIT_FAIL,
        f"no code of {operation} for a GPU of compute capability {capability[0]}.{capability[1]} and a "
        f"driver for CUDA {driver[0]}.{driver[1]}: {why}",
        hint="install the CUDA toolkit's libnvrtc of the driver's release, on a Jetson cuda-nvrtc-12-6",
    )


def fatbin_name(operation: str, toolkit: Version, folder: Path) -> str:
    """The file name of a fatbin: the operation, the compiler's release, the sources' digest."""
    return f"{operation}-cuda{toolkit[0]}.{toolkit[1]}-{source_digest(folder)}.fatbin"


def source_digest(folder: Path) -> str:
    """Sixteen digits that change with any source of any kernel."""
    digest = hashlib.sha256()
    for path in sorted((*folder.glob("*.cu"), *folder.glob("*.cuh"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _fatbins(operation: str, folder: Path) -> Iterator[tuple[Path, Version]]:
    pattern = re.compile(rf"{operation}-cuda(\d+)\.(\d+)-{source_digest(folder)}\.fatbin")
    for path in sorted(folder.glob("*.fatbin")):
        found = pattern.fullmatch(path.name)
        if found:
            yield path, (int(found[1]), int(found[2]))


def _compiled(operation: str, capability: Version, folder: Path, compiler: Nvrtc) -> KernelCode:
    headers = {path.name: path.read_text() for path in sorted(folder.glob("*.cuh"))}
    name = f"{operation}.cu"
    cubin = compiler.compile(name, (folder / name).read_text(), headers, capability)
    if cubin.log:
        log.warning("kernel compiled with remarks", operation=operation, remarks=cubin.log)
    major, minor = compiler.version
    return KernelCode(cubin.content, f"NVRTC {major}.{minor} for sm_{capability[0]}{capability[1]}")
