"""Tasks in order over one frame."""
