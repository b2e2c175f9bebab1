"""`make evaluate-models`: our networks beside the reference models, on the same pictures in one run.

Everything runs through the runtime's own pipeline, with the manifests that would be shipped.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from livegate.app.build import build_pipeline
from livegate.core.frame import Frame
from livegate.core.results import Face
from livegate.core.telemetry import StageClock
from livegate.manifests.store import ModelStore
from livegate.pipelines.pipeline import Pipeline
from livegate.preprocess.scratch import Scratch
from livegate_training.folders import Folders
from livegate_training.release import MANIFESTS, write_models
from livegate_training.teachers import reference_config

Array = NDArray[Any]
Say = Callable[[str], None]
MODELS = Path(__file__).resolve().parents[2]
"""models/ of this checkout: the reference manifests."""
TASKS = {
    "lg_face": "landmarks",
    "lg_face_pose": "head_pose",
    "lg_silent": "silent_liveness",
    "lg_detect": "face_detection",
}


class Judged:
    """A pipeline that is asked picture by picture."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Ask this one."""
        self._pipeline = pipeline
        self._scratch = Scratch()

    def findings(self, pixels: Array, tasks: Sequence[str]) -> Mapping[str, Any]:
        """What the tasks find in a BGR picture."""
        steps = self._pipeline.plan_tasks(tuple(tasks))
        return self._pipeline.run(Frame(pixels, 0), steps, StageClock(), self._scratch)

    def of_face(self, pixels: Array, face: Face, task: str) -> Any:
        """What one task finds at one face."""
        steps = [step for step in self._pipeline.plan_tasks((task,)) if step.task.name == task]
        known = {"face_detection": (face,)}
        return self._pipeline.run(Frame(pixels, 0), steps, StageClock(), self._scratch, known)[task]


@dataclass(frozen=True, slots=True)
class Pair:
    """Ours and the reference, for one judgement."""

    ours: Judged
    reference: Judged


def opened(model: str, graphs: Sequence[Path], folders: Folders, scratch: Path) -> Pair:
    """Both pipelines; they differ in that model alone."""
    package = scratch / "models"
    for manifest in MODELS.glob("*/manifest.toml"):
        home = package / manifest.parent.name
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(manifest, home / "manifest.toml")
    write_models(model, graphs, package)
    store = ModelStore([folders.teachers], package=package)
    use = {TASKS[model_id]: model_id for model_id in MANIFESTS[model]}
    config = reference_config()
    own = msgspec.structs.replace(config, models=msgspec.structs.replace(config.models, use=use))
    plain = ModelStore([folders.teachers], package=MODELS)
    return Pair(Judged(build_pipeline(own, store)), Judged(build_pipeline(config, plain)))


def judge(model: str, graphs: Sequence[Path], folders: Folders, media: Path, say: Say) -> None:
    """Print the issue's table for one model."""
    from livegate_training.judgements import JUDGEMENTS

    with tempfile.TemporaryDirectory() as scratch:
        pair = opened(model, graphs, folders, Path(scratch))
        for name, ours, reference in JUDGEMENTS[model](pair, folders, media):
            say(f"{name:<58} {ours:>22} {reference:>22}")
