"""Where the folders of the package are found, in a wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.resources import resource_dir
from support import ROOT


def test_resource_dir_of_a_wheel_is_inside_the_package(tmp_path: Path) -> None:
    """In a wheel the folders lie below the package."""
    package = tmp_path / "site-packages" / "livegate"
    bundled = package / "_bundled" / "models"
    bundled.mkdir(parents=True)
    assert resource_dir("models", package_dir=package) == bundled


def test_resource_dir_of_a_checkout_is_beside_runtime(tmp_path: Path) -> None:
    """In a checkout the folders lie beside runtime/."""
    package = tmp_path / "runtime" / "livegate"
    package.mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert resource_dir("models", package_dir=package) == tmp_path / "models"


def test_resource_dir_in_both_layouts_is_the_wheels(tmp_path: Path) -> None:
    """What was bundled with the code goes before what happens to lie around it."""
    package = tmp_path / "runtime" / "livegate"
    bundled = package / "_bundled" / "models"
    bundled.mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert resource_dir("models", package_dir=package) == bundled


def test_resource_dir_beside_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """A folder of that name two levels up is not ours unless a checkout stands there."""
    package = tmp_path / "lib" / "livegate"
    package.mkdir(parents=True)
    (tmp_path / "models").mkdir()
    with pytest.raises(SetupError) as caught:
        resource_dir("models", package_dir=package)
    assert caught.value.code is ErrorCode.NO_EXIST
    assert "models" in caught.value.message
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("name", ["models", "proto"])
def test_resource_dir_of_this_installation_exists(name: str) -> None:
    """The installation that runs these tests holds its folders."""
    assert resource_dir(name) == ROOT / name
