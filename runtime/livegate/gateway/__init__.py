"""The HTTP face: one server, one dialect for each cloud."""
