"""What ends a bench: one line for whoever called it, and status 2."""

from __future__ import annotations


class BenchError(Exception):
    """A figure cannot be had: the fact, and what to do about it."""
