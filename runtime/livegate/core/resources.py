"""Where the folders that travel with the package are: models/, kernels/, proto/.

In a wheel they lie inside the package (hatchling's force-include); in a checkout, which is what an
editable install runs from, they lie beside runtime/. One finder knows both.
"""

from __future__ import annotations

from pathlib import Path

from livegate.core.errors import ErrorCode, SetupError

PACKAGE_DIR = Path(__file__).resolve().parents[1]


def resource_dir(name: str, *, package_dir: Path = PACKAGE_DIR) -> Path:
    """The folder `name` of the wheel or of the checkout.

    Raises:
        SetupError: NO_EXIST when the installation holds neither.
    """
    bundled = package_dir / "_bundled" / name
    if bundled.is_dir():
        return bundled
    checkout = package_dir.parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise SetupError(
        ErrorCode.NO_EXIST,
        f"the folder {name}/ is neither at {bundled} nor at {checkout / name}",
        hint="the installation is damaged: install the wheel again",
    )
