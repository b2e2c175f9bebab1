"""From bytes that somebody sent to a Frame."""
