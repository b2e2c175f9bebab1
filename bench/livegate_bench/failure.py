"""What ends a bench: one line for whoever called it, and status 2."""

from __future__ import annotations

import signal


class BenchError(Exception):
    """A figure cannot be had: the fact, and what to do about it."""


class Stopped(BenchError):
    """A signal ends it, whose `number` is in the exit status as a shell has it."""

    def __init__(self, number: int) -> None:
        """What was measured before is told, as with every end."""
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number
