"""TensorRT 8.6, 10 and 11: engines are built once for this very box, kept, and loaded from then on.

A folder, because the three parts of the vendor's library are separate nouns: what it says (messages),
what it builds (building), what it runs (running). None of them imports it; the plug-in hands it down.
"""

from livegate.backends.tensorrt.plugin import Plugin

__all__ = ["Plugin"]
