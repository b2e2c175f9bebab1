"""What a figure must carry with it: the machine and the versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from livegate.core.machine import cpu, package_versions

PACKAGES = (
    "livegate",
    "onnxruntime",
    "openvino",
    "numpy",
    "opencv-python-headless",
    "simplejpeg",
    "grpcio",
)


def describe() -> dict[str, str]:
    """Processor, cores, kernel, Python and packages."""
    found = {
        "cpu": cpu()[0],
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    return found | package_versions(PACKAGES)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
