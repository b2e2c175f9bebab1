"""What a manifest may say, and that those of this checkout say the truth."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import plugin_names
from livegate.manifests.schema import Manifest, manifest_from_tables, read_manifest
from support import ROOT, shared, shipped_manifest, tiny_manifest, tiny_tables

SHIPPED = sorted(path.parent.name for path in (ROOT / "models").glob("*/manifest.toml"))

BYTES = {"dtype": "uint8", "layout": "NHWC", "shape": ["batch", "height", "width", 3]}


def refusal(change: Callable[[dict[str, Any]], None]) -> SetupError:
    """The error for a good manifest after one change."""
    tables = copy.deepcopy(tiny_tables(b"x"))
    change(tables)
    with pytest.raises(SetupError) as caught:
        manifest_from_tables(tables, origin="models/tiny/manifest.toml")
    return caught.value


@pytest.mark.parametrize("model_id", SHIPPED)
def test_shipped_manifest_reads_and_is_named_like_its_folder(model_id: str) -> None:
    """Every manifest of the checkout is accepted, and its id is its folder's name."""
    assert shipped_manifest(model_id).id == model_id


@pytest.mark.parametrize("model_id", SHIPPED)
def test_shipped_manifest_names_an_upstream_for_every_file(model_id: str) -> None:
    """Weights of third parties are named by repository, commit, path and licence."""
    for file in shipped_manifest(model_id).files:
        assert file.licence
        if file.upstream is not None:
            assert file.upstream.repository
            assert len(file.upstream.commit) == 40
            assert file.upstream.path.endswith(file.name)


@pytest.mark.parametrize("model_id", SHIPPED)
def test_shipped_manifest_equals_the_reference_list(model_id: str) -> None:
    """Digest, size and upstream of every third-party file are those of the reference list."""
    listed = json.loads(shared("models", "reference", "manifest.json").read_text(encoding="utf-8"))
    by_name = {Path(entry["file"]).name: entry for entry in listed["files"]}
    for file in shipped_manifest(model_id).files:
        if file.upstream is None:
            continue
        entry = by_name[file.name]
        assert (file.sha256, file.bytes) == (entry["sha256"], entry["bytes"])
        assert file.upstream.repository == entry["source_repo"]
        assert file.upstream.commit == entry["source_commit"]
        assert file.upstream.path == entry["source_path"]
        assert entry["licence"].startswith(file.licence)


def test_shipped_packs_have_one_model_for_each_task() -> None:
    """No pack leaves a choice, and the default one has a model for every task."""
    manifests = [shipped_manifest(model_id) for model_id in SHIPPED]
    of_packs = [(m.pack, m.task) for m in manifests if m.pack]
    assert len(set(of_packs)) == len(of_packs)
    default = Config().models.pack
    assert {task for pack, task in of_packs if pack == default} == set(plugin_names("livegate.tasks"))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda t: t.update(colour="BGR"), "colour"),
        (lambda t: t["files"][0].update(md5="x"), "$.files[0]"),
        (lambda t: t["networks"][0].update(batch=1), "$.networks[0]"),
        (lambda t: t["networks"][0]["input"].update(std=[1, 1, 1]), "$.networks[0].input"),
        (lambda t: t["networks"][0]["crop"].update(enlarge=2.0), "$.networks[0].crop"),
        (lambda t: t["networks"][0]["outputs"][0].update(dtype="f"), "$.networks[0].outputs[0]"),
        (lambda t: t["decode"].update(temperature=1), "$.decode"),
    ],
)
def test_manifest_unknown_field_is_refused_with_its_path(change: Any, path: str) -> None:
    """A field that nobody knows is 1029 and named with its place and the manifest's."""
    error = refusal(change)
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "unknown field" in error.message
    assert path in error.message
    assert "models/tiny/manifest.toml" in error.message


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda t: t.update(id="Tiny Model"), "$.id"),
        (lambda t: t.update(id="../tiny"), "$.id"),
        (lambda t: t["files"][0].update(sha256="abc"), "$.files[0].sha256"),
        (lambda t: t["files"][0].update(sha256="A" * 64), "$.files[0].sha256"),
        (lambda t: t["files"][0].update(bytes=0), "$.files[0].bytes"),
        (lambda t: t["files"][0].update(bytes="7"), "$.files[0].bytes"),
        (lambda t: t["networks"][0].update(precisions=["fp8"]), "$.networks[0].precisions[0]"),
        (lambda t: t["networks"][0]["input"].update(layout="NHWC"), "$.networks[0].input.layout"),
        (lambda t: t["networks"][0]["input"].update(dtype="uint8"), "$.networks[0].input.layout"),
        (lambda t: t["networks"][0]["input"].update(BYTES, colour="RGB"), "$.networks[0].input.colour"),
        (lambda t: t["networks"][0]["input"].update(BYTES, mean=[1, 1, 1]), "$.networks[0].input.mean"),
        (
            lambda t: t["networks"][0]["input"].update(BYTES, scale=[2, 2, 2]),
            "$.networks[0].input.scale",
        ),
        (lambda t: t["networks"][0]["input"].update(colour="GRAY"), "$.networks[0].input.colour"),
        (lambda t: t["networks"][0]["input"].update(shape=[1, 3, 80]), "$.networks[0].input.shape"),
        (lambda t: t["networks"][0]["crop"].update(rule="centre"), "$.networks[0].crop"),
        (lambda t: t["networks"][0].update(outputs=[]), "$.networks[0].outputs"),
        (lambda t: t["decode"].update(rule="argmax"), "$.decode"),
        (lambda t: t.pop("thresholds"), "thresholds"),
    ],
)
def test_manifest_wrong_value_is_refused_with_its_path(change: Any, path: str) -> None:
    """A value out of its type, range or vocabulary is 1029 and named with its place."""
    error = refusal(change)
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert path in error.message


def test_input_of_bytes_has_its_rows_and_columns_elsewhere() -> None:
    """NHWC and NCHW name the same height and width."""
    tables = copy.deepcopy(tiny_tables(b"x"))
    plain = manifest_from_tables(tables, origin="a test").networks[0].input
    tables["networks"][0]["input"].update(BYTES)
    picture = manifest_from_tables(tables, origin="a test").networks[0].input
    assert (plain.height, plain.width) == (picture.height, picture.width) == ("height", "width")
    assert picture.is_picture
    assert not plain.is_picture


def test_manifest_network_with_a_file_of_no_entry_is_refused() -> None:
    """A network that names a file without a digest is refused."""
    error = refusal(lambda t: t["networks"][0].update(file="other.onnx"))
    assert "'tiny'" in error.message


def test_manifest_without_networks_is_refused() -> None:
    """A model that runs nothing is refused."""
    assert "networks" in refusal(lambda t: t.update(networks=[])).message


def test_manifest_file_is_found_by_name() -> None:
    """A file's entry is found by its name."""
    manifest = tiny_manifest(b"xyz")
    assert manifest.file("tiny.onnx").bytes == 3


def test_manifest_threshold_known_is_its_number_and_unknown_is_refused() -> None:
    """A threshold that a task needs is read, or refused with its name at load."""
    manifest = tiny_manifest(b"x")
    assert manifest.threshold("genuine") == 0.5
    with pytest.raises(SetupError, match="min_score") as caught:
        manifest.threshold("min_score")
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_network_missing_outputs_are_refused_by_name() -> None:
    """Outputs that a decode rule reads are there, or refused with their names."""
    network = tiny_manifest(b"x").networks[0]
    network.require_outputs(["doubled"])
    with pytest.raises(SetupError, match="cls_8, obj_8") as caught:
        network.require_outputs(["obj_8", "doubled", "cls_8"])
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_read_manifest_missing_file_is_open_fail(tmp_path: Path) -> None:
    """A manifest that is not there is 1019."""
    with pytest.raises(SetupError) as caught:
        read_manifest(tmp_path / "manifest.toml")
    assert caught.value.code is ErrorCode.OPEN_FAIL


@pytest.mark.parametrize("content", [b"id = ", b"\xff\xfe"])
def test_read_manifest_not_toml_is_read_fail(tmp_path: Path, content: bytes) -> None:
    """A manifest that cannot be parsed is 1020 and named."""
    path = tmp_path / "manifest.toml"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"manifest\.toml") as caught:
        read_manifest(path)
    assert caught.value.code is ErrorCode.READ_FAIL


def test_manifest_cannot_be_changed() -> None:
    """A manifest is a value: what was checked stays as it was."""
    manifest: Manifest = tiny_manifest(b"x")
    with pytest.raises(AttributeError):
        manifest.task = "other"  # type: ignore[misc]


@pytest.mark.parametrize("points", [5, 7, 10])
def test_ring_that_is_none_is_refused(points: int) -> None:
    """Six or eight: as many above as below."""
    ring = list(range(8))
    decode = {"rule": "points_in_crop", "output": "y", "points": 98, "image_right_eye": ring}
    decode |= {"inner_lips": ring, "nose_tip": 1, "chin": 2, "mouth_corners": [3, 4]}
    decode["image_left_eye"] = list(range(points))
    error = refusal(lambda tables: tables.update(decode=decode))
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert "image_left_eye" in error.message or "six or eight" in error.message


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"precisions": ["fp32", "fp16"]}, "tolerance: there is none for fp16"),
        ({"tolerance": {"fp16": 0.02}}, "tolerance: there is none for fp32"),
        ({"tolerance": {"fp32": 0.0}}, "tolerance"),
        ({"tolerance": {"fp64": 1e-9, "fp32": 1e-4}}, "tolerance"),
        ({"golden": {"pictures": 0}}, "golden.pictures"),
        ({"golden": {"sides": [96, 0]}}, "golden.sides"),
        ({"golden": {"picture": "face.png"}}, "picture"),
        ({"precisions": []}, "precisions"),
    ],
)
def test_manifest_golden_gate_that_would_let_anything_through_is_refused(
    values: dict[str, Any], word: str
) -> None:
    """Every precision has a tolerance, every proof a picture; the field is named."""
    error = refusal(lambda tables: tables["networks"][0].update(values))
    assert error.code is ErrorCode.MODELINIT_FAIL
    assert word in error.message


def test_manifest_without_a_word_on_it_is_held_to_the_default() -> None:
    """A new model is proved without a line more in its manifest."""
    (network,) = tiny_manifest(b"x").networks
    assert network.tolerance == {"fp32": 1e-4}
    assert (network.golden.pictures, network.golden.sides) == (2, (96, 128))


def with_ranges(ranges: Any) -> Any:
    """The tiny network with these ranges."""
    tables = copy.deepcopy(tiny_tables(b"x"))
    tables["networks"][0]["ranges"] = ranges
    return manifest_from_tables(tables, origin="a test").networks[0]


def test_manifest_ranges_become_the_least_usual_and_greatest_shape() -> None:
    """Numbers of the shape stay; names take their three extents."""
    network = with_ranges({"batch": [1, 2, 4], "height": [32, 256, 640], "width": [32, 320, 640]})
    assert network.extents() == ((1, 3, 32, 32), (2, 3, 256, 320), (4, 3, 640, 640))


@pytest.mark.parametrize(
    ("ranges", "why"),
    [
        ({"depth": [1, 1, 1]}, "no free dimension 'depth'"),
        ({"batch": [2, 1, 4]}, "not least, usual, greatest"),
        ({"batch": [0, 1, 4]}, "ranges"),
    ],
)
def test_manifest_ranges_that_are_none_are_refused(ranges: Any, why: str) -> None:
    """A name of nothing, or extents that do not rise: 1029 with the field."""
    with pytest.raises(SetupError, match=why) as caught:
        with_ranges(ranges)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_manifest_without_ranges_has_no_shapes_to_build_for() -> None:
    """A free dimension without a range is told when an engine is to be built, not before."""
    with pytest.raises(SetupError, match="no ranges for batch, height, width"):
        with_ranges({}).extents()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_manifest_with_flipped_bytes_is_refused_or_read(tmp_path: Path, data: st.DataObject) -> None:
    """A damaged manifest is one of our errors, never a crash; what still reads is a whole manifest."""
    content = bytearray((ROOT / "models" / "yunet_n" / "manifest.toml").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "manifest.toml"
    path.write_bytes(bytes(content))
    try:
        manifest = read_manifest(path)
    except SetupError:
        return
    assert manifest.networks
