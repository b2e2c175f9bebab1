"""Which model a task takes: by its pack, by name, or none for an optional task."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from livegate.app.build import build_pipeline, chosen_manifest, reason_to_leave_out
from livegate.core.errors import ErrorCode, SetupError
from livegate.manifests.store import ModelStore
from support import REFERENCE, ROOT, config_with, shared


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """The shipped models, and another pack with a detector only."""
    monkeypatch.setenv("LIVEGATE_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "models"
    shutil.copytree(ROOT / "models", package, ignore=shutil.ignore_patterns("training"))
    (package / "own_detector").mkdir()
    manifest = (package / "yunet_n" / "manifest.toml").read_text()
    manifest = manifest.replace('id = "yunet_n"', 'id = "own_detector"').replace("reference", "own")
    (package / "own_detector" / "manifest.toml").write_text(manifest)
    return ModelStore(package=package)


def test_pack_chooses_the_models_of_all_tasks(store: ModelStore) -> None:
    """One key switches; a name for one task goes before it."""
    own = config_with(models={"pack": "own"})
    assert chosen_manifest("face_detection", config_with(), store).id == "lg_detect"
    assert chosen_manifest("face_detection", own, store).id == "own_detector"
    reference = config_with(**REFERENCE)
    assert chosen_manifest("face_detection", reference, store).id == "yunet_n"
    named = config_with(models={"pack": "own", "use": {"face_detection": "yunet_n"}})
    assert chosen_manifest("face_detection", named, store).id == "yunet_n"


def test_pack_that_lacks_a_needed_model_is_refused(store: ModelStore) -> None:
    """The message says what to write; a pack that is none gets the name of one that is."""
    with pytest.raises(SetupError, match="'own' has no model for the task 'silent_liveness'") as caught:
        chosen_manifest("silent_liveness", config_with(models={"pack": "own"}), store)
    assert caught.value.code is ErrorCode.NO_EXIST
    assert "models.use.silent_liveness" in caught.value.hint
    with pytest.raises(SetupError) as caught:
        chosen_manifest("silent_liveness", config_with(models={"pack": "refrence"}), store)
    assert "did you mean 'reference'" in caught.value.hint


def test_pack_that_lacks_an_optional_model_leaves_its_task_out(store: ModelStore) -> None:
    """As a missing file does."""
    own = config_with(models={"pack": "own"})
    assert "no model for the task 'landmarks'" in reason_to_leave_out("landmarks", own, store)
    assert "are missing" in reason_to_leave_out("landmarks", config_with(**REFERENCE), store)


def test_name_of_another_tasks_model_is_refused(store: ModelStore) -> None:
    """It would answer nonsense."""
    config = config_with(models={"use": {"silent_liveness": "yunet_n"}})
    with pytest.raises(SetupError, match="is a model for face_detection") as caught:
        chosen_manifest("silent_liveness", config, store)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL


def test_engine_use_of_an_unknown_model_is_refused(store: ModelStore) -> None:
    """An entry without effect is 2041 with the nearest name."""
    with pytest.raises(SetupError, match="'yunet'") as caught:
        build_pipeline(config_with(engine={"use": {"yunet": "openvino"}}), store)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert "yunet_n" in caught.value.hint


def test_engine_use_gives_one_model_another_backend() -> None:
    """The rest stays where it was."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no [cpu] extra")
    pytest.importorskip("openvino", reason="openvino is not installed: pip install 'livegate[openvino]'")
    config = config_with(engine={"use": {"minifasnet_pair": "openvino/cpu"}}, **REFERENCE)
    pipeline = build_pipeline(config, ModelStore([shared("models", "reference")]))
    backends = {info.model_id: info.backend.split()[0] for info in pipeline.engines}
    pipeline.close()
    assert backends.pop("minifasnet_pair") == "openvino"
    assert set(backends.values()) == {"onnxruntime"}


def test_models_use_of_an_unknown_task_is_refused(store: ModelStore) -> None:
    """Else a typing error would leave another model at the door, without a word."""
    config = config_with(models={"use": {"silent_livenes": "minifasnet_pair"}})
    with pytest.raises(SetupError, match="'silent_livenes'") as caught:
        build_pipeline(config, store)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert "silent_liveness" in caught.value.hint
