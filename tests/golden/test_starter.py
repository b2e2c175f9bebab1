"""The weights that are committed: their form, what made them, what a fresh box can do with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livegate.app.build import build_pipeline, build_store, chosen_manifests
from livegate.core.config import Config
from livegate.core.frame import Frame
from livegate.core.telemetry import StageClock
from livegate.engines.specimen import DRAWING
from livegate.manifests.goldens import golden_key
from livegate.manifests.store import ModelStore
from livegate.pipelines.pipeline import Pipeline
from livegate.preprocess.scratch import Scratch
from livegate_training.recipe import read_recipe
from livegate_training.release import MANIFESTS
from support import ROOT, alone, astronaut, shared, shipped_manifest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: no [dev] extra")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")

MOST_BYTES = 8 << 20
MOST_PARAMETERS = {"lg_detect": 150_000, "lg_face": 900_000, "lg_silent": 900_000}
GRAPHS = sorted((ROOT / "models").glob("lg_*/*.onnx"))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """What a fresh box runs: the default configuration, and no folder but the package's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVEGATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("LIVEGATE_MODELS", raising=False)
        return build_pipeline(Config(), build_store(Config()))


def found_by(pipeline: Pipeline, pixels: np.ndarray, *tasks: str) -> Any:
    """The findings of some tasks in a BGR picture."""
    steps = pipeline.plan_tasks(tasks)
    return pipeline.run(Frame(pixels, 0), steps, StageClock(), Scratch())


def test_starter_pack_serves_every_task() -> None:
    """By the default configuration, with files of the package."""
    chosen = chosen_manifests(Config(), ModelStore())
    assert {task: manifest.id for task, manifest in chosen.items()} == {
        "face_detection": "lg_detect",
        "silent_liveness": "lg_silent",
        "landmarks": "lg_face",
        "head_pose": "lg_face_pose",
    }
    assert all(manifest.is_for_pilots for manifest in chosen.values())


def test_starter_graphs_are_small() -> None:
    """All of them together, and the parameters of each network."""
    assert sum(path.stat().st_size for path in GRAPHS) <= MOST_BYTES
    counted = dict.fromkeys(MANIFESTS, 0)
    for path in GRAPHS:
        for tensor in onnx.load(path).graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                counted[path.parent.name] += int(np.prod(tensor.dims))
    assert all(0 < counted[model] <= most for model, most in MOST_PARAMETERS.items()), counted


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.name)
def test_starter_graph_is_what_old_runtimes_read(path: Path) -> None:
    """Opset 17 and IR 10 at most, bytes as input; the runtime of this very environment loads it."""
    graph = onnx.load(path)
    assert graph.ir_version <= 10
    assert [(one.domain, one.version) for one in graph.opset_import] == [("", 17)]
    onnx.checker.check_model(graph, full_check=True)
    session = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert taken.type == "tensor(uint8)"
    shape = [2 if side == "batch" else side if isinstance(side, int) else 64 for side in taken.shape]
    outputs = session.run(None, {taken.name: np.zeros(shape, np.uint8)})
    assert all(np.isfinite(output).all() for output in outputs)


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.name)
def test_starter_graph_names_the_recipe_that_made_it(path: Path) -> None:
    """A recipe that was changed afterwards is another recipe."""
    kept = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    model, _, config = kept["livegate_recipe"].partition(".")
    assert model == path.parent.name
    assert kept["livegate_recipe_sha256"] == read_recipe(model, config).digest


@pytest.mark.parametrize("model", [one for every in MANIFESTS.values() for one in every])
def test_starter_model_brings_its_golden_outputs(model: str) -> None:
    """No box has to ask the reference, and none of an older file lies about."""
    manifest = shipped_manifest(model)
    wanted = {
        f"{golden_key(network, manifest.file(network.file), DRAWING)}.golden"
        for network in manifest.networks
    }
    assert {path.name for path in (ROOT / "models" / model / "golden").iterdir()} == wanted


@pytest.mark.parametrize("model", [one for every in MANIFESTS.values() for one in every])
def test_starter_model_has_a_card(model: str) -> None:
    """What it was made of, what it reaches, where it fails, what nobody measured."""
    text = (ROOT / "models" / model / "card.md").read_text()
    for part in ("## Data", "## Figures", "## Known failures", "## Not measured", "## Licence"):
        assert part in text


def test_starter_pack_judges_a_photograph(pipeline: Pipeline) -> None:
    """One face, where it is, looking about ahead; a person."""
    tasks = ("face_detection", "silent_liveness", "head_pose", "landmarks")
    found = found_by(pipeline, astronaut(), *tasks)
    (face,) = found["face_detection"]
    assert (150 < face.box.x < 200, 40 < face.box.y < 100) == (True, True), face.box
    assert found["silent_liveness"] >= 0.5
    assert abs(found["head_pose"].yaw_deg) < 30
    (nose, chin) = found["landmarks"].nose_tip, found["landmarks"].chin
    assert face.box.y < nose[1] < chin[1] < face.box.y + 1.3 * face.box.height


@pytest.mark.parametrize("name", ["image_T1"])
def test_starter_pack_knows_a_person(pipeline: Pipeline, name: str) -> None:
    """A still of a person in front of a camera."""
    import cv2

    pixels = cv2.imread(str(shared("media", "stills", f"{name}.jpg")))
    assert pixels is not None
    assert found_by(pipeline, pixels, "silent_liveness")["silent_liveness"] >= 0.5


def test_starter_pack_finds_nobody_where_nobody_is(pipeline: Pipeline) -> None:
    """Pictures of things from scikit-image."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed: no [demo] extra")
    for picture in (data.chelsea(), data.coffee(), data.rocket()):
        pixels = np.ascontiguousarray(picture[..., ::-1])
        assert found_by(pipeline, pixels, "face_detection")["face_detection"] == ()


def test_detect_needs_no_folder_and_no_network(tmp_path: Path) -> None:
    """`livegate detect` of a photograph in a network namespace without routes where one can be made."""
    import simplejpeg

    photo = tmp_path / "photo.jpg"
    photo.write_bytes(simplejpeg.encode_jpeg(astronaut(), quality=95, colorspace="BGR"))
    done = subprocess.run(
        [*alone(), sys.executable, "-m", "livegate", "detect", str(photo)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": os.environ["PATH"], "LIVEGATE_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GENUINE" in done.stdout
