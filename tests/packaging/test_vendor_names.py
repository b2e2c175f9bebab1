"""Every name of NVIDIA's that we use, looked up in NVIDIA's own packages, without a GPU.

The bindings of TensorRT import once the libraries that they are linked to are there. So tiny ones are
built that export what the bindings miss, and nothing can be called, but everything can be looked up:
classes, methods, members of enumerations, and the arguments, which pybind11 writes into docstrings.
cuda-python imports without a driver, and tells its arguments by itself.

Each version has a virtual environment of its own in a temporary folder.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from support import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BACKEND = ROOT / "runtime" / "livegate" / "backends" / "tensorrt"
DRIVER = ROOT / "runtime" / "livegate" / "devices" / "drivers" / "cuda_python.py"
BINDINGS = {
    "8.6.1": "tensorrt_bindings==8.6.1",
    "10.3.0": "tensorrt_cu12_bindings==10.3.0",
    "10.13.3.9": "tensorrt_cu12_bindings==10.13.3.9",
    "11.4": "tensorrt_cu13_bindings==11.4.*",
}
CUDA_PYTHON = ("cuda-bindings==12.8.*", "cuda-bindings==12.9.*", "cuda-bindings==13.*")

CLASSES = {
    "logger": "ILogger",
    "builder": "Builder",
    "definition": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "measured": "ITimingCache",
    "tensor": "ITensor",
}
"""In the backend a variable of this name is of that class of theirs."""
OURS = {"errors"}
"""What our own logger adds to theirs."""
RESULTS = {("parser", "get_error"): ("ParserError", "desc")}
"""A call on the result of a call, which has no variable of its own."""
FROM_10, UNTIL_10 = ("10.3.0", "10.13.3.9", "11.4"), ("8.6.1", "10.3.0", "10.13.3.9")
GUARDED: dict[str, tuple[int | None, tuple[str, ...]]] = {
    "BuilderFlag.FP16": (None, UNTIL_10),
    "BuilderFlag.INT8": (None, UNTIL_10),
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": (None, UNTIL_10),
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": (None, FROM_10),
    "PreviewFeature.PROFILE_SHARING_0806": (None, UNTIL_10),
    "IBuilderConfig.progress_monitor": (None, FROM_10),
    "IProgressMonitor.phase_start": (3, FROM_10),
    "IProgressMonitor.step_complete": (2, FROM_10),
    "IProgressMonitor.phase_finish": (1, FROM_10),
    "ILogger.log": (2, tuple(BINDINGS)),
}
"""What is asked for before it is used, or overridden: numbers of arguments, versions that have it."""
LEAST_NAMES = 50
"""A reader of our sources that finds fewer has stopped reading them."""


class Names(ast.NodeVisitor):
    """Collects what a source uses of theirs: paths below the module, with numbers of arguments.

    Names inside `if hasattr(x, "name")`, after `hasattr(x, "name")` with `and`, and those of `getattr`
    with text are guarded: they may be missing.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.used: dict[str, int | None] = {}
        self._guarded: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        """What was asked for is there, inside."""
        asked = {
            call.args[1].value
            for call in ast.walk(node.test)
            if isinstance(call, ast.Call)
            and getattr(call.func, "id", "") == "hasattr"
            and isinstance(call.args[1], ast.Constant)
        }
        self.visit(node.test)
        before, self._guarded = self._guarded, self._guarded | asked
        for inside in node.body:
            self.visit(inside)
        self._guarded = before
        for inside in node.orelse:
            self.visit(inside)

    def visit_Call(self, node: ast.Call) -> None:
        """A call, with how many arguments it has."""
        if path := self._path(node.func):
            self._note(path, len(node.args) + len(node.keywords))
        func = node.func
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call):
            inner = func.value.func
            head = getattr(getattr(inner, "value", None), "id", ""), getattr(inner, "attr", "")
            if result := RESULTS.get(head):
                assert result[1] == func.attr
                self._note(".".join(result), 0)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A name that is read or set."""
        path = self._path(node)
        if path and self._is_plain(path):
            self.used.setdefault(path, None)
        self.generic_visit(node)

    def _note(self, path: str, arguments: int) -> None:
        if self._is_plain(path):
            self.used[path] = arguments

    def _is_plain(self, path: str) -> bool:
        return not set(path.split(".")) & (self._guarded | OURS)

    def _path(self, node: ast.AST) -> str:
        """trt.A.B as A.B, context.f as IExecutionContext.f; empty for what is not theirs."""
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or not parts:
            return ""
        parts.reverse()
        if node.id == "self" and parts[0].startswith("_"):
            head, parts = parts[0].lstrip("_"), parts[1:]
        else:
            head = node.id
        if not parts:
            return ""
        if head == "trt":
            return ".".join(parts)
        return ".".join([CLASSES[head], *parts]) if head in CLASSES else ""


def used_names() -> dict[str, int | None]:
    """What the backend uses of TensorRT."""
    names = Names()
    for path in sorted(BACKEND.glob("*.py")):
        names.visit(ast.parse(path.read_text()))
    return names.used


LOOK_UP = r"""
import json, re, sys, warnings
warnings.simplefilter("ignore")
import tensorrt_bindings as trt

def signatures(found):
    text = getattr(found, "__doc__", "") or ""
    name = getattr(found, "__name__", "")
    return re.findall(r"^(?:\d+\. )?%s\((self[^\n]*)\) ->" % re.escape(name), text, re.M)

def takes(signature, count):
    parts, depth, now = [], 0, ""
    for letter in signature:
        depth += letter in "[(<"
        depth -= letter in "])>"
        if letter == "," and not depth:
            parts.append(now); now = ""
        else:
            now += letter
    parts = (parts + [now])[1:]
    needed = sum("=" not in part for part in parts)
    return needed <= count <= len(parts)

def look_up(path):
    found = trt
    for part in path.split("."):
        found = getattr(found, part, None)
    return found

problems = []
asked = json.load(sys.stdin)
problems += [path + " is here" for path in asked["absent"] if look_up(path) is not None]
for path, count in asked["used"].items():
    found = look_up(path)
    if found is None:
        problems.append("there is no " + path)
        continue
    if count is None or path.endswith("__init__"):
        continue
    told = signatures(found.__init__ if isinstance(found, type) else found)
    if not told:
        problems.append("no signature of " + path)
    elif not any(takes(one, count) for one in told):
        problems.append("%s is called with %d arguments: %s" % (path, count, told))
print(json.dumps({"version": trt.__version__, "problems": problems}))
"""


def environment(folder: Path, *packages: str) -> Path:
    """The Python of a new virtual environment with these packages; skips where there are none."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    _install(*packages, python=python)
    return python


def _install(*arguments: str, python: Path | None = None) -> None:
    chosen = ["--python", str(python)] if python else []
    command = [sys.executable, "-m", "pip", *chosen, "install", "--quiet", "--no-deps", "--no-cache-dir"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        pytest.skip(f"{' '.join(arguments)} cannot be installed: {last}")


def stub_libraries(library: Path, folder: Path) -> None:
    """Libraries that export what an extension module misses, by the names it is linked to."""
    undefined = _lines("nm", "-D", "--undefined-only", library)
    names = [line.split()[-1] for line in undefined if line.split()[0] == "U"]
    theirs = [name for name in names if _is_theirs(name)]
    linked = [
        line.split("[")[1].rstrip("]") for line in _lines("readelf", "-d", library) if "NEEDED" in line
    ]
    missing = [name for name in linked if name.startswith("libnv")]
    assert missing
    folder.mkdir()
    source = folder / "stub.c"
    for number, name in enumerate(missing):
        source.write_text(
            "".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in theirs)
            if number == 0
            else ""
        )
        command = ["cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{name}", "-o", folder / name, source]
        subprocess.run(command, check=True)


def _is_theirs(symbol: str) -> bool:
    known = ("_INTERNAL", "PluginRegistry", "NvInferPlugins", "NvOnnxParserVersion", "nvuff", "nvcaffe")
    return "@" not in symbol and any(part in symbol for part in known)


def _lines(*command: Any) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """What the stubs are made with."""
    for tool in ("cc", "nm", "readelf"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here: apt install gcc binutils")


@pytest.mark.parametrize("version", BINDINGS)
def test_every_name_of_tensorrt_is_in_its_bindings(version: str, tmp_path: Path) -> None:
    """Classes, methods, members and numbers of arguments; what a version lacks is guarded."""
    used = used_names()
    assert len(used) >= LEAST_NAMES, sorted(used)
    used |= {name: count for name, (count, has) in GUARDED.items() if version in has}
    absent = [name for name, (_, has) in GUARDED.items() if version not in has]
    python = environment(tmp_path / "venv", BINDINGS[version])
    (library,) = tmp_path.glob("venv/lib/python*/site-packages/tensorrt_bindings/tensorrt.so")
    stub_libraries(library, tmp_path / "stubs")
    done = subprocess.run(
        [python, "-c", LOOK_UP],
        input=json.dumps({"used": used, "absent": absent}),
        capture_output=True,
        text=True,
        check=False,
        env={"LD_LIBRARY_PATH": str(tmp_path / "stubs")},
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["version"].startswith(version)
    assert answer["problems"] == []


def test_names_that_a_version_lacks_are_found_missing() -> None:
    """The reader takes guards for guards, and nothing else."""
    names = Names()
    names.visit(
        ast.parse(
            "config.gone(1)\n"
            "if hasattr(config, 'new'):\n    config.new = 1\n"
            "else:\n    config.old()\n"
            "getattr(trt.BuilderFlag, 'FP16', None)\n"
            "parser.get_error(0).desc()\n"
            "self._context.run(1, 2)\n"
        )
    )
    assert names.used == {
        "IBuilderConfig.gone": 1,
        "IBuilderConfig.old": 0,
        "BuilderFlag": None,
        "OnnxParser.get_error": 1,
        "ParserError.desc": 0,
        "IExecutionContext.run": 2,
    }


def cuda_calls() -> dict[str, list[int]]:
    """The calls of cuda-python that our driver makes, with the numbers of arguments."""
    calls: dict[str, list[int]] = {}
    for node in ast.walk(ast.parse(DRIVER.read_text())):
        if isinstance(node, ast.Call) and _is_cuda(node.func):
            calls.setdefault(node.func.attr, []).append(len(node.args))  # type: ignore[attr-defined]
    return calls


def cuda_constants() -> set[str]:
    """Members of enumerations that it reads, by their own names."""
    texts = DRIVER.read_text()
    names = [n.attr for n in ast.walk(ast.parse(texts)) if isinstance(n, ast.Attribute)]
    return {name for name in names if name.startswith(("CU_", "CUevent", "CUstream", "CUdevice"))}


def _is_cuda(node: ast.AST) -> bool:
    is_name = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return is_name and node.value.id == "cuda" and node.attr.startswith("cu")  # type: ignore[union-attr]


@pytest.mark.parametrize("package", CUDA_PYTHON)
def test_cuda_python_passes_the_conformance_suite_on_the_cpu(package: str, tmp_path: Path) -> None:
    """NVIDIA's bindings themselves, over a libcuda.so.1 of ours: arguments arrive as they are meant."""
    site, library = tmp_path / "site", tmp_path / "libcuda.so.1"
    _install("--target", str(site), package, "cuda-pathfinder")
    source = ROOT / "tests" / "libcuda_on_cpu.c"
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libcuda.so.1"]
    subprocess.run(["cc", *flags, "-o", library, source, "-ldl"], check=True)
    suite = ROOT / "tests" / "conformance" / "test_devices.py"
    chosen = "cuda_python and not fake and not without"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, suite]
    paths = {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(site)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **paths}
    )
    assert done.returncode == 0, done.stdout
    assert "no GPU is reached" not in done.stdout
    assert "11 passed" in done.stdout


LOOK_UP_CUDA = r"""
import inspect, json, sys
from cuda.bindings import driver as cuda
asked = json.load(sys.stdin)
problems = []
for name, counts in asked["calls"].items():
    found = getattr(cuda, name, None)
    if found is None:
        problems.append("there is no " + name)
        continue
    for count in counts:
        try:
            inspect.signature(found).bind(*range(count))
        except TypeError as error:
            problems.append("%s with %d arguments: %s" % (name, count, error))
members = set(dir(cuda))
for enumeration in ("CUevent_flags", "CUstream_flags", "CUdevice_attribute", "CUstreamCaptureMode"):
    members |= set(getattr(cuda, enumeration).__members__)
problems += ["there is no " + name for name in asked["constants"] if name not in members]
sys.path[:0] = asked["path"]
from livegate.core.errors import SetupError
from livegate.devices.device import load_driver
try:
    load_driver("cuda_python").open(0)
    said = "opened"
except SetupError as error:
    said = "%d %s" % (error.code, error)
print(json.dumps({"problems": problems, "said": said}))
"""


@pytest.mark.parametrize("package", CUDA_PYTHON)
def test_every_call_of_cuda_python_is_there(package: str, tmp_path: Path) -> None:
    """Each call exists and takes as many arguments as it is given; without a driver it is 1013."""
    calls = cuda_calls()
    assert len(calls) >= 20
    python = environment(tmp_path / "venv", package, "cuda-pathfinder")
    here = [str(ROOT / "runtime"), *(path for path in sys.path if path.endswith("site-packages"))]
    asked = {"calls": calls, "constants": sorted(cuda_constants()), "path": here}
    done = subprocess.run(
        [python, "-c", LOOK_UP_CUDA],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["problems"] == []
    if not shutil.which("nvidia-smi"):
        assert answer["said"].startswith("1013")
        assert "libcuda.so.1" in answer["said"]
