"""NVIDIA's run-time compiler, where the box has one: CUDA C++ in memory to code for one GPU.

Source: NVRTC's user guide. The library is opened by name and spoken to through ctypes, so that a box
without it lacks nothing else.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError

Version = tuple[int, int]
"""Major and minor, of CUDA or of a GPU's compute capability."""

LIBRARIES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2")
"""Newest first. 11.2 is the name of every NVRTC from 11.3 on."""
TOOLKIT = Path("/usr/local/cuda/lib64")
WHEEL_FOLDERS = ("cu13/lib", "cuda_nvrtc/lib")
"""Below the folder `nvidia` that NVIDIA's wheels share."""


@dataclass(frozen=True, slots=True)
class Cubin:
    """Code for one GPU, and what the compiler said about the source; empty when nothing."""

    content: bytes
    log: str


class Nvrtc:
    """One compiler library."""

    def __init__(self, path: str | Path) -> None:
        """Open it.

        Raises:
            OSError: it is not there or does not load.
        """
        self.path = str(path)
        self._library = ctypes.CDLL(self.path)
        # The compiler's handle is a pointer: without this, ctypes would cut it to an int.
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.version: Version = (major.value, minor.value)

    def compile(self, name: str, source: str, headers: Mapping[str, str], capability: Version) -> Cubin:
        """Compile for one GPU, not by way of PTX, so that the driver has nothing left to compile.

        Args:
            name: what the compiler calls the source in its messages.
            source: CUDA C++.
            headers: texts by the names that the sources include them by.
            capability: the GPU's compute capability.

        Raises:
            SetupError: INIT_FAIL: the source does not compile, or the GPU is unknown to this compiler.
        """
        program = ctypes.c_void_p()
        texts, header_names = _strings(headers.values()), _strings(headers)
        self._check(
            self._library.nvrtcCreateProgram(
                ctypes.byref(program), source.encode(), name.encode(), len(headers), texts, header_names
            )
        )
        try:
            options = (f"--gpu-architecture=sm_{capability[0]}{capability[1]}", "--std=c++17")
            status = self._library.nvrtcCompileProgram(program, len(options), _strings(options))
            log = self._read(program, "ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
            self._check(status, log)
            return Cubin(self._read(program, "CUBIN"), log)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _read(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        content = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, content))
        return content.raw

    def _check(self, status: int, log: str = "") -> None:
        if status != 0:
            what = self._library.nvrtcGetErrorString(status).decode()
            major, minor = self.version
            raise SetupError(
                ErrorCode.INIT_FAIL,
                " ".join(f"NVRTC {major}.{minor} ({self.path}): {what} {log}".split()),
            )


def nvrtc_paths() -> Iterator[str | Path]:
    """Where compilers may be: what the loader knows, the toolkit's folder, NVIDIA's wheels."""
    yield from LIBRARIES
    wheels = importlib.util.find_spec("nvidia")
    roots = [] if wheels is None else list(wheels.submodule_search_locations or ())
    folders = [TOOLKIT, *(Path(root) / folder for root in roots for folder in WHEEL_FOLDERS)]
    yield from (path for folder in folders for name in LIBRARIES if (path := folder / name).is_file())


def open_compilers(paths: Iterable[str | Path]) -> list[Nvrtc]:
    """The compilers that load, newest first; the first of each version."""
    found: dict[Version, Nvrtc] = {}
    for path in paths:
        try:
            compiler = Nvrtc(path)
        except OSError:
            continue
        found.setdefault(compiler.version, compiler)
    return [found[version] for version in sorted(found, reverse=True)]


def _strings(texts: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    encoded = [text.encode() for text in texts]
    return (ctypes.c_char_p * len(encoded))(*encoded)
