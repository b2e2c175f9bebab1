"""algoTask 1031: is the largest face a person, or a picture of one?

Networks look at the face with margins of their own: paper edges and screens show around it, dots and
rasters on it. The rule of MiniFASNet's pair (minivision-ai/Silent-Face-Anti-Spoofing) is to average
the softmax vectors; where one network that is sure of an attack shall decide, the mean is harmonic.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from livegate.core.config import Config
from livegate.core.errors import EngineError, ErrorCode, SetupError
from livegate.core.frame import Frame
from livegate.core.results import NO_FACE_SCORE, Decision, Face, Reason, Verdict, largest_face
from livegate.engines.base import Array, Feeds
from livegate.manifests.schema import (
    EnlargeLevelEyes,
    EnlargeShiftInside,
    Manifest,
    Network,
    SoftmaxHarmonicMean,
    SoftmaxMean,
    SquareInside,
)
from livegate.preprocess.cpu import tensor_from_crop, tensor_from_turned
from livegate.preprocess.ops import plan_crop, plan_square, plan_turned
from livegate.preprocess.scratch import Scratch

FUSE: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "mean": statistics.fmean,
    "median": statistics.median_low,
}


class Plugin:
    """Silent liveness of the largest face. Its finding: a score 0..1, NO_FACE_SCORE without a face."""

    name = "silent_liveness"
    algo_task = 1031
    is_optional = False
    needs = ("face_detection",)
    warm_dims: Mapping[str, int] = MappingProxyType({"batch": 1})

    def __init__(self, manifest: Manifest, config: Config) -> None:
        """Check that the manifest speaks of what this file implements.

        Raises:
            SetupError: MODELINIT_FAIL when it does not.
        """
        crops = [network.crop for network in manifest.networks]
        if not isinstance(manifest.decode, SoftmaxMean | SoftmaxHarmonicMean) or not all(
            isinstance(crop, EnlargeShiftInside | EnlargeLevelEyes | SquareInside) for crop in crops
        ):
            raise SetupError(
                ErrorCode.MODELINIT_FAIL,
                f"model {manifest.id}: silent liveness knows the rules softmax_mean, "
                "softmax_harmonic_mean, enlarge_shift_inside, enlarge_level_eyes and square_inside only",
            )
        _check_classes(manifest, manifest.decode)
        self._networks = manifest.networks
        self._decode = manifest.decode
        own = config.silent_liveness.threshold
        self._threshold = manifest.threshold("genuine") if own is None else own
        self._fuse = FUSE[config.silent_liveness.fusion]

    def prepare(
        self, frame: Frame, found: Mapping[str, Any], scratch: Scratch
    ) -> tuple[tuple[str, Feeds], ...]:
        """The largest face, cut out for each network; nothing when there is no face."""
        face = largest_face(found["face_detection"])
        if face is None:
            return ()
        return tuple(
            (network.name, self._feed(network, frame, face, scratch)) for network in self._networks
        )

    def _feed(self, network: Network, frame: Frame, face: Face, scratch: Scratch) -> Feeds:
        crop, spec, name = network.crop, network.input, network.name
        if isinstance(crop, EnlargeShiftInside):
            plan = plan_crop(frame.width, frame.height, face.box, crop)
            return {spec.name: tensor_from_crop(frame, plan, spec, scratch, name)}
        if isinstance(crop, SquareInside):
            view = plan_square(frame.width, frame.height, face.box, crop)
        else:
            assert isinstance(crop, EnlargeLevelEyes)
            view = plan_turned(face, crop)
        return {spec.name: tensor_from_turned(frame, view, spec, crop.pad, scratch, name)}

    def interpret(
        self, frame: Frame, found: Mapping[str, Any], outputs: Sequence[Mapping[str, Array]]
    ) -> float:
        """The probability of the genuine class, as the manifest's rule joins the networks.

        Raises:
            EngineError: the networks answered numbers that are not finite.
        """
        if not outputs:
            return NO_FACE_SCORE
        logits = [output[self._decode.output].reshape(-1) for output in outputs]
        if not np.isfinite(logits).all():
            raise EngineError(f"{self.name}: the networks answered numbers that are not finite")
        told = [float(softmax(one)[self._decode.genuine_class]) for one in logits]
        is_harmonic = isinstance(self._decode, SoftmaxHarmonicMean)
        return statistics.harmonic_mean(told) if is_harmonic else statistics.fmean(told)

    def fuse(self, findings: Sequence[float]) -> Verdict:
        """One score for all pictures; those without a face do not count unless none has one."""
        scores = [score for score in findings if score != NO_FACE_SCORE]
        reasons = []
        if not scores:
            score, decision = NO_FACE_SCORE, Decision.NO_FACE
            reasons.append(Reason.NO_FACE)
        else:
            score = float(self._fuse(scores))
            decision = Decision.GENUINE if score >= self._threshold else Decision.SPOOF
            if decision is Decision.SPOOF:
                reasons.append(Reason.SCORE_BELOW_THRESHOLD)
            if len(scores) < len(findings):
                reasons.append(Reason.FACE_MISSING_IN_SOME_IMAGES)
        return Verdict(
            algo_task=self.algo_task,
            task=self.name,
            decision=decision,
            score=score,
            reasons=tuple(reasons),
            image_scores=tuple(findings),
            threshold=self._threshold,
        )


def _check_classes(manifest: Manifest, rule: SoftmaxMean | SoftmaxHarmonicMean) -> None:
    """Every network answers the same classes, and the genuine one is among them."""
    for network in manifest.networks:
        network.require_outputs((rule.output,))
    shapes = {o.shape for n in manifest.networks for o in n.outputs if o.name == rule.output}
    classes = next(iter(shapes))[-1]
    if len(shapes) > 1 or not isinstance(classes, int) or not 0 <= rule.genuine_class < classes:
        raise SetupError(
            ErrorCode.MODELINIT_FAIL,
            f"model {manifest.id}: class {rule.genuine_class} is not one of the classes of "
            f"{rule.output!r}, whose shapes are {sorted(map(str, shapes))}",
        )


def softmax(logits: Array) -> Array:
    """(C,) logits to probabilities that add up to one."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()  # type: ignore[no-any-return]
