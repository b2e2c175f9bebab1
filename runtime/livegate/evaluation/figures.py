"""The DET curve and the histograms of an evaluation, as PNG; needs matplotlib (livegate[plot])."""

from __future__ import annotations

import io
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from livegate.evaluation.evaluation import Evaluation
from livegate.evaluation.rates import det_curve, scores_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TICKS = (0.001, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8)
LEAST = 5e-4
"""Rates of 0 and 1 have no place on a normal deviate scale; they are drawn at its ends."""
PEOPLE, ATTACKS = "tab:green", "tab:red"


def det_png(own: Evaluation) -> bytes:
    """APCER against BPCER on normal deviate scales, the configured threshold as a dot."""
    figure, axes = _figure()
    passes, misses = det_curve(own.people, own.attacks)
    axes.step([_deviate(x) for x in passes], [_deviate(y) for y in misses], where="post", color="black")
    point = own.configured
    if point.apcer.total and point.bpcer.total:
        axes.plot(_deviate(_pooled(own)), _deviate(point.bpcer.value), "o", color="tab:blue")
    places = [_deviate(tick) for tick in TICKS]
    names = [f"{tick:.1%}" for tick in TICKS]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.set_xlabel("APCER, all attacks together")
    axes.set_ylabel("BPCER")
    axes.set_title(f"DET; dot: threshold {own.threshold:.3f}")
    axes.grid(alpha=0.3)
    return _png(figure)


def histogram_png(own: Evaluation) -> bytes:
    """How the scores lie, people and attacks."""
    figure, axes = _figure()
    edges = [number / 40 for number in range(41)]
    for shown, colour, name in ((own.people, PEOPLE, "bona fide"), (own.attacks, ATTACKS, "attacks")):
        scores = scores_of(shown)
        parts = np.full(len(scores), 1 / max(1, len(scores)))
        axes.hist(scores, edges, weights=parts, color=colour, alpha=0.5, label=f"{name} ({len(scores)})")
    axes.axvline(own.threshold, color="tab:blue", linestyle="--", label="threshold")
    axes.set_xlabel("score, higher = more genuine")
    axes.set_ylabel("part of them")
    axes.set_title("Scores")
    axes.legend()
    return _png(figure)


def _pooled(own: Evaluation) -> float:
    scores = scores_of(own.attacks)
    return float((scores >= own.threshold).mean())


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()


def _deviate(rate: float) -> float:
    return NormalDist().inv_cdf(min(max(float(rate), LEAST), 1 - LEAST))
