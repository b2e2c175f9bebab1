"""Ranges for int8 beside the built engines: of exactly this network, whole, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from livegate.core.errors import ErrorCode, SetupError
from livegate.engines.cache import EngineCache
from livegate.engines.ranges import METHOD, Ranges, find_ranges, keep_ranges, ranges_key
from livegate.manifests.schema import EnlargeShiftInside
from support import shipped_manifest

NETWORK = shipped_manifest("lg_detect").networks[0]
MODEL = b"a network"


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    """A cache that holds the ranges of one network."""
    cache = EngineCache(tmp_path / "engines")
    keep_ranges(cache, ranges())
    return cache


def ranges(**changes: Any) -> Ranges:
    """What was measured of it."""
    key = ranges_key(NETWORK, MODEL)
    told = {"key": key, "network": "detector", "method": METHOD, "runs": 9, "reaches": {"a": 1.5}}
    return Ranges(**{**told, **changes})


def test_kept_ranges_are_found_and_readable_by_this_user_only(cache: EngineCache) -> None:
    """The numbers come back as they were; the file is of mode 0600."""
    assert find_ranges(cache, NETWORK, MODEL) == ranges()
    (path,) = cache.folder.glob("*.ranges")
    assert path.stat().st_mode & 0o777 == 0o600


def test_ranges_of_other_weights_or_another_crop_are_none(cache: EngineCache) -> None:
    """Then the command that measures is named, with 1029."""
    other = msgspec.structs.replace(NETWORK, crop=EnlargeShiftInside(enlarge=2.0))
    for network, model in ((NETWORK, b"retrained"), (other, MODEL)):
        with pytest.raises(SetupError, match="--calibrate DIR") as caught:
            find_ranges(cache, network, model)
        assert caught.value.code is ErrorCode.MODELINIT_FAIL


def damage(path: Path) -> None:
    """One figure is another one."""
    path.write_bytes(path.read_bytes().replace(b"1.5", b"9.5"))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (damage, "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.chmod(0o622), "others can write"),
        (lambda path: path.symlink_to(path.rename(path.with_suffix(".x"))), "cannot be opened"),
    ],
)
def test_ranges_that_are_damaged_or_foreign_are_refused_and_pruned(
    cache: EngineCache, spoil: Any, why: str
) -> None:
    """1029 with the file and the reason, told by verify; prune removes it and leaves whole ones."""
    (path,) = cache.folder.glob("*.ranges")
    keep_ranges(cache, ranges(key="ab" * 32))
    spoil(path)
    with pytest.raises(SetupError, match=why) as caught:
        find_ranges(cache, NETWORK, MODEL)
    assert caught.value.code is ErrorCode.MODELINIT_FAIL
    assert str(path) in caught.value.message
    assert [one for one, _ in cache.damaged_notes()] == [path]
    removed = [one for one, _ in cache.prune(lambda key: True)]
    assert path in removed
    assert [one.stem for one in cache.folder.glob("*.ranges")] == ["ab" * 32]


@pytest.mark.parametrize("body", [b"{}", msgspec.json.encode(ranges(key="ab" * 32))])
def test_ranges_of_another_version_or_name_are_refused(cache: EngineCache, body: bytes) -> None:
    """A whole file with something else in it is none, either."""
    cache.keep_note(ranges_key(NETWORK, MODEL), body)
    with pytest.raises(SetupError, match="another"):
        find_ranges(cache, NETWORK, MODEL)


def test_digest_is_of_the_numbers() -> None:
    """Whatever is measured otherwise makes another engine; the order of the names does not."""
    assert ranges(reaches={"a": 1.5, "b": 2}).digest == ranges(reaches={"b": 2, "a": 1.5}).digest
    assert ranges(reaches={"a": 1.25}).digest != ranges().digest
