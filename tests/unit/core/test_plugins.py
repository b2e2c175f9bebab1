"""Plug-ins are found by the names of their files and imported on use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.core.plugins import did_you_mean, load_plugin, plugin_names


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of two plug-ins, one of which cannot be imported, and a private file."""
    name = "plugins_for_a_test"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "good.py").write_text("Plugin = object\n")
    (folder / "broken.py").write_text("raise RuntimeError('imported')\n")
    (folder / "_private.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [name, f"{name}.good", f"{name}.broken"]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    return name


def test_plugin_names_are_files_and_nothing_is_imported(package: str) -> None:
    """Names are listed sorted, private files left out, and no plug-in is imported for it."""
    assert plugin_names(package) == ("broken", "good")
    assert f"{package}.good" not in sys.modules


def test_load_plugin_known_is_imported(package: str) -> None:
    """A plug-in is imported by its name, without its neighbours."""
    assert load_plugin(package, "good").Plugin is object
    assert f"{package}.broken" not in sys.modules


def test_load_plugin_unknown_is_refused_with_a_suggestion(package: str) -> None:
    """An unknown name is 1016 and the nearest name is given."""
    with pytest.raises(SetupError) as caught:
        load_plugin(package, "goood")
    assert caught.value.code is ErrorCode.NO_EXIST
    assert "'goood'" in caught.value.message
    assert "'good'" in caught.value.hint


@pytest.mark.parametrize("name", ["_private", "../good", "good.py", ""])
def test_load_plugin_name_that_is_no_plugin_is_refused(package: str, name: str) -> None:
    """Private files, paths and empty names are not plug-ins."""
    with pytest.raises(SetupError):
        load_plugin(package, name)


def test_did_you_mean_near_word_is_named() -> None:
    """A word that is nearly right is answered with the right one."""
    assert did_you_mean("onxruntime", ("null", "onnxruntime")) == "did you mean 'onnxruntime'?"


def test_did_you_mean_no_near_word_lists_all() -> None:
    """A word that resembles nothing is answered with all that is known."""
    assert did_you_mean("zzz", ("null", "onnxruntime")) == "known: null, onnxruntime"


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("livegate.backends", {"null", "onnxruntime"}),
        ("livegate.tasks", {"face_detection", "silent_liveness"}),
    ],
)
def test_plugin_names_of_our_families_hold_ours(family: str, expected: set[str]) -> None:
    """Our own plug-ins are found, and each has the class that the loader asks for."""
    assert expected <= set(plugin_names(family))
    for name in expected:
        assert hasattr(load_plugin(family, name), "Plugin")
