"""The whole recipe of each of our own networks in seconds: samples, training, export, the runtime.

Needs torch and the project's shared folder (portraits, the head mesh, the reference models).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from livegate_training.recipe import read_recipe
from livegate_training.release import MANIFESTS
from support import ROOT, SHARED, shared

pytest.importorskip("torch", reason="torch is not installed: no [train] extra")
pytest.importorskip("onnx", reason="onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all three: the packed portraits are made once."""
    return tmp_path_factory.mktemp("training")


def recipe(*words: str | Path, status: int = 0) -> str:
    """The command, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "livegate_training", *(str(word) for word in words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("model", MANIFESTS)
def test_train_tiny_ends_in_a_model_that_loads(model: str, work: Path) -> None:
    """From portraits to a manifest and a graph; asked again it only goes on; the digest is inside."""
    folders = ("--data", shared("training"), "--reference", shared("models", "reference"))
    words = ("train", model, "--config", "tiny", "--work", work, *folders)
    told = recipe(*words)
    assert "validation:" in told
    graphs = sorted((work / model / "tiny").glob("*.onnx"))
    before = [graph.read_bytes() for graph in graphs]
    again = recipe(*words)
    assert "step" not in again
    assert [graph.read_bytes() for graph in graphs] == before
    for graph in graphs:
        session = ort.InferenceSession(str(graph))
        digest = session.get_modelmeta().custom_metadata_map["livegate_recipe_sha256"]
        assert digest == read_recipe(model, "tiny").digest
        (entry,) = session.get_inputs()
        shape = [n if isinstance(n, int) else {"batch": 1}.get(n, 64) for n in entry.shape]
        outputs = session.run(None, {"pixels": np.zeros(shape, np.uint8)})
        assert all(np.isfinite(output).all() for output in outputs)
    target = work / "models"
    recipe("release", model, "--config", "tiny", "--work", work, *folders, "--target", target)
    assert all((target / name / "manifest.toml").is_file() for name in MANIFESTS[model])


def test_train_goes_on_from_finished_graphs(work: Path) -> None:
    """On the samples that are there and others; weights that were not learnt further are no result."""
    folders = ("--data", shared("training"), "--reference", shared("models", "reference"))
    for config in ("tiny", "tiny_onward"):
        told = recipe("train", "lg_silent", "--config", config, "--work", work, *folders)
    assert "step 2 of 2" in told
    home = work / "lg_silent"
    samples = {
        folder.name.partition("-")[2]: len(list(folder.iterdir())) for folder in home.glob("train-*")
    }
    digest = read_recipe("lg_silent", "tiny").data_digest
    assert samples == {digest: 1, f"{digest}-edgeless": 1}
    for graph in (home / "tiny").glob("*.onnx"):
        assert (home / "tiny_onward" / graph.name).read_bytes() != graph.read_bytes()


def test_train_without_material_says_what_is_missing(tmp_path: Path) -> None:
    """Status 2 and the folder's name, before anything is made."""
    told = recipe(
        *("train", "lg_face", "--config", "tiny", "--work", tmp_path / "work"),
        *("--data", tmp_path / "nothing", "--reference", SHARED / "models" / "reference"),
        status=2,
    )
    assert "nothing/portraits is not there" in told
    assert "DATA=DIR" in told
