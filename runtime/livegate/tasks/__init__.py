"""One algorithm each: what it feeds to its networks and what it makes of the answer."""
