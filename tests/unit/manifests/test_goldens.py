"""Golden outputs on disk: found by key, beside the manifest or in the cache, whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from livegate.manifests.goldens import Case, GoldenOutputs, GoldenShelf, golden_key
from livegate.manifests.schema import manifest_from_tables
from support import tiny_tables

FED = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
ANSWER = {"doubled": FED * 2, "empty": np.zeros((0, 4), np.float32)}
KEY = "a" * 64
OUTPUTS = GoldenOutputs(KEY, "onnxruntime 1.0 cpu", (Case.of(FED, ANSWER),))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoldenShelf:
    """An empty shelf."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    return GoldenShelf(tmp_path / "models", "tiny")


def cached(tmp_path: Path) -> Path:
    """The file in the cache."""
    return tmp_path / "cache" / "golden" / f"{KEY}.golden"


def test_keep_then_find_gives_the_same_numbers(shelf: GoldenShelf, tmp_path: Path) -> None:
    """Names, shapes and bits; the file is for its user alone, and nothing is left beside it."""
    shelf.keep(OUTPUTS)
    found = shelf.find(KEY)
    assert found == OUTPUTS
    for name, told in ANSWER.items():
        np.testing.assert_array_equal(found.cases[0].output(name), told)
    assert stat.S_IMODE(cached(tmp_path).stat().st_mode) == 0o600
    assert list(cached(tmp_path).parent.iterdir()) == [cached(tmp_path)]


def test_find_what_was_never_kept_is_nothing(shelf: GoldenShelf) -> None:
    """No file, no golden outputs, no complaint."""
    with structlog.testing.capture_logs() as events:
        assert shelf.find(KEY) is None
    assert events == []


def test_find_looks_beside_the_manifest_first(shelf: GoldenShelf, tmp_path: Path) -> None:
    """What came with the package goes before what was made here."""
    shelf.keep(GoldenOutputs(KEY, "the package's", ()))
    own = tmp_path / "models" / "tiny" / "golden"
    own.mkdir(parents=True)
    cached(tmp_path).rename(own / f"{KEY}.golden")
    shelf.keep(OUTPUTS)
    found = shelf.find(KEY)
    assert found is not None
    assert found.reference == "the package's"


def test_damaged_file_is_none_whatever_byte_it_is(shelf: GoldenShelf, tmp_path: Path) -> None:
    """A flipped byte anywhere, a cut anywhere: a line in the log, no golden outputs, no crash."""
    shelf.keep(OUTPUTS)
    path = cached(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for damaged in (
            whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :],
            whole[:place],
        ):
            path.write_bytes(damaged)
            with structlog.testing.capture_logs() as events:
                assert shelf.find(KEY) is None
            assert events[0]["event"] == "golden outputs damaged"


def test_file_of_another_key_is_none(shelf: GoldenShelf, tmp_path: Path) -> None:
    """A file that somebody renamed is of other weights."""
    shelf.keep(OUTPUTS)
    cached(tmp_path).rename(cached(tmp_path).with_name("b" * 64 + ".golden"))
    assert shelf.find("b" * 64) is None


def test_keep_where_nothing_can_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box starts all the same: they are made again next time."""
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    shelf = GoldenShelf(tmp_path, "tiny")
    with structlog.testing.capture_logs() as events:
        shelf.keep(OUTPUTS)
        assert shelf.find(KEY) is None
    assert [event["event"] for event in events] == ["golden outputs not kept", "golden outputs not read"]


def key(drawing: int = 1, content: bytes = b"weights", **changes: Any) -> str:
    """The key of the tiny network after some changes."""
    tables = tiny_tables(content)
    tables["networks"][0].update(changes)
    manifest = manifest_from_tables(tables, origin="a test")
    return golden_key(manifest.networks[0], manifest.files[0], drawing)


def test_golden_key_changes_with_all_that_the_outputs_depend_on() -> None:
    """Weights, tensors, recipe, drawing; not with the tolerance, nor with where it may run."""
    scaled = {**tiny_tables(b"")["networks"][0]["input"], "scale": (0.5, 0.5, 0.5)}
    keys = {
        key(),
        key(drawing=2),
        key(content=b"other weights"),
        key(golden={"seed": 2}),
        key(golden={"pictures": 3}),
        key(golden={"sides": (64, 64)}),
        key(input=scaled),
    }
    assert len(keys) == 7
    assert key(tolerance={"fp32": 0.5}, backends=["null"]) == key()
