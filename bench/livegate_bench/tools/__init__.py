"""Sub-commands with flags and figures of their own, found by name."""
