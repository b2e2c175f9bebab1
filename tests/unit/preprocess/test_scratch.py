"""Buffers that are filled again and again."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from livegate.preprocess import scratch as module
from livegate.preprocess.scratch import MAX_SHAPES, Scratch


def test_array_asked_again_is_the_same_memory() -> None:
    """The same name, shape and type give the same buffer, with what it held."""
    scratch = Scratch()
    first = scratch.array("a", (2, 3), np.float32)
    first[:] = 7
    assert scratch.array("a", (2, 3), np.float32) is first
    assert (scratch.array("a", (2, 3), np.float32) == 7).all()


def test_array_of_another_name_shape_or_type_is_other_memory() -> None:
    """Nothing that differs in name, shape or type shares memory."""
    scratch = Scratch()
    arrays = [
        scratch.array("a", (2, 3), np.float32),
        scratch.array("b", (2, 3), np.float32),
        scratch.array("a", (3, 2), np.float32),
        scratch.array("a", (2, 3), np.uint8),
    ]
    for index, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[index + 1 :])


def test_array_is_zero_and_contiguous_at_first() -> None:
    """A new buffer holds zeros, in the layout that engines ask for."""
    array = Scratch().array("a", (1, 3, 4, 5), np.float32)
    assert array.flags.c_contiguous
    assert not array.any()


def test_array_of_many_shapes_keeps_a_bounded_number() -> None:
    """However many shapes are asked for, only so many buffers are kept."""
    scratch = Scratch()
    arrays = [scratch.array("a", (n,), np.uint8) for n in range(1, 3 * MAX_SHAPES)]
    assert len(scratch._arrays) == MAX_SHAPES
    assert scratch.array("a", arrays[-1].shape, np.uint8) is arrays[-1]
    assert scratch.array("a", arrays[0].shape, np.uint8) is not arrays[0]


def test_arrays_of_large_shapes_keep_a_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends turned pictures of many sizes does not fill it; one that is larger is lent, too."""
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    scratch = Scratch()
    first = weakref.ref(scratch.array("a", (400,), np.uint8))
    second = weakref.ref(scratch.array("a", (500,), np.uint8))
    assert first() is not None
    third = scratch.array("a", (300,), np.uint8)
    assert first() is None
    assert second() is not None
    assert scratch.array("a", (300,), np.uint8) is third
    assert scratch.array("a", (2000,), np.uint8).size == 2000
    assert second() is None
