"""Training that goes on from finished graphs, and the folder of photographs. Needs torch."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from livegate_training.__main__ import main
from livegate_training.folders import Folders, MissingMaterial
from livegate_training.recipe import Recipe, read_recipe

torch = pytest.importorskip("torch", reason="torch is not installed: no [train] extra")
pytest.importorskip("onnx", reason="onnx is not installed")

from livegate_training.export import write_onnx  # noqa: E402
from livegate_training.silent import SilentCourse, begun, scores_of  # noqa: E402
from livegate_training.train import train  # noqa: E402
from livegate_training.training import Training  # noqa: E402


def views(count: int = 24) -> dict[str, np.ndarray]:
    """Random pictures of every view."""
    rng = np.random.default_rng(5)
    sides = {"face": 112, "context": 128, "detail": 160}
    made = {name: rng.integers(0, 255, (count, side, side, 3), np.uint8) for name, side in sides.items()}
    return {**made, "kind": np.arange(count) % 3}


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    """The smallest silent recipe."""
    return read_recipe("lg_silent", "tiny")


@pytest.fixture(scope="module")
def finished(tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Graphs of a network that has learnt a little, and its scores of `views`."""
    home, samples = tmp_path_factory.mktemp("finished"), views()
    plan = msgspec.structs.replace(tiny.training, steps=12, batch=8, warm_up=2)
    recipe = msgspec.structs.replace(tiny, training=plan)
    course = SilentCourse(recipe)
    network = Training(recipe, course, samples, home / "run.pt", "cpu").run(lambda _: None)
    scores = scores_of(network, samples)
    for export in course.exported(network):
        write_onnx(export, recipe, home / f"{export.name}.onnx")
    return home, scores


def test_begun_network_scores_as_the_finished_one(
    tiny: Recipe, finished: tuple[Path, np.ndarray]
) -> None:
    """In evaluation the same scores, in training normalisations that are measured anew."""
    home, scores = finished
    assert np.ptp(scores) > 0.01
    network = begun(tiny, home, views()).eval()
    assert scores_of(network, views()) == pytest.approx(scores, abs=1e-4)


def test_training_begins_with_them(
    tiny: Recipe, finished: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    """Weights and their running mean alike."""
    home, scores = finished
    training = Training(tiny, SilentCourse(tiny), views(), tmp_path / "run.pt", "cpu")
    training.begin_with(begun(tiny, home, views()))
    for network in (training.state.network, training.state.mean):
        assert scores_of(network.eval(), views()) == pytest.approx(scores, abs=1e-4)


def test_graphs_of_another_width_are_refused(tiny: Recipe, finished: tuple[Path, np.ndarray]) -> None:
    """By name, before a weight is taken."""
    wider = msgspec.structs.replace(tiny, width=2 * tiny.width)
    with pytest.raises(ValueError, match=r"lg_silent_face\.onnx is of another shape"):
        begun(wider, finished[0], views())


def test_missing_networks_are_named_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samples take half an hour; status 2 and the command that makes what is missing."""
    (tmp_path / "lg_silent" / "full").mkdir(parents=True)
    assert main(["train", "lg_silent", "--config", "longer", "--work", str(tmp_path)]) == 2
    assert "run make train MODEL=lg_silent CONFIG=full" in capsys.readouterr().err
    assert not list((tmp_path / "lg_silent").glob("train-*"))


def test_recipe_that_goes_on_has_a_digest_of_its_own() -> None:
    """And one that does not keeps the digest that shipped weights carry."""
    longer = read_recipe("lg_silent", "longer")
    assert longer.begins_with == "full"
    assert msgspec.structs.replace(longer, begins_with="").digest != longer.digest
    assert read_recipe("lg_silent", "full").digest.startswith("ac6788c92150ad07")


def test_recipe_with_edgeless_samples_has_a_digest_of_its_own() -> None:
    """The samples that both have are made once."""
    edgeless, further = (read_recipe("lg_silent", name) for name in ("edgeless", "further"))
    data = msgspec.structs.replace(edgeless.data, edgeless=0)
    assert msgspec.structs.replace(edgeless, data=data).digest != edgeless.digest
    assert edgeless.data_digest == further.data_digest
    assert further.digest.startswith("7098665d61339e0c")


def test_edgeless_samples_of_another_model_are_refused(tmp_path: Path) -> None:
    """Before anything is made: no model but lg_silent has a maker of them."""
    recipe = read_recipe("lg_face", "tiny")
    recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, edgeless=1))
    with pytest.raises(MissingMaterial, match=r"leave data\.edgeless out"):
        train(recipe, Folders(tmp_path, tmp_path, tmp_path), print)


def test_photographs_are_named_by_their_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JPEG as it is, PNG as JPEG; links, texts and what is no picture stay behind."""
    home = tmp_path / "share" / "wallpapers" / "One"
    home.mkdir(parents=True)
    cv2.imwrite(str(home / "a.jpg"), np.full((8, 8, 3), 90, np.uint8))
    cv2.imwrite(str(home / "B.PNG"), np.full((8, 8, 3), 30, np.uint8))
    (home / "broken.png").write_bytes(b"no picture")
    (home / "readme.txt").write_text("text")
    (home / "again.jpg").symlink_to(home / "a.jpg")
    assert main(["photographs", str(tmp_path / "share"), str(tmp_path / "made")]) == 0
    found = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert found == ["wallpapers-one-a.jpg", "wallpapers-one-b.jpg"]
    assert (tmp_path / "made" / found[0]).read_bytes() == (home / "a.jpg").read_bytes()
    assert capsys.readouterr().out.startswith("2 pictures in ")
