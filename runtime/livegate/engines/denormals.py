"""Numbers too small for a normal float, counted as zero in one thread.

Weights that have decayed into denormals make a network many times slower on a CPU (92 ms
against 5). ONNX Runtime's own switch (session.set_denormal_as_zero) does not reach our workers: it
acts on the thread that makes the first session of the process and on the library's own threads, not
on a thread that calls `run`; and the thread that it does act on, usually the main one, then takes
5e-324 for 0 in everything else that it computes, checks of limits included. So each worker sets its
own floating-point unit.

Source: fenv.h of glibc; Intel SDM vol. 1, 10.2.3 (MXCSR.FTZ, MXCSR.DAZ); Arm ARM, FPCR.FZ.
"""

from __future__ import annotations

import ctypes
import platform

# Which 32-bit word of fenv_t, and which of its bits.
PLACES = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}


def flush_denormals() -> bool:
    """Count denormals as zero in the calling thread; False where we do not know how."""
    place = PLACES.get(platform.machine())
    if place is None:
        return False
    try:
        libm = ctypes.CDLL("libm.so.6")
    except OSError:  # not glibc
        return False
    word, bits = place
    state = (ctypes.c_uint32 * 8)()
    libm.fegetenv(state)
    state[word] |= bits
    return bool(libm.fesetenv(state) == 0)
