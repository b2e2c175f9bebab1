"""NVIDIA's devices: memory, streams and events behind one interface, whichever library reaches them."""
