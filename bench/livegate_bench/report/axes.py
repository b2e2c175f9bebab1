"""Scales of a plot: values to pixels, with ticks at round numbers.

Source: Heckbert, Nice Numbers for Graph Labels, in Graphics Gems (1990).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

TICKS = 5
LONGEST = 1e-12
"""Of a logarithmic axis, from end to end: what is less stands at its start."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low`..`high` to pixels `start`..`end`, straight or in the logarithm."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    steps: int = TICKS
    """About how many ticks, unless it is logarithmic."""

    def at(self, value: float) -> float:
        """The pixel; values outside stand at the edge."""
        held = min(max(value, self.low), self.high)
        if self.is_log:
            part = math.log(held / self.low) / math.log(self.high / self.low)
        else:
            part = (held - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers from low to high."""
        found = (
            log_ticks(self.low, self.high)
            if self.is_log
            else linear_ticks(self.low, self.high, self.steps)
        )
        return [tick for tick in found if self.low * (1 - 1e-9) <= tick <= self.high * (1 + 1e-9)]


def linear(values: Iterable[float], start: float, end: float, steps: int = TICKS) -> Scale:
    """From 0 to a round number that none exceeds."""
    highest = max((value for value in values if math.isfinite(value)), default=0.0)
    if not 1e-300 < highest < 1e300:
        highest = 1.0 if highest < 1 else 1e300
    step = nice_step(highest / steps)
    return Scale(0.0, step * math.ceil(highest / step - 1e-9), start, end, steps=steps)


def logarithmic(values: Iterable[float], start: float, end: float) -> Scale:
    """Around all values above zero, at least a factor of two wide."""
    known = [value for value in values if 1e-300 < value < 1e300]
    low, high = min(known, default=1.0), max(known, default=10.0)
    low = max(low, high * LONGEST)
    if high / low < 2:
        middle = math.sqrt(low) * math.sqrt(high)
        low, high = middle / math.sqrt(2), middle * math.sqrt(2)
    return Scale(low, high, start, end, is_log=True)


def nice_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((power * part for part in (1, 2, 5) if power * part >= least * (1 - 1e-9)), power * 10)


def linear_ticks(low: float, high: float, steps: int = TICKS) -> list[float]:
    """About so many round steps."""
    step = nice_step((high - low) / steps)
    first = math.ceil(low / step - 1e-9)
    return [step * number for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, and the more between them the shorter the range is."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first > 4:
        step = math.ceil((last - first) / 6)
        return [10.0**power for power in range(first, last + 1, step)]
    if high / low >= 10:
        digits: tuple[float, ...] = (1, 2, 5)
    else:
        digits = (1, 1.5, 2, 3, 5, 7) if high / low > 3 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    return [digit * 10.0**power for power in range(first, last + 1) for digit in digits]


def tick_word(value: float) -> str:
    """A tick as people write it: 0, 0.05, 250, 20k, 3e+07."""
    if value == 0:
        return "0"
    if 1e4 <= abs(value) < 1e6:
        return f"{value / 1e3:g}k"
    return f"{value:.4g}"
