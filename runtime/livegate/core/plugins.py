"""Plug-ins are files of a package: the file's name is the plug-in's name, imported on use."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType

from livegate.core.errors import ErrorCode, SetupError


def plugin_names(package: str) -> tuple[str, ...]:
    """The names of the plug-ins in a package, sorted; imports none of them."""
    paths = importlib.import_module(package).__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(paths) if not m.name.startswith("_")))


def load_plugin(package: str, name: str) -> ModuleType:
    """Import one plug-in.

    Raises:
        SetupError: NO_EXIST when there is no such file.
    """
    names = plugin_names(package)
    if name not in names:
        raise SetupError(
            ErrorCode.NO_EXIST,
            f"there is no {package.rpartition('.')[2]} plug-in named {name!r}",
            hint=did_you_mean(name, names),
        )
    return importlib.import_module(f"{package}.{name}")


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """A hint that names the nearest known word, or all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
