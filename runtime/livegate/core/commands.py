"""Commands of a vendor that are asked once, and not for long."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence

ASK_S = 10.0
Ask = Callable[[Sequence[str]], str]
"""Runs a command; what it printed, or nothing."""


def ask(command: Sequence[str]) -> str:
    """What a command prints; nothing where it is not here, fails, or takes too long."""
    path = shutil.which(command[0])
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *command[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
