"""Error rates, intervals and curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.evaluation.rates import (
    Presentation,
    Rate,
    apcer,
    area_under_roc,
    bpcer,
    det_curve,
    non_response,
    operating_point,
    threshold_for_bpcer,
)

some_scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def people(*scores: float | None) -> list[Presentation]:
    return [Presentation(f"p{number}", "", score) for number, score in enumerate(scores)]


def attacks(species: str, *scores: float | None) -> list[Presentation]:
    return [Presentation(f"{species}{number}", species, score) for number, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [
        (0, 10, (0.0, 0.2775)),  # Wilson's own formula, by hand
        (1, 10, (0.0179, 0.4042)),
        (5, 10, (0.2366, 0.7634)),
        (10, 10, (0.7225, 1.0)),
        (20, 1000, (0.0130, 0.0307)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_interval_is_wilsons(count: int, total: int, expected: tuple[float, float]) -> None:
    """Never empty, never outside 0..1, and everything for nothing."""
    assert Rate(count, total).interval == pytest.approx(expected, abs=1e-4)


@given(st.integers(0, 60), st.integers(1, 60))
def test_interval_holds_its_rate(count: int, more: int) -> None:
    """Whatever the counts."""
    rate = Rate(count, count + more)
    low, high = rate.interval
    assert 0 <= low <= rate.value + 1e-12
    assert rate.value - 1e-12 <= high <= 1
    assert low < high


def test_rates_count_wrong_answers_and_leave_non_responses_out() -> None:
    """At the threshold is genuine."""
    assert bpcer(people(0.5, 0.49, 0.9, None), 0.5) == Rate(1, 3)
    shown = [*attacks("print", 0.5, 0.1, None), *attacks("replay", 0.2)]
    assert apcer(shown, "print", 0.5) == Rate(1, 2)
    assert apcer(shown, "replay", 0.5) == Rate(0, 1)
    assert non_response(shown) == Rate(1, 4)


def test_operating_point_takes_the_worst_species() -> None:
    """A mean over species would hide the one that gets through; unanswered species are none."""
    shown = [*attacks("print", 0.1, 0.2), *attacks("mask", 0.9, 0.1), *attacks("none", None)]
    point = operating_point(people(0.9, 0.2), shown, 0.5)
    assert (point.worst_species, point.apcer, point.bpcer) == ("mask", Rate(1, 2), Rate(1, 2))
    assert point.acer == 0.5
    assert math.isnan(operating_point(people(0.9), attacks("none", None), 0.5).acer)


@given(some_scores, st.sampled_from((0.0, 0.01, 0.05, 0.5)))
def test_threshold_for_bpcer_is_the_highest_that_keeps_it(scores: list[float], most: float) -> None:
    """It refuses no more than asked for, and the next higher score would."""
    shown = people(*scores)
    threshold = threshold_for_bpcer(shown, most)
    assert bpcer(shown, threshold).value <= most
    higher = np.nextafter(threshold, 2)
    assert bpcer(shown, float(higher)).value > most


def test_threshold_for_bpcer_needs_somebody() -> None:
    """Nothing follows from nobody."""
    with pytest.raises(ValueError, match="no bona fide"):
        threshold_for_bpcer(people(None), 0.01)


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        ((0.9, 0.8), (0.1, 0.2), 1.0),
        ((0.5, 0.5), (0.5,), 0.5),
        ((0.1, 0.9), (0.5,), 0.5),
        ((0.1,), (0.9,), 0.0),
    ],
)
def test_area_is_the_part_of_pairs_in_order(
    real: tuple[float, ...], fake: tuple[float, ...], expected: float
) -> None:
    """Ties count half."""
    area = area_under_roc(people(*real), attacks("a", *fake))
    assert area.value == expected
    assert area.low <= area.value <= area.high


@given(some_scores, some_scores)
def test_det_curve_goes_from_all_attacks_to_all_people(real: list[float], fake: list[float]) -> None:
    """APCER falls, BPCER rises, and each point is what its threshold does."""
    passes, misses = det_curve(people(*real), attacks("a", *fake))
    assert (passes[0], misses[0]) == (1, 0)
    assert (passes[-1], misses[-1]) == (0, 1)
    assert (np.diff(passes) <= 0).all()
    assert (np.diff(misses) >= 0).all()
    for number, threshold in enumerate(sorted({*real, *fake})):
        assert passes[number] == pytest.approx(apcer(attacks("a", *fake), "a", threshold).value)
        assert misses[number] == pytest.approx(bpcer(people(*real), threshold).value)
