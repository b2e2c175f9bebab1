"""The frame queue: slots in shared memory, tickets over a Unix socket, no pixels on the wire."""
