"""Protobuf without protobuf."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegate.core.errors import SetupError
from livegate.graphs.wire import Field, integers, read_message, write_message
from support import tiny_onnx

FIELDS = st.lists(
    st.one_of(
        st.builds(Field.of, st.integers(1, 1 << 20), st.integers(0, (1 << 64) - 1)),
        st.builds(Field.of, st.integers(1, 1 << 20), st.binary(max_size=300)),
        st.builds(Field, st.integers(1, 99), st.just(5), st.binary(min_size=4, max_size=4)),
        st.builds(Field, st.integers(1, 99), st.just(1), st.binary(min_size=8, max_size=8)),
    )
)


@settings(deadline=None)
@given(FIELDS)
def test_message_written_and_read_is_the_same(fields: list[Field]) -> None:
    """What was written is read again, field by field."""
    assert read_message(write_message(fields)) == fields


def test_message_of_a_library_is_kept_to_the_byte() -> None:
    """A file that protobuf wrote comes out as it went in."""
    content = tiny_onnx()
    assert write_message(read_message(content)) == content


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_read_message_of_anything_is_refused_or_read(content: bytes) -> None:
    """Bytes that are no message are 1029, never another exception."""
    try:
        fields = read_message(content)
    except SetupError:
        return
    assert read_message(write_message(fields)) == fields


def test_integers_are_read_packed_or_not() -> None:
    """Writers may pack repeated numbers into one field."""
    assert integers([Field.of(1, 3), Field.of(1, 300), Field.of(2, 9)], 1) == [3, 300]
    assert integers([Field.of(1, b"\x03\xac\x02")], 1) == [3, 300]


def test_field_of_the_wrong_kind_is_refused() -> None:
    """A number where bytes belong, and the other way round."""
    with pytest.raises(SetupError, match="is a number"):
        _ = Field.of(1, 5).content
    with pytest.raises(SetupError, match="is no number"):
        _ = Field.of(1, b"5").integer
