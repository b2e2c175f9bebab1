"""Build the CUDA kernels for every GPU that a fatbin serves: `make kernels`.

Warnings are errors. So is a register that a kernel has to spill into memory, on any GPU: these
kernels wait for memory as it is.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from livegate.kernels.code import FATBIN_GPUS, OPERATIONS, fatbin_name

SOURCES = Path(__file__).resolve().parents[1] / "kernels"
TOOLKIT = (13, 0)
"""The release of the extra `kernels`; what it builds needs a driver as new."""
ENTRY = re.compile(
    r"Compiling entry function '(\w+)' for 'sm_(\d+)'.*?"
    r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers",
    re.DOTALL,
)


class BuildError(Exception):
    """An operation does not compile as it should."""


def nvcc() -> Path:
    """The compiler of the extra `kernels`, and no other that may be on the PATH."""
    wheels = importlib.util.find_spec("nvidia")
    for root in () if wheels is None else wheels.submodule_search_locations or ():
        compiler = Path(root) / f"cu{TOOLKIT[0]}" / "bin" / "nvcc"
        if compiler.is_file():
            return compiler
    raise BuildError("nvcc is not here: `make kernels` installs it (pip install '.[kernels]')")


def build(operation: str, folder: Path) -> list[str]:
    """Compile one operation into `folder`.

    Returns:
        A line for each GPU: the registers and the spilled bytes.
    """
    target = folder / fatbin_name(operation, TOOLKIT, SOURCES)
    oldest = f"compute_{FATBIN_GPUS[0]}"
    machines = [f"-gencode=arch=compute_{gpu},code=sm_{gpu}" for gpu in FATBIN_GPUS]
    # Uncompressed, so that PTX can be looked for.
    flags = ["-std=c++17", "-fatbin", "-no-compress", "-Werror=all-warnings", "-Xptxas=-v"]
    part = target.with_suffix(".part")
    command = [nvcc(), *flags, *machines, f"-gencode=arch={oldest},code={oldest}"]
    done = subprocess.run(
        [*command, "-o", part, SOURCES / f"{operation}.cu"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(done.stdout + done.stderr)
    kernels = ENTRY.findall(done.stdout + done.stderr)
    missing = set(FATBIN_GPUS) - {gpu for _, gpu, *_ in kernels}
    has_ptx = f".target sm_{FATBIN_GPUS[0]}".encode() in part.read_bytes()
    if missing or not has_ptx:
        raise BuildError(f"{operation}: no code for {', '.join(sorted(missing)) or 'newer GPUs'}")
    spilling = [gpu for _, gpu, stores, loads, _ in kernels if stores != "0" or loads != "0"]
    if spilling:
        raise BuildError(
            f"{operation}: registers are spilled on {', '.join(f'sm_{gpu}' for gpu in spilling)}"
        )
    part.replace(target)
    return [
        f"{name} sm_{gpu}: {registers} registers, none spilled" for name, gpu, *_, registers in kernels
    ]


def main() -> None:
    """Build all of them into the folder that is told, kernels/ without one; older builds go."""
    if shutil.which("g++") is None:
        raise BuildError("no C++ compiler here, which nvcc needs: apt install g++")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCES
    current = {fatbin_name(operation, TOOLKIT, SOURCES) for operation in OPERATIONS}
    # Two at a time: whoever runs this has other work as well.
    with ThreadPoolExecutor(2) as pool:
        for lines in pool.map(lambda operation: build(operation, folder), OPERATIONS):
            print("\n".join(lines), flush=True)
    for path in folder.glob("*.fatbin"):
        if path.name not in current:
            path.unlink()


if __name__ == "__main__":
    try:
        main()
    except BuildError as error:
        sys.exit(str(error))
