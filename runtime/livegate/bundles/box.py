"""What this box is, as far as wheels care, and whether a bundle is for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from livegate.bundles.manifest import Target
from livegate.core.errors import ErrorCode, SetupError

LOOK = """
import json, os, platform, sys, sysconfig
try:
    glibc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, ValueError, OSError):
    glibc = ""
print(json.dumps({
    "machine": platform.machine(),
    "python": "%d.%d" % sys.version_info[:2],
    "glibc": glibc.rpartition(" ")[2] if glibc.startswith("glibc") else "",
    "implementation": sys.implementation.name,
    "is_64_bit": sys.maxsize > 2**32,
    "is_free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""
LOOK_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Box:
    """A machine with one of its Pythons."""

    machine: str
    python: str
    glibc: str
    """Empty where the C library is another one."""
    implementation: str = "cpython"
    is_64_bit: bool = True
    is_free_threaded: bool = False

    def reasons_against(self, target: Target) -> Iterator[str]:
        """Why a bundle for `target` cannot run here."""
        if self.machine != target.machine:
            yield f"it is for {target.machine}, this box is {self.machine}"
        if not self.is_64_bit:
            yield "this Python has 32 bits"
        if self.implementation != "cpython" or self.is_free_threaded:
            kind = "free-threaded CPython" if self.is_free_threaded else self.implementation
            yield f"it is for CPython, this is {kind}"
        if self.python != target.python:
            yield f"it is for Python {target.python}, this is {self.python}"
        if not self.glibc:
            yield f"it needs glibc {target.glibc}, this box has another C library"
        elif release(self.glibc) < release(target.glibc):
            yield f"it needs glibc {target.glibc}, this box has {self.glibc}"

    def require(self, target: Target) -> None:
        """Hold that a bundle is for this box.

        Raises:
            SetupError: INIT_FAIL with every reason against it.
        """
        reasons = list(self.reasons_against(target))
        if not reasons:
            return
        only_python = self.python != target.python and len(reasons) == 1
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"the bundle does not fit: {'; '.join(reasons)}",
            hint=f"name another Python of this box: --python python{target.python}"
            if only_python
            else "make one for this box: `livegate bundle --machine --python --glibc`",
        )


def release(text: str) -> tuple[int, ...]:
    """A release like 2.35 as numbers."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def this_python() -> str:
    """The interpreter that an environment is made from; not that of an environment, which may go."""
    return real_python(str(getattr(sys, "_base_executable", "") or sys.executable))


def real_python(python: str) -> str:
    """An interpreter by its own path: the one of an environment is a link, and goes with it.

    Before Python 3.11 an environment's interpreter takes itself for the one that it was made from.
    """
    return os.path.realpath(shutil.which(python) or python)


def box_of(python: str | Path) -> Box:
    """Ask an interpreter.

    Raises:
        SetupError: INIT_FAIL when it does not run.
    """
    command = [str(python), "-I", "-c", LOOK]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LOOK_TIMEOUT_S, check=True
        )
        return Box(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise SetupError(
            ErrorCode.INIT_FAIL,
            f"{python} does not run as Python 3",
            hint="name another one: --python PATH",
        ) from error
