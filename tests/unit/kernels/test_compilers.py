"""The kernels' sources with NVIDIA's compilers: every GPU of a fatbin, and what a Jetson compiles."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from livegate.core.errors import SetupError
from livegate.core.resources import resource_dir
from livegate.kernels.code import FATBIN_GPUS, OPERATIONS, load_code
from livegate.kernels.nvrtc import Nvrtc, Version
from support import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# On Xavier JetPack 5 has CUDA 11.4 or 11.8, on Orin JetPack 6 has 12.6.
LIBRARIES = {(11, 8): "libnvrtc.so.11.2", (12, 6): "libnvrtc.so.12"}


def of_the_wheels(path: str) -> Path:
    """A file of NVIDIA's wheels; skips the test where it is absent."""
    wheels = importlib.util.find_spec("nvidia")
    for root in () if wheels is None else wheels.submodule_search_locations or ():
        if (Path(root) / path).is_file():
            return Path(root) / path
    pytest.skip(f"no nvidia/{path} here: `make kernels` installs it")


def build(folder: Path, checkout: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What `make kernels` runs, into a folder; skips where its compilers are absent."""
    of_the_wheels("cu13/bin/nvcc")
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler here, which nvcc needs: apt install g++")
    command = ["nice", "-n", "15", sys.executable, str(checkout / ".ci/kernels.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_sources_compile_for_every_gpu_without_a_warning_or_a_spill(tmp_path: Path) -> None:
    """A fatbin for each operation that the runtime then finds; older ones beside it are removed."""
    folder = tmp_path / "kernels"
    shutil.copytree(resource_dir("kernels"), folder, ignore=shutil.ignore_patterns("*.fatbin"))
    (folder / "letterbox-cuda12.9-0123456789abcdef.fatbin").touch()
    done = build(folder)
    assert done.returncode == 0, done.stderr
    for operation in OPERATIONS:
        for gpu in FATBIN_GPUS:
            assert f"livegate_{operation} sm_{gpu}: " in done.stdout
        code = load_code(operation, (8, 7), (13, 0), folder, compilers=list)
        assert code.origin.startswith(f"fatbin {operation}-cuda13.0-")
        assert f"livegate_{operation}".encode() in code.content
    assert len(list(folder.glob("*.fatbin"))) == len(OPERATIONS)
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("int unused = 3;", "unused"),
        # So many numbers are all needed at the end, in a kernel that may have 64 registers.
        (
            "float kept[200];\n#pragma unroll\nfor (int i = 0; i < 200; ++i) kept[i] = p[i];\n"
            "#pragma unroll\nfor (int i = 0; i < 200; ++i) p[199 - i] = kept[i];",
            "registers are spilled on sm_75",
        ),
        ("this is not C++", "error"),
    ],
    ids=["warning", "spill", "error"],
)
def test_build_of_a_source_that_is_not_clean_fails(tmp_path: Path, body: str, said: str) -> None:
    """A warning and a spilled register end the build as an error does, and leave no fatbin."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/kernels.py", tmp_path / ".ci")
    (tmp_path / "kernels").mkdir()
    for operation in OPERATIONS:
        bounds = "__launch_bounds__(1024)"
        source = f'extern "C" __global__ void {bounds} k(volatile float* p) {{ {body} }}\n'
        (tmp_path / "kernels" / f"{operation}.cu").write_text(source)
    done = build(tmp_path / "kernels", tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert not list((tmp_path / "kernels").glob("*.fatbin"))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("capability", [(7, 2), (8, 7)], ids=["sm_72", "sm_87"])
@pytest.mark.parametrize("release", LIBRARIES, ids=["11.8", "12.6"])
def test_sources_compile_at_run_time_as_on_a_jetson(
    release: Version, capability: Version, operation: str, tmp_path: Path
) -> None:
    """NVRTC takes the sources without a header of its own and has nothing to say about them."""
    compiler = Nvrtc(of_the_wheels(f"cuda_nvrtc/lib/{LIBRARIES[release]}"))
    assert compiler.version == release
    folder = tmp_path / "kernels"
    shutil.copytree(resource_dir("kernels"), folder, ignore=shutil.ignore_patterns("*.fatbin"))
    headers = {path.name: path.read_text() for path in folder.glob("*.cuh")}
    name = f"{operation}.cu"
    cubin = compiler.compile(name, (folder / name).read_text(), headers, capability)
    assert cubin.log == ""
    code = load_code(operation, capability, release, folder, compilers=lambda: [compiler])
    assert code.content[:4] == b"\x7fELF"
    assert f"livegate_{operation}".encode() in code.content
    assert code.content == cubin.content


@pytest.mark.parametrize("release", LIBRARIES, ids=["11.8", "12.6"])
def test_compiler_says_what_it_refuses(release: Version) -> None:
    """An unknown GPU, and the line of an error, stand in the message."""
    compiler = Nvrtc(of_the_wheels(f"cuda_nvrtc/lib/{LIBRARIES[release]}"))
    with pytest.raises(SetupError, match="architecture"):
        compiler.compile("empty.cu", "", {}, (12, 0))
    with pytest.raises(SetupError, match=r"COMPILATION.*broken\.cu\(2\): error"):
        compiler.compile("broken.cu", "__device__ int good;\nnonsense;\n", {}, (8, 7))
