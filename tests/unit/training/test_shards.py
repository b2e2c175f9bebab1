"""Samples on disk: made once, by whoever, the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import livegate_training.shards as shards
from training_kit import numbers


def test_shards_hold_every_sample_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever process made a shard, sample n is at place n; what is there is not made again."""
    shards.make_shards(tmp_path, 250, numbers, (7,), processes=2)
    found = shards.read_shards(tmp_path, 250)
    np.testing.assert_array_equal(found["n"], np.arange(250))
    np.testing.assert_array_equal(found["more"][:, 0], np.arange(250) + 7)
    monkeypatch.setattr(shards, "get_context", None)  # would fail if anything were left to make
    assert shards.make_shards(tmp_path, 250, numbers, (8,)) == tmp_path


def test_shard_of_a_stopped_run_is_made_again(tmp_path: Path) -> None:
    """A file that was not finished has another name; only the missing shard is made."""
    shards.make_shards(tmp_path, 250, numbers, (7,), processes=1)
    kept, lost = sorted(tmp_path.glob("*.npz"))
    before = kept.stat().st_mtime_ns
    lost.rename(lost.with_suffix(".part.npz"))
    shards.make_shards(tmp_path, 250, numbers, (7,), processes=1)
    assert kept.stat().st_mtime_ns == before
    assert len(shards.read_shards(tmp_path, 250)["n"]) == 250
