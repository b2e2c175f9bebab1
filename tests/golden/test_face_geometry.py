"""Landmarks and head pose against the truth of rendered heads, and a box without their weights.

Needs the project's shared folder (weights, clips); skips with a reason where it is absent.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from livegate.app.build import build_pipeline
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.core.frame import Frame
from livegate.core.results import FacePoints, HeadPose
from livegate.core.telemetry import StageClock
from livegate.engines.pool import EnginePool
from livegate.manifests.store import ModelStore
from livegate.pipelines.pipeline import Pipeline
from livegate.preprocess.scratch import Scratch
from support import REFERENCE, ROOT, config_with, shared

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")

HEADS = ("ict_a", "ict_b", "lps")
TASKS = ("landmarks", "head_pose")


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """Every task with the reference weights."""
    return build_pipeline(config_with(**REFERENCE), ModelStore([shared("models", "reference")]))


@pytest.fixture(scope="module")
def read(pipeline: Pipeline) -> Any:
    """Findings of each frame of a rendered clip, in a worker, with the clip's truth."""
    pool = EnginePool(1, 4)
    known: dict[str, Any] = {}

    def findings(name: str) -> Any:
        if name not in known:
            known[name] = pool.submit(lambda: _read(pipeline, name)).result()
        return known[name]

    yield findings
    pool.close()


def _read(pipeline: Pipeline, name: str) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    steps, scratch = pipeline.plan_tasks(TASKS), Scratch()
    with av.open(str(shared("media", "rendered", f"{name}.mp4"))) as clip:
        frames = [Frame(frame.to_ndarray(format="bgr24"), 0) for frame in clip.decode(video=0)]
    found = [pipeline.run(frame, steps, StageClock(), scratch) for frame in frames]
    return found, json.loads(shared("media", "rendered", f"{name}.json").read_text())


Read = Callable[[str], tuple[list[dict[str, Any]], dict[str, list[float]]]]


def poses(found: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Yaw and pitch of each frame."""
    every: list[HeadPose] = [one["head_pose"] for one in found]
    return np.array([pose.yaw_deg for pose in every]), np.array([pose.pitch_deg for pose in every])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("head", HEADS)
def test_yaw_follows_the_rendered_turn(read: Read, head: str, side: str) -> None:
    """Correlation above 0.98, mean error below 5 degrees, the sign of the convention."""
    found, truth = read(f"{head}_turn_image_{side}")
    yaw, _ = poses(found)
    told = np.array(truth["yaw"])
    assert np.corrcoef(yaw, told)[0, 1] > 0.98
    assert np.abs(yaw - told).mean() < 5
    assert (yaw.max() > 25) == (side == "right")
    assert (yaw.min() < -25) == (side == "left")


@pytest.mark.parametrize("head", HEADS)
def test_pitch_follows_the_rendered_nod(read: Read, head: str) -> None:
    """Correlation above 0.97, mean error below 4 degrees, down is positive."""
    found, truth = read(f"{head}_nod")
    _, pitch = poses(found)
    told = np.array(truth["pitch"])
    assert np.corrcoef(pitch, told)[0, 1] > 0.97
    assert np.abs(pitch - told).mean() < 4


@pytest.mark.parametrize("head", ["ict_a", "ict_b"])
def test_lips_follow_the_rendered_jaw(read: Read, head: str) -> None:
    """The inner lips' gap goes with the jaw: correlation above 0.9."""
    found, truth = read(f"{head}_mouth")
    gap = []
    for one in found:
        points: FacePoints = one["landmarks"]
        gap.append(points.inner_lips[6][1] - points.inner_lips[2][1])
    assert np.corrcoef(gap, truth["mouth"])[0, 1] > 0.9


def test_points_are_where_the_detector_has_them(read: Read) -> None:
    """Left is left: nose, eyes and mouth within a tenth of the face of the detector's own points."""
    found, _ = read("ict_a_still")
    for one in found[:5]:
        (face,), points = one["face_detection"], one["landmarks"]
        side = max(face.box.width, face.box.height)
        eyes = (np.mean(points.image_left_eye, axis=0), np.mean(points.image_right_eye, axis=0))
        ours = (*eyes, points.nose_tip, *points.mouth_corners)
        far = [np.hypot(*(np.subtract(a, b))) / side for a, b in zip(ours, face.landmarks, strict=True)]
        assert max(far) < 0.1


def test_worker_and_plain_thread_agree(pipeline: Pipeline, read: Read) -> None:
    """Denormals counted as zero (in a worker) or not (here) change no point by a tenth of a pixel."""
    found, _ = read("ict_b_still")
    with av.open(str(shared("media", "rendered", "ict_b_still.mp4"))) as clip:
        first = Frame(next(clip.decode(video=0)).to_ndarray(format="bgr24"), 0)
    here = pipeline.run(first, pipeline.plan_tasks(TASKS), StageClock(), Scratch())
    for ring in ("image_left_eye", "inner_lips"):
        theirs = getattr(found[0]["landmarks"], ring)
        np.testing.assert_allclose(getattr(here["landmarks"], ring), theirs, atol=0.1)


# --- a box without these weights ------------------------------------------------------------------


def only(tmp_path: Path, *folders: str) -> ModelStore:
    """A store that has these folders of the reference weights and nothing else."""
    for folder in folders:
        shutil.copytree(shared("models", "reference", folder), tmp_path / folder)
    return ModelStore([tmp_path], package=ROOT / "models")


def test_box_without_the_weights_serves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1031 and 9001 as ever; what needs the missing files is refused with their names."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    pipeline = build_pipeline(config_with(**REFERENCE), only(tmp_path, "det", "fas", "pose"))
    assert pipeline.algo_tasks == (1031, 9001)
    assert [step.task.name for step in pipeline.plan([1031])] == ["face_detection", "silent_liveness"]
    with pytest.raises(RequestError, match="PFLD_GhostOne") as caught:
        pipeline.plan_tasks(TASKS)
    assert caught.value.code is ErrorCode.PARAM_FAILURE


def test_box_with_the_weights_runs_no_more_for_the_others(pipeline: Pipeline) -> None:
    """A silent liveness request runs the two tasks that it ran before."""
    assert pipeline.algo_tasks == (1031, 9001)
    assert [step.task.name for step in pipeline.plan([1031])] == ["face_detection", "silent_liveness"]


def test_configured_model_without_its_weights_is_1029(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names a model wants it: its missing file ends the start."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    config = config_with(models={"use": {"landmarks": "pfld_ghostone"}})
    with pytest.raises(SetupError) as caught:
        build_pipeline(config, only(tmp_path, "det", "fas"))
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_wrong_weights_are_1029(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there and is not the one is no missing file."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    store = only(tmp_path, "det", "fas", "pose")
    (tmp_path / "PFLD_GhostOne_112_1_opt_sim.onnx").write_bytes(b"something else")
    with pytest.raises(SetupError) as caught:
        build_pipeline(config_with(**REFERENCE), store)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
