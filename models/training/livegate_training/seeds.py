"""Random numbers that depend on names, never on the order of calls or on the process that asks."""

from __future__ import annotations

import hashlib

import numpy as np


def seeded(*names: str | int) -> np.random.Generator:
    """A generator for one purpose: the same names give the same numbers, on any machine."""
    text = "\x1f".join(str(name) for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with that probability."""
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, span: tuple[float, float]) -> float:
    """A number from a span, evenly."""
    return float(rng.uniform(*span))


def between_log(rng: np.random.Generator, span: tuple[float, float]) -> float:
    """A positive number from a span, evenly in its logarithm."""
    low, high = np.log(span)
    return float(np.exp(rng.uniform(low, high)))
