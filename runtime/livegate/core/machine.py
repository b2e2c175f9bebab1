"""What a figure must carry with it: the machine and the versions. Nothing here names a person or a box.

Source: proc(5), and arch/arm64/kernel/cpuinfo.c of the kernel; /proc/device-tree/model of boards;
/etc/nv_tegra_release of Jetsons; version.info of the Ascend driver (its installation guide);
sysfs-bus-pci of the kernel, and the classes of the PCI code assignment; /proc/driver/nvidia of NVIDIA's
driver (its README).
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")
DISPLAYS, PROCESSING_ACCELERATORS = "0x03", "0x12"
"""How the classes of such PCI devices begin."""


def cpu(root: Path = ROOT) -> tuple[str, frozenset[str]]:
    """Model name and feature flags; x86 and Arm name them differently.

    Of an Arm processor the kernel tells no name but numbers: architecture, then implementer/part of each
    kind of core.
    """
    model, flags = "", frozenset[str]()
    implementer, kinds = "", set[str]()
    for line in lines(root / "proc/cpuinfo"):
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "model name":
            model = model or value
        elif name in ("flags", "Features"):
            flags = flags or frozenset(value.split())
        elif name == "CPU implementer":
            implementer = value
        elif name == "CPU part":
            kinds.add(f"{implementer}/{value}")
    return model or " ".join([platform.machine(), *sorted(kinds)]), flags


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


def nvidia_driver(root: Path = ROOT) -> str:
    """The version of NVIDIA's driver for cards; nothing where there is none."""
    return first_line_of(root / "sys/module/nvidia/version")


def driver(root: Path = ROOT) -> str:
    """What drives the accelerator: L4T's release, NVIDIA's or Huawei's version, or nothing."""
    return l4t_release(root) or nvidia_driver(root) or ascend_driver(root)


def accelerators(root: Path = ROOT) -> tuple[str, ...]:
    """Graphics cards and accelerators on PCI: what their driver calls them, else vendor:device.

    That of a Jetson is no PCI device; its board tells it.
    """
    found = []
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        if not first_line_of(device / "class").startswith((DISPLAYS, PROCESSING_ACCELERATORS)):
            continue
        numbers = [first_line_of(device / name).removeprefix("0x") for name in ("vendor", "device")]
        found.append(_nvidia_model(device.name, root) or ":".join(numbers))
    return tuple(found)


def _nvidia_model(address: str, root: Path) -> str:
    """What NVIDIA's driver calls the card at a PCI address."""
    for line in lines(root / "proc/driver/nvidia/gpus" / address / "information"):
        name, _, value = line.partition(":")
        if name.strip() == "Model":
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
