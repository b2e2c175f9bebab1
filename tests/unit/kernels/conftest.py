"""The kernels' own sources on this CPU."""

from __future__ import annotations

import pytest

from kernels_on_cpu import KernelsOnCpu, compiled


@pytest.fixture(scope="module", params=[False, True], ids=["two roundings", "one rounding"])
def kernels(request: pytest.FixtureRequest) -> KernelsOnCpu:
    """The sources, once with every check of the compiler and once with the GPU's way to round."""
    return compiled(contracted=request.param)
