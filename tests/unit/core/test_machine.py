"""The machine in words, read below a root of our own."""

from __future__ import annotations

from pathlib import Path

from livegate.core.machine import (
    ascend_driver,
    board,
    cpu,
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


def test_ascend_driver_says_its_version(tmp_path: Path) -> None:
    """One line of several."""
    put(tmp_path, "usr/local/Ascend/driver/version.info", "Version=23.0.rc3\nascendhal_version=7\n")
    assert ascend_driver(tmp_path) == "23.0.rc3"


def test_box_without_these_files_says_nothing(tmp_path: Path) -> None:
    """Nothing is an answer."""
    assert (board(tmp_path), l4t_release(tmp_path), ascend_driver(tmp_path)) == ("", "", "")
    assert (memory_bytes("MemTotal", tmp_path), cpu(tmp_path)[1]) == (0, frozenset())


def test_memory_and_packages_of_this_box_are_told() -> None:
    """The real root; packages that are not there are left out."""
    assert memory_bytes("MemTotal") > 1 << 20
    assert list(package_versions(("numpy", "no-such-package"))) == ["numpy"]
