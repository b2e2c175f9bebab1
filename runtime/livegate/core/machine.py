"""What a figure must carry with it: the machine and the versions. Nothing here names a person or a box.

Source: proc(5); /proc/device-tree/model of boards; /etc/nv_tegra_release of Jetsons; version.info of the
Ascend driver (its installation guide).
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")


def cpu(root: Path = ROOT) -> tuple[str, frozenset[str]]:
    """Model name and feature flags; x86 and Arm name them differently."""
    model, flags = platform.machine(), frozenset[str]()
    for line in lines(root / "proc/cpuinfo"):
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "model name":
            model = value
        elif name in ("flags", "Features"):
            flags = frozenset(value.split())
            break
    return model, flags


def memory_bytes(name: str, root: Path = ROOT) -> int:
    """One line of /proc/meminfo; 0 when the kernel does not say."""
    for line in lines(root / "proc/meminfo"):
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


def board(root: Path = ROOT) -> str:
    """The board's name where the firmware tells one, as on a Jetson; else nothing."""
    return first_line_of(root / "proc/device-tree/model").rstrip("\0")


def l4t_release(root: Path = ROOT) -> str:
    """The release of NVIDIA's Linux for Tegra, from which JetPack's follows; else nothing."""
    return first_line_of(root / "etc/nv_tegra_release")


def ascend_driver(root: Path = ROOT) -> str:
    """The version of Huawei's NPU driver; nothing where there is none."""
    for line in lines(root / "usr/local/Ascend/driver/version.info"):
        name, separator, value = line.partition("=")
        if separator and name.strip() == "Version":
            return value.strip()
    return ""


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def first_line_of(path: Path) -> str:
    """The first line of a small file; nothing where it cannot be read."""
    return next(iter(lines(path)), "").strip()


def lines(path: Path) -> list[str]:
    """The lines of a small file; none where it cannot be read."""
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
