"""What a figure must carry with it: the machine and the versions."""

from __future__ import annotations

import os
import platform

from livegate.core.machine import cpu, package_versions
from livegate.core.profile import LIBRARIES

PACKAGES = (
    "livegate",
    *LIBRARIES,
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
