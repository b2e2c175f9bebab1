"""Other runtimes that serve the same work: what they are, how they run and how they are asked."""
