"""The command `livegate`."""
