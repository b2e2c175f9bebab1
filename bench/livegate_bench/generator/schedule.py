"""When requests are due: drawn before they are sent, so that nothing that happens can move them."""

from __future__ import annotations

from typing import Any

import numpy as np


def constant(rate_per_s: float, seconds: float) -> Any:
    """Seconds from the start, (N,) float64: one every 1 / rate."""
    return np.arange(max(1, round(rate_per_s * seconds))) / rate_per_s


def poisson(rate_per_s: float, seconds: float, seed: int) -> Any:
    """The same at moments that are drawn, as of many who do not know each other.

    A Poisson process of which it is known how many come: few draws would else be of another rate.
    """
    count = max(1, round(rate_per_s * seconds))
    return np.sort(np.random.default_rng(seed).uniform(0, count / rate_per_s, count))
