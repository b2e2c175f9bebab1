"""One evaluation: what was shown, on which models, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from livegate.core.results import EngineInfo
from livegate.evaluation.rates import (
    Area,
    OperatingPoint,
    Presentation,
    Rate,
    apcer,
    area_under_roc,
    non_response,
    operating_point,
    species_of,
    threshold_for_bpcer,
)

TARGETS = (0.01, 0.05)
"""Parts of living people who may be refused, for which a threshold is told."""
WORST = 20
OPENED = 0.5
"""Between a clip that opened the gate (1) and one that did not (0)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Pictures and clips with their scores. `threshold` is the configured one."""

    people: tuple[Presentation, ...]
    attacks: tuple[Presentation, ...]
    clips_of_people: tuple[Presentation, ...]
    clips_of_attacks: tuple[Presentation, ...]
    threshold: float
    engines: tuple[EngineInfo, ...]

    @property
    def configured(self) -> OperatingPoint:
        """The errors at the configured threshold."""
        return operating_point(self.people, self.attacks, self.threshold)

    @property
    def alternatives(self) -> tuple[tuple[float, OperatingPoint], ...]:
        """For each target BPCER: the errors at the threshold that keeps it here.

        None where no person has a score.
        """
        if not any(one.score is not None for one in self.people):
            return ()
        return tuple(
            (most, operating_point(self.people, self.attacks, threshold_for_bpcer(self.people, most)))
            for most in TARGETS
        )

    @property
    def species(self) -> dict[str, Rate]:
        """APCER of each species at the configured threshold."""
        return {name: apcer(self.attacks, name, self.threshold) for name in species_of(self.attacks)}

    @property
    def area(self) -> Area:
        """Under the ROC curve."""
        return area_under_roc(self.people, self.attacks)

    @property
    def clips(self) -> OperatingPoint | None:
        """The gate's errors on clips: opened for an attack, not opened for a person."""
        if not self.clips_of_people and not self.clips_of_attacks:
            return None
        return operating_point(self.clips_of_people, self.clips_of_attacks, OPENED)

    @property
    def worst(self) -> tuple[tuple[Presentation, ...], tuple[Presentation, ...]]:
        """The people with the lowest scores and the attacks with the highest."""
        people = sorted(_answered(self.people), key=lambda one: one.score or 0.0)
        attacks = sorted(_answered(self.attacks), key=lambda one: -(one.score or 0.0))
        return tuple(people[:WORST]), tuple(attacks[:WORST])

    @property
    def silent_ones(self) -> tuple[Presentation, ...]:
        """Those without a response."""
        every = (*self.people, *self.attacks, *self.clips_of_people, *self.clips_of_attacks)
        return tuple(one for one in every if one.score is None)


def as_json(own: Evaluation) -> dict[str, Any]:
    """Everything, for machines; numbers that are not known are null."""
    area, clips, (people, attacks) = own.area, own.clips, own.worst
    return {
        "standard": "ISO/IEC 30107-3 terms",
        "engines": own.engines,
        "configured": _point(own.configured),
        "alternatives": [{"target_bpcer": most, **_point(point)} for most, point in own.alternatives],
        "apcer_by_species": {name: _rate(rate) for name, rate in own.species.items()},
        "bpnrr": _rate(non_response(own.people)),
        "apnrr": _rate(non_response(own.attacks)),
        "auc": {"value": _number(area.value), "interval_95": [area.low, area.high]},
        "clips": _point(clips) if clips else None,
        "worst": {"people": people, "attacks": attacks},
        "non_responses": own.silent_ones,
        "scores": {"people": own.people, "attacks": own.attacks},
    }


def _answered(shown: tuple[Presentation, ...]) -> list[Presentation]:
    return [one for one in shown if one.score is not None]


def _point(point: OperatingPoint) -> dict[str, Any]:
    return {
        "threshold": point.threshold,
        "apcer": _rate(point.apcer),
        "worst_species": point.worst_species,
        "bpcer": _rate(point.bpcer),
        "acer": _number(point.acer),
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "value": _number(rate.value),
        "count": rate.count,
        "total": rate.total,
        "interval_95": list(rate.interval),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
