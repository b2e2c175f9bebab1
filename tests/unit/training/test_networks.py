"""Networks, losses, the loop and the export, on numbers made by hand. Needs torch (extra `train`)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from livegate_training.recipe import Recipe, read_recipe

torch = pytest.importorskip("torch", reason="torch is not installed: no [train] extra")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
pytest.importorskip("onnx", reason="onnx is not installed")

from livegate.manifests.schema import YunetGrid, read_manifest  # noqa: E402
from livegate.tasks.face_detection import decode_grid  # noqa: E402
from livegate_training.detect import (  # noqa: E402
    DetectCourse,
    cells_of,
    decoded,
    overlaps,
    owners,
)
from livegate_training.export import IR_VERSION, OPSET, write_onnx  # noqa: E402
from livegate_training.face import FaceCourse, openness, varied  # noqa: E402
from livegate_training.networks import STRIDES, parameters_of  # noqa: E402
from livegate_training.release import MANIFESTS, write_models  # noqa: E402
from livegate_training.silent import GENUINE_CLASS, SilentCourse, scores_of  # noqa: E402
from livegate_training.silentviews import VIEWS  # noqa: E402
from livegate_training.training import Training  # noqa: E402
from training_kit import marks  # noqa: E402

LIMITS = {"lg_face": 900_000, "lg_silent": 900_000, "lg_detect": 150_000}
COURSES = {"lg_face": FaceCourse, "lg_silent": SilentCourse, "lg_detect": DetectCourse}


def samples_for(model: str, count: int = 12) -> dict[str, np.ndarray]:
    """Random pictures with plausible labels."""
    rng = np.random.default_rng(5)

    def pixels(side: int) -> np.ndarray:
        return rng.integers(0, 255, (count, side, side, 3), dtype=np.uint8)

    if model == "lg_face":
        points = np.stack([(marks() - 50) / 100 + rng.normal(0, 0.01, (68, 2)) for _ in range(count)])
        angles = rng.normal(0, 15, (count, 3)).astype(np.float32)
        return {"pixels": pixels(112), "points": points.astype(np.float32), "angles": angles}
    if model == "lg_silent":
        kinds = np.arange(count) % 3
        return {"face": pixels(112), "context": pixels(128), "detail": pixels(160), "kind": kinds}
    faces = np.zeros((count, 6, 14), np.float32)
    faces[:, 0, :4] = (60, 50, 40, 50)
    faces[:, 0, 4:] = np.array((70, 70, 90, 70, 80, 80, 72, 92, 88, 92))
    return {"pixels": pixels(192), "faces": faces}


def recipe_for(model: str, **plan: Any) -> Recipe:
    """The tiny recipe with another training plan."""
    recipe = read_recipe(model, "tiny")
    return msgspec.structs.replace(recipe, training=msgspec.structs.replace(recipe.training, **plan))


@pytest.mark.parametrize(("model", "most"), LIMITS.items())
def test_full_network_keeps_its_limit_of_parameters(model: str, most: int) -> None:
    """The release configuration stays below the number that was set for the model."""
    course = COURSES[model](read_recipe(model, "full"))
    assert 20_000 < parameters_of(course.network(samples_for(model, 2))) <= most


@pytest.mark.parametrize("model", COURSES)
def test_resumed_run_equals_one_that_was_never_stopped(model: str, tmp_path: Path) -> None:
    """Six steps at once, or three, a new process' objects, three more: the same weights, bit for bit."""
    recipe, samples = recipe_for(model, steps=6, save_every=3), samples_for(model)
    torch.set_num_threads(1)

    def run(checkpoint: Path, until: int | None = None) -> Mapping[str, Any]:
        training = Training(recipe, COURSES[model](recipe), samples, checkpoint, "cpu")
        training.run(lambda line: None, until=until)
        return {**training.state.network.state_dict(), **_mean(training)}

    whole = run(tmp_path / "whole.pt")
    run(tmp_path / "parts.pt", until=3)
    parts = run(tmp_path / "parts.pt")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    begun = Training(recipe, COURSES[model](recipe), samples, tmp_path / "new.pt", "cpu")
    first = begun.state.network.state_dict()
    assert any(not torch.equal(first[name], whole[name]) for name in first)


@pytest.mark.parametrize("model", COURSES)
def test_run_in_bfloat16_learns_as_float32_does(model: str, tmp_path: Path) -> None:
    """The first steps lose about the same; the weights stay float32."""
    samples, said = samples_for(model), {}
    for is_half in (False, True):
        recipe = recipe_for(model, steps=2, warm_up=1, bfloat16=is_half)
        training = Training(recipe, COURSES[model](recipe), samples, tmp_path / f"{is_half}.pt", "cpu")
        losses: list[str] = []
        network = training.run(losses.append)
        said[is_half] = float(losses[-1].split("loss ")[1].split(",")[0])
        assert all(value.dtype is torch.float32 for value in network.parameters())
    assert said[True] == pytest.approx(said[False], rel=0.05)


def _mean(training: Training) -> dict[str, Any]:
    return {f"mean.{name}": value for name, value in training.state.mean.state_dict().items()}


def test_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    """Weights never go on under a recipe that did not begin them."""
    samples = samples_for("lg_face")
    recipe = recipe_for("lg_face", steps=2)
    Training(recipe, FaceCourse(recipe), samples, tmp_path / "x.pt", "cpu").run(lambda line: None)
    other = recipe_for("lg_face", steps=3)
    with pytest.raises(ValueError, match="another recipe"):
        Training(other, FaceCourse(other), samples, tmp_path / "x.pt", "cpu")


@pytest.mark.parametrize("model", COURSES)
def test_exported_file_runs_and_fits_its_manifest(model: str, tmp_path: Path) -> None:
    """Opset 17, IR 10 at most, the recipe's digest inside, the torch network's own numbers."""
    import onnx

    recipe = read_recipe(model, "tiny")
    course = COURSES[model](recipe)
    network = course.network(samples_for(model, 2)).eval()
    graphs = []
    for export in course.exported(network):
        path = write_onnx(export, recipe, tmp_path / f"{export.name}.onnx")
        graphs.append(path)
        stored = onnx.load(str(path))
        assert stored.ir_version <= IR_VERSION <= 10
        assert [entry.version for entry in stored.opset_import] == [OPSET] == [17]
        props = {entry.key: entry.value for entry in stored.metadata_props}
        assert props["livegate_recipe_sha256"] == recipe.digest
        example = np.random.default_rng(1).integers(0, 255, tuple(export.example.shape), dtype=np.uint8)
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        made = session.run(None, {"pixels": example})
        with torch.no_grad():
            told = export.module(torch.from_numpy(example))
        told = told if isinstance(told, tuple) else (told,)
        for ours, theirs in zip(made, told, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-3)
    manifests = [read_manifest(path) for path in write_models(model, graphs, tmp_path / "models")]
    assert tuple(manifest.id for manifest in manifests) == MANIFESTS[model]
    for manifest in manifests:
        names = {output.name for network in manifest.networks for output in network.outputs}
        sessions = [ort.InferenceSession(str(tmp_path / network.file)) for network in manifest.networks]
        assert names <= {output.name for session in sessions for output in session.get_outputs()}


@pytest.mark.parametrize("model", ["lg_detect", "lg_face"])
def test_exported_scale_is_in_the_weights(model: str, tmp_path: Path) -> None:
    """One pass over the picture between the transpose and the first convolution, and not a bit less."""
    import onnx

    recipe = read_recipe(model, "tiny")
    export = COURSES[model](recipe).exported(COURSES[model](recipe).network(samples_for(model, 2)))[0]
    path = write_onnx(export, recipe, tmp_path / "x.onnx")
    types = [node.op_type for node in onnx.load(str(path)).graph.node]
    types = [one for one in types if one not in ("Constant", "Identity")]
    assert types[: types.index("Conv")] == ["Cast", "Transpose", "Sub"]
    sides = tuple(export.example.shape)
    pixels = np.random.default_rng(2).integers(0, 255, sides, dtype=np.uint8)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        told = export.module(torch.from_numpy(pixels))
    np.testing.assert_allclose(session.run(None, {"pixels": pixels})[0], told[0].numpy(), atol=1e-5)


def test_silent_scores_are_those_that_the_graphs_give() -> None:
    """What training reports at 0.5 is what the runtime decides at 0.5."""
    course, samples = SilentCourse(read_recipe("lg_silent", "tiny")), samples_for("lg_silent", 4)
    network = course.network({}).eval()
    rates = []
    with torch.no_grad():
        for export, (name, (_, side)) in zip(course.exported(network), VIEWS.items(), strict=True):
            spare = (samples[name].shape[1] - side) // 2
            view = samples[name][:, spare : spare + side, spare : spare + side]
            rates.append(export.module(torch.from_numpy(view)).softmax(dim=1)[:, GENUINE_CLASS].numpy())
    expected = [statistics.harmonic_mean(one) for one in np.transpose(rates).tolist()]
    assert len(set(expected)) == len(expected)
    np.testing.assert_allclose(scores_of(network, samples), expected, atol=1e-6)


def test_detectors_grids_are_the_runtimes_rule() -> None:
    """A cell's box and landmarks in training are those that the runtime decodes."""
    rule = YunetGrid(
        strides=STRIDES,
        class_output="cls",
        object_output="obj",
        box_output="bbox",
        landmark_output="kps",
        landmarks=(),
    )
    course = DetectCourse(read_recipe("lg_detect", "tiny"))
    network = course.network({}).eval()
    (export,) = course.exported(network)
    pixels = torch.randint(0, 255, (1, 64, 96, 3), dtype=torch.uint8)
    with torch.no_grad():
        raw = torch.cat(network(pixels), dim=1)
        outputs = dict(zip(export.outputs, export.module(pixels), strict=True))
    cells = torch.cat([cells_of(64, 96, stride) for stride in STRIDES])
    boxes, points = decoded(raw, cells)
    scores, theirs, marked = decode_grid({k: v.numpy() for k, v in outputs.items()}, rule, 96, 0.0)
    np.testing.assert_allclose(scores, raw[0, :, 0].sigmoid().numpy(), atol=1e-6)
    np.testing.assert_allclose(theirs, boxes[0].numpy(), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(marked.reshape(-1, 10), points[0].numpy(), rtol=1e-4, atol=1e-3)


def test_cells_belong_to_the_smallest_face_near_their_centre() -> None:
    """A cell far from every centre has no face; strides take the sizes of their span."""
    cells = torch.cat([cells_of(192, 192, stride) for stride in STRIDES])
    faces = torch.zeros((1, 6, 14))
    faces[0, 0, :4] = torch.tensor((20.0, 20, 16, 20))
    faces[0, 1, :4] = torch.tensor((40.0, 40, 120, 140))
    owner = owners(cells, faces)[0]
    owned = {number: cells[owner == number] for number in (0, 1)}
    assert set(owned[0][:, 2].tolist()) == {8.0}
    assert set(owned[1][:, 2].tolist()) == {32.0}
    for number, cell in owned.items():
        centre = faces[0, number, :2] + faces[0, number, 2:4] / 2
        assert ((cell[:, :2] * cell[:, 2:] - centre).abs() <= 1.6 * cell[:, 2:]).all()
    assert (owner < 0).sum() > len(owner) * 0.9


def test_overlap_of_boxes_by_hand() -> None:
    """IoU 1 of the same, 1/3 of two halves, 0 of two apart; the centres of the same are 0 apart."""
    boxes = torch.tensor(((0.0, 0, 10, 10), (0.0, 0, 10, 10), (0.0, 0, 10, 10)))
    truth = torch.tensor(((0.0, 0, 10, 10), (5.0, 0, 10, 10), (50.0, 0, 10, 10)))
    overlap, distance = overlaps(boxes, truth)
    assert overlap.tolist() == pytest.approx([1, 1 / 3, 0])
    assert distance[0] == 0
    assert distance[1] < distance[2]


def test_openness_is_the_gap_of_the_lids() -> None:
    """Twice the gap is twice the openness; lids that touch have none."""
    points = torch.from_numpy(marks()[None] / 200)
    wide = points.clone()
    middle = points[:, [41, 40]]
    wide[:, [41, 40]] = middle + (middle - points[:, [37, 38]])
    shut = points.clone()
    shut[:, [41, 40]] = points[:, [37, 38]]
    usual = openness(points, points)[0, 0]
    assert float(openness(wide, points)[0, 0]) == pytest.approx(2 * float(usual), rel=1e-4)
    assert float(openness(shut, points)[0, 0]) == pytest.approx(0, abs=1e-6)


def test_varied_crop_takes_its_landmarks_along() -> None:
    """A white spot is where its landmark says after the crop moved."""
    pixels = torch.zeros((4, 112, 112, 3), dtype=torch.uint8)
    pixels[:, 38:44, 68:74] = 255
    points = torch.full((4, 68, 2), 0.5)
    points[:, 0] = torch.tensor((71.0, 41.0)) / 112
    made, moved = varied(pixels, points, np.random.default_rng(2))
    base = made.amin(dim=(1, 2, 3), keepdim=True)
    weights = (made - base)[..., 0]
    rows, columns = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing="ij")
    total = weights.sum(dim=(1, 2))
    x, y = (weights * columns).sum(dim=(1, 2)) / total, (weights * rows).sum(dim=(1, 2)) / total
    seen = (torch.stack((x, y), dim=1) + 0.5) / 112
    assert torch.allclose(seen, moved[:, 0], atol=0.4 / 112)
