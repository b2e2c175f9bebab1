"""One file for each cloud's manners; found by name."""
