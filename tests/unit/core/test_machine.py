"""The machine in words, read below a root of our own."""

from __future__ import annotations

from pathlib import Path

from livegate.core.machine import (
    accelerators,
    ascend_driver,
    board,
    cpu,
    driver,
    l4t_release,
    memory_bytes,
    package_versions,
)


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_x86_says_its_model_and_flags(tmp_path: Path) -> None:
    """Of the first core."""
    put(tmp_path, "proc/cpuinfo", "processor : 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2\n")
    assert cpu(tmp_path) == ("Some CPU @ 2 GHz", {"fpu", "avx2"})


def test_jetson_says_its_board_and_release(tmp_path: Path) -> None:
    """Arm has no model name; the device tree ends its text with a zero."""
    put(tmp_path, "proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd\n")
    put(tmp_path, "proc/device-tree/model", "NVIDIA Jetson Orin Nano\0")
    put(tmp_path, "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3\n")
    assert cpu(tmp_path)[1] == {"fp", "asimd"}
    assert board(tmp_path) == "NVIDIA Jetson Orin Nano"
    assert l4t_release(tmp_path) == "# R36 (release), REVISION: 4.3"


def test_arm_processors_differ_by_the_kinds_of_their_cores(tmp_path: Path) -> None:
    """Numbers of implementer and part, where the kernel tells no name."""
    kinds = ("0xd0b", "0xd05")
    cores = (
        f"processor\t: {n}\nFeatures\t: fp\nCPU implementer\t: 0x41\nCPU part\t: {kinds[n % 2]}\n"
        for n in range(4)
    )
    put(tmp_path, "proc/cpuinfo", "\n".join(cores))
    name, flags = cpu(tmp_path)
    assert name.endswith(" 0x41/0xd05 0x41/0xd0b")
    assert flags == {"fp"}


def test_ascend_driver_says_its_version(tmp_path: Path) -> None:
    """One line of several."""
    put(tmp_path, "usr/local/Ascend/driver/version.info", "Version=23.0.rc3\nascendhal_version=7\n")
    assert ascend_driver(tmp_path) == "23.0.rc3"


def test_cards_are_told_by_name_or_by_number(tmp_path: Path) -> None:
    """Displays and accelerators on PCI; a network card is none."""
    devices = {"0000:00:03.0": "0x020000 0x8086 0x100e", "0000:01:00.0": "0x030200 0x10de 0x2335"}
    devices |= {"0000:02:00.0": "0x120000 0x19e5 0xd100", "0000:00:02.0": "0x030000 0x8086 0x46d0"}
    for address, numbers in devices.items():
        for name, number in zip(("class", "vendor", "device"), numbers.split(), strict=True):
            put(tmp_path, f"sys/bus/pci/devices/{address}/{name}", f"{number}\n")
    told = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 11\n"
    put(tmp_path, "proc/driver/nvidia/gpus/0000:01:00.0/information", told)
    assert accelerators(tmp_path) == ("8086:46d0", "NVIDIA H200", "19e5:d100")


def test_driver_is_that_of_the_accelerator(tmp_path: Path) -> None:
    """A card's; on a Jetson the release, which both may tell there."""
    assert (driver(tmp_path), accelerators(tmp_path)) == ("", ())
    put(tmp_path, "usr/local/Ascend/driver/version.info", "Version=23.0.rc3\n")
    assert driver(tmp_path) == "23.0.rc3"
    put(tmp_path, "sys/module/nvidia/version", "570.86.15\n")
    assert driver(tmp_path) == "570.86.15"
    put(tmp_path, "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3\n")
    assert driver(tmp_path).startswith("# R36")


def test_box_without_these_files_says_nothing(tmp_path: Path) -> None:
    """Nothing is an answer."""
    assert (board(tmp_path), l4t_release(tmp_path), ascend_driver(tmp_path)) == ("", "", "")
    assert (memory_bytes("MemTotal", tmp_path), cpu(tmp_path)[1]) == (0, frozenset())


def test_memory_and_packages_of_this_box_are_told() -> None:
    """The real root; packages that are not there are left out."""
    assert memory_bytes("MemTotal") > 1 << 20
    assert list(package_versions(("numpy", "no-such-package"))) == ["numpy"]
