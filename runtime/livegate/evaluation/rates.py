"""Error rates of presentation attack detection, by the terms of ISO/IEC 30107-3.

A bona fide presentation is a living person, an attack presentation is anything held up in place of one;
attacks of one kind are a species. A presentation without a score (no face was found, the file cannot be
read) is a non-response: it is counted by itself and in no error rate.

APCER  of a species: the part of its attacks that were taken for bona fide. Reported: the worst species'.
BPCER  the part of the bona fide presentations that were taken for attacks.
ACER   the mean of the two.

Intervals are Wilson's (E. B. Wilson, "Probable inference", 1927) at 95 %, the AUC's is by bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054
RESAMPLES, SEED = 1000, 7
ALL = "all attacks"


@dataclass(frozen=True, slots=True)
class Presentation:
    """One labelled picture or clip. `species` is empty for a living person; `score` 0..1 or None."""

    name: str
    species: str
    score: float | None
    why: str = ""
    """Of a non-response."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many, with the interval that holds the true part in 19 of 20 such samples."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """0..1; NaN of nothing."""
        return self.count / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %; everything, of nothing."""
        if not self.total:
            return 0.0, 1.0
        spread = Z95 * Z95 / self.total
        middle = (self.value + spread / 2) / (1 + spread)
        root = self.value * (1 - self.value) / self.total + spread / self.total / 4
        half = Z95 * math.sqrt(root) / (1 + spread)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a threshold does: genuine at or above it. `apcer` is that of `worst_species`."""

    threshold: float
    apcer: Rate
    worst_species: str
    bpcer: Rate

    @property
    def acer(self) -> float:
        """The mean of APCER and BPCER; NaN when one is not known."""
        return (self.apcer.value + self.bpcer.value) / 2


@dataclass(frozen=True, slots=True)
class Area:
    """Area under the ROC curve, 0.5 = a coin, 1 = no error at some threshold; 95 % interval."""

    value: float
    low: float
    high: float


def scores_of(shown: Sequence[Presentation]) -> np.ndarray:
    """The scores there are: (N,) float64."""
    return np.array([one.score for one in shown if one.score is not None], float)


def species_of(attacks: Sequence[Presentation]) -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(sorted({one.species for one in attacks}))


def apcer(attacks: Sequence[Presentation], species: str, threshold: float) -> Rate:
    """Of one species."""
    scores = scores_of([one for one in attacks if one.species == species])
    return Rate(int((scores >= threshold).sum()), len(scores))


def bpcer(people: Sequence[Presentation], threshold: float) -> Rate:
    """Of the bona fide presentations."""
    scores = scores_of(people)
    return Rate(int((scores < threshold).sum()), len(scores))


def non_response(shown: Sequence[Presentation]) -> Rate:
    """APNRR of attacks, BPNRR of people."""
    return Rate(sum(one.score is None for one in shown), len(shown))


def operating_point(
    people: Sequence[Presentation], attacks: Sequence[Presentation], threshold: float
) -> OperatingPoint:
    """The errors at a threshold."""
    rates = {species: apcer(attacks, species, threshold) for species in species_of(attacks)}
    known = {species: rate for species, rate in rates.items() if rate.total}
    worst = max(known, key=lambda species: (known[species].value, species), default="")
    return OperatingPoint(threshold, known.get(worst, Rate(0, 0)), worst, bpcer(people, threshold))


def threshold_for_bpcer(people: Sequence[Presentation], most: float) -> float:
    """The highest threshold at which at most this part of the people is refused.

    Raises:
        ValueError: nobody has a score.
    """
    scores = np.sort(scores_of(people))
    if not len(scores):
        raise ValueError("no bona fide presentation has a score")
    return float(scores[math.floor(most * len(scores) + 1e-9)])


def area_under_roc(people: Sequence[Presentation], attacks: Sequence[Presentation]) -> Area:
    """Of all attacks together."""
    real, fake = scores_of(people), scores_of(attacks)
    if not len(real) or not len(fake):
        return Area(math.nan, 0.0, 1.0)
    rng = np.random.default_rng(SEED)
    again = [_area(rng.choice(real, len(real)), rng.choice(fake, len(fake))) for _ in range(RESAMPLES)]
    low, high = np.quantile(again, (0.025, 0.975))
    return Area(_area(real, fake), float(low), float(high))


def det_curve(
    people: Sequence[Presentation], attacks: Sequence[Presentation]
) -> tuple[np.ndarray, np.ndarray]:
    """(APCER, BPCER) of all attacks together at every threshold that tells two scores apart."""
    real, fake = np.sort(scores_of(people)), np.sort(scores_of(attacks))
    every = np.unique(np.concatenate([real, fake, [np.inf]]))
    misses = np.searchsorted(real, every, side="left") / max(1, len(real))
    passes = 1 - np.searchsorted(fake, every, side="left") / max(1, len(fake))
    return passes, misses


def _area(real: np.ndarray, fake: np.ndarray) -> float:
    """The part of all pairs in which the person has the higher score; ties count half."""
    fake = np.sort(fake)
    below, upto = (np.searchsorted(fake, real, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(fake))
