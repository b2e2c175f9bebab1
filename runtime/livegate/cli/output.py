"""Where the command prints: answers to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


def answers() -> Console:
    """For what was asked; never cut off when it goes into a file or a pipe."""
    is_terminal = sys.stdout.isatty()
    return Console(soft_wrap=not is_terminal, width=None if is_terminal else 200)


def errors() -> Console:
    """For progress and complaints."""
    return Console(stderr=True, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    sys.stdout.write(json_bytes(value).decode() + "\n")
    sys.stdout.flush()


def json_bytes(value: Any) -> bytes:
    """JSON of a value. A file's name that is no text, as from a stick of another system, is made one."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_legible(msgspec.to_builtins(value)))


def _legible(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_legible(key): _legible(one) for key, one in value.items()}
    return [_legible(one) for one in value] if isinstance(value, (list, tuple)) else value


def table(*columns: str) -> Table:
    """A plain table."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
