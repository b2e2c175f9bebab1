"""Reading TOML, with our errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from livegate.core.errors import ErrorCode, SetupError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file; Windows' editors begin it with a mark.

    Raises:
        SetupError: OPEN_FAIL, or READ_FAIL when it is not TOML.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        why = f"{path} cannot be opened: {error.strerror}"
        raise SetupError(ErrorCode.OPEN_FAIL, why) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(ErrorCode.READ_FAIL, f"{path} is not TOML: {error}") from error
    return tables
