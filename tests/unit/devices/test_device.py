"""What is said of devices without asking one."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.devices.device import CudaError, driver_release, version_from_number


@pytest.mark.parametrize(("number", "version"), [(11040, (11, 4)), (12060, (12, 6)), (13000, (13, 0))])
def test_version_from_number_is_major_and_minor(number: int, version: tuple[int, int]) -> None:
    """CUDA's number is taken apart as its documentation says."""
    assert version_from_number(number) == version


def test_driver_release_is_the_first_line_that_is_there(tmp_path: Path) -> None:
    """A Jetson has no module version: the next file is read; without any the release is empty."""
    told = tmp_path / "nv_tegra_release"
    told.write_text("# R36 (release), REVISION: 4.3\nmore\n")
    assert driver_release((tmp_path / "none", told)) == "# R36 (release), REVISION: 4.3"
    assert driver_release((tmp_path / "none",)) == ""


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("CUDA_ERROR_OUT_OF_MEMORY", True),
        ("cuMemAlloc failed: out of memory", True),
        ("CUDA_ERROR_ILLEGAL_ADDRESS", False),
    ],
)
def test_cuda_error_out_of_memory_is_told_from_others(name: str, is_it: bool) -> None:
    """Both libraries' words for it are known."""
    assert CudaError(name, "cuMemAlloc").is_out_of_memory is is_it
