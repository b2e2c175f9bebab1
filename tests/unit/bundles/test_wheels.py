"""Resolving: which wheel is taken, what is refused, and what closes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bundle_kit import wheel
from livegate.bundles import wheels
from livegate.bundles.manifest import Target
from livegate.bundles.wheels import Resolver, Wheel, find_uv, gather, rank
from livegate.core.errors import ErrorCode, LiveGateError

JETSON = Target("aarch64", "3.10", "2.35")
FITTING = (
    "a-1-py3-none-any.whl",
    "a-1-py2.py3-none-any.whl",
    "a-1-cp310-cp310-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
    "a-1-cp310-cp310-manylinux_2_28_aarch64.whl",
    "a-1-1-cp310-abi3-manylinux_2_28_aarch64.manylinux_2_39_aarch64.whl",
    "a-1-cp310-cp310-linux_aarch64.whl",
)
FOREIGN = (
    "a-1-cp310-cp310-manylinux_2_28_x86_64.whl",
    "a-1-cp310-cp310-manylinux_2_39_aarch64.whl",
    "a-1-cp310-cp310-musllinux_1_2_aarch64.whl",
    "a-1-cp310-cp310-macosx_11_0_arm64.whl",
    "a-1-cp310-cp310-win_arm64.whl",
    *("a-1.tar.gz", "a.whl", "", "a-1-py3-none-.whl"),
)


@pytest.mark.parametrize("name", FITTING)
def test_wheel_for_the_target_has_a_rank(name: str) -> None:
    """Of all forms of tags."""
    assert rank(name, JETSON)


@pytest.mark.parametrize("name", FOREIGN)
def test_wheel_for_another_platform_has_none(name: str) -> None:
    """Another machine, C library, system or a newer glibc; and what is no wheel."""
    assert rank(name, JETSON) == ()


def test_native_wheel_beats_the_pure_one_and_a_newer_interface_the_older_one() -> None:
    """protobuf has both, cryptography several."""
    order = [
        "a-1-py3-none-any.whl",
        "a-1-cp39-abi3-manylinux_2_17_aarch64.whl",
        "a-1-cp39-abi3-manylinux_2_28_aarch64.whl",
        "a-1-cp310-abi3-manylinux_2_17_aarch64.whl",
    ]
    ranks = [rank(name, JETSON) for name in order]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(order)


def pure(folder: Path, name: str, requires: str = "") -> None:
    """A wheel without code."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    content = wheel(
        {
            f"{name}-1.dist-info/METADATA": metadata,
            f"{name}-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
            f"{name}-1.dist-info/RECORD": "",
        }
    )
    (folder / f"{name}-1-py3-none-any.whl").write_bytes(content)


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """A folder with wheels, of which one is for Python before 3.11 only."""
    find_uv()
    folder = tmp_path / "links"
    folder.mkdir()
    pure(folder, "root", "younger; python_version < '3.11'")
    pure(folder, "younger")
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No index for uv."""
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("python", "projects"), [("3.10", ["root", "younger"]), ("3.12", ["root"])])
def test_markers_are_those_of_the_target(links: Path, python: str, projects: list[str]) -> None:
    """Not those of the Python that makes the bundle."""
    target = Target("aarch64", python, "2.35")
    found = Resolver(target, [links]).resolve(["root"])
    assert [one.project for one in found] == projects


@pytest.mark.usefixtures("offline")
def test_wheels_of_a_folder_are_gathered_and_close(links: Path, tmp_path: Path) -> None:
    """One that is missing or one too many does not."""
    resolver = Resolver(JETSON, [links])
    found = resolver.resolve(["root"])
    gather(found, tmp_path / "out", tmp_path / "cache", lambda text: None)
    assert len(list((tmp_path / "out").iterdir())) == 2
    resolver.prove_closure(["root"], tmp_path / "out", found)
    with pytest.raises(LiveGateError, match="younger 1"):
        resolver.prove_closure(["root"], tmp_path / "out", found[:1])
    (tmp_path / "out/younger-1-py3-none-any.whl").unlink()
    with pytest.raises(LiveGateError, match="younger"):
        resolver.prove_closure(["root"], tmp_path / "out", found)


@pytest.mark.usefixtures("offline")
def test_package_that_is_not_to_be_had_is_1013_with_uvs_words(links: Path) -> None:
    """And the way out."""
    with pytest.raises(LiveGateError, match="nowhere") as caught:
        Resolver(JETSON, [links]).resolve(["nowhere"])
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert "--find-links" in caught.value.hint


def test_index_that_tells_no_digest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known cannot be verified."""
    resolver = Resolver(JETSON)
    package = {"name": "a", "version": "1", "wheels": [{"url": "https://x.test/a-1-py3-none-any.whl"}]}
    monkeypatch.setattr(resolver, "_lock", lambda *arguments: [package])
    with pytest.raises(LiveGateError, match="no sha256"):
        resolver.resolve(["a"])


def test_length_is_asked_for_where_the_index_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simple indexes do not."""
    resolver = Resolver(JETSON)
    url = "https://x.test/a%2Bb-1-py3-none-any.whl"
    package = {"name": "a", "version": "1", "wheels": [{"url": url, "hashes": {"sha256": "0" * 64}}]}
    monkeypatch.setattr(resolver, "_lock", lambda *arguments: [package])
    monkeypatch.setattr(wheels, "length_of", lambda asked: len(asked))
    assert resolver.resolve(["a"]) == [
        Wheel("a", "1", "a+b-1-py3-none-any.whl", "0" * 64, len(url), url=url)
    ]


def test_missing_uv_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed where bundles are made only."""
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LiveGateError) as caught:
        find_uv()
    assert caught.value.code is ErrorCode.INIT_FAIL
    assert "livegate[bundle]" in caught.value.hint
