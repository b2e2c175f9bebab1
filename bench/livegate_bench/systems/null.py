"""Answers at once, in the load's own process: what is left is the harness itself."""

from __future__ import annotations

from livegate_bench.system import Ask, System


class Plugin(System):
    """Nothing at all."""

    is_served = False

    def caller(self) -> Ask:
        """No work."""
        return lambda: None
