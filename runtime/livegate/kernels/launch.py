"""One launch of a kernel, as numbers: whoever has a GPU hands it to the driver."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

Dim3 = tuple[int, int, int]
Argument = ctypes.Structure | ctypes.c_void_p

BLOCK: Dim3 = (32, 8, 1)
"""Threads for pictures: a warp is a piece of a row, so that neighbours write neighbours."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel's name in its code, how many blocks of how many threads, and its parameters in order.

    Structures go by value; c_void_p is an address in device memory. The addresses inside the
    structures have to stay valid until the kernel has run.
    """

    kernel: str
    grid: Dim3
    block: Dim3
    arguments: tuple[Argument, ...]


def blocks_over(width: int, height: int, depth: int = 1) -> Dim3:
    """Blocks of BLOCK that cover `width` x `height` pixels, `depth` times."""
    return (-(-width // BLOCK[0]), -(-height // BLOCK[1]), depth)
