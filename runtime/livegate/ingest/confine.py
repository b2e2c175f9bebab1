"""What a process that decodes strangers' video may take of the machine.

A decoder is fed by strangers, and libav is a million lines of C: it runs in a process of its own,
started by exec, never by fork.
"""

from __future__ import annotations

import ctypes
import resource
import signal
from collections.abc import Mapping

MAX_FILES = 64
PR_SET_PDEATHSIG = 1
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""A library that reserves memory for every core leaves none below the limit on a big machine."""


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What such a process inherits: nothing of LiveGate's own, where secrets may be."""
    return {
        **{name: value for name, value in ours.items() if not name.startswith("LIVEGATE_")},
        **ONE_THREAD,
    }


def how_it_ended(status: int) -> str:
    """An exit status of subprocess's, in words."""
    if status >= 0:
        return f"ended with {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def limit_resources(memory_mib: int, cpu_s: int | None = None) -> None:
    """What libav may take: so much memory, no core file and no file at all (both would hold pixels).

    The process ends with the thread that started it.
    """
    # A process that stands still sees no end of its input; the kernel ends it with our parent.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    limits = [
        (resource.RLIMIT_AS, memory_mib << 20),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
    ]
    if cpu_s is not None:
        limits.append((resource.RLIMIT_CPU, cpu_s))
    for limit, value in limits:
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
