"""The backend without arithmetic must never let anybody in."""

from __future__ import annotations

import numpy as np
import pytest

from livegate.backends.null import Plugin
from livegate.core.config import Config
from livegate.core.errors import EngineError
from livegate.core.results import Decision
from livegate.engines.base import EngineOptions
from livegate.preprocess.scratch import Scratch
from livegate.tasks.face_detection import Plugin as FaceDetection
from livegate.tasks.silent_liveness import Plugin as SilentLiveness
from support import frame, null_model, shipped_manifest, tiny_manifest


def test_null_loads_without_any_bytes() -> None:
    """No weights are needed: an empty file loads."""
    engine = Plugin().load(tiny_manifest(b"x").networks[0], b"", EngineOptions("null"))
    assert engine.run({"x": np.zeros((1, 3, 2, 2), np.float32)})["doubled"].shape == (1, 3, 2, 2)


def test_null_refuses_another_type_than_the_manifests() -> None:
    """Bytes for a network of floats are the caller's mistake here too."""
    engine = Plugin().load(tiny_manifest(b"x").networks[0], b"", EngineOptions("null"))
    with pytest.raises(EngineError, match="uint8"):
        engine.run({"x": np.zeros((1, 3, 2, 2), np.uint8)})


@pytest.mark.parametrize("fusion", ["min", "mean", "median"])
def test_null_answers_are_a_spoof_for_our_liveness_model(fusion: str) -> None:
    """A face on the null backend is a spoof, far below the threshold, in every fusion."""
    manifest = shipped_manifest("minifasnet_pair")
    task = SilentLiveness(manifest, Config())
    engines = null_model(manifest, task.warm_dims).engines
    picture, scratch = frame(320, 240), Scratch()
    face = found_on_null(picture)[0]
    calls = task.prepare(picture, {"face_detection": (face,)}, scratch)
    score = task.interpret(picture, {}, [engines[name].run(feeds) for name, feeds in calls])
    verdict = task.fuse([score, score])
    assert verdict.decision is Decision.SPOOF
    assert 0 <= verdict.score < 0.25


def found_on_null(picture: object) -> tuple[object, ...]:
    """The faces that the null backend makes the detector see."""
    manifest = shipped_manifest("yunet_n")
    task = FaceDetection(manifest, Config())
    engines = null_model(manifest, task.warm_dims).engines
    calls = task.prepare(picture, {}, Scratch())
    return task.interpret(picture, {}, [engines[name].run(feeds) for name, feeds in calls])


def test_null_answers_show_a_face_to_our_detector() -> None:
    """The detector finds something, so that the whole pipeline runs without weights."""
    assert found_on_null(frame(320, 240))
