"""Reports and systems against each other, and gates."""
