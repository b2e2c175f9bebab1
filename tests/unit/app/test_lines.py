"""Lines out of a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from livegate.app.lines import MAX_LINE_BYTES, LineReader


@contextmanager
def pipe() -> Iterator[tuple[LineReader, int]]:
    out_fd, in_fd = os.pipe()
    try:
        yield LineReader(out_fd), in_fd
    finally:
        os.close(out_fd)
        os.close(in_fd)


def test_lines_come_whole_however_they_were_written() -> None:
    """Half a line waits for its end; bytes that are no text do no harm."""
    with pipe() as (reader, fd):
        assert reader.read() == []
        os.write(fd, b"one\ntw")
        assert reader.read() == ["one"]
        assert reader.read() == []
        os.write(fd, b"o\n\nthr\xffee\n")
        assert reader.read() == ["two", "", "thr\N{REPLACEMENT CHARACTER}ee"]


def test_line_that_is_too_long_is_cut_once() -> None:
    """Its beginning comes as one line, the rest is dropped, the next line is whole."""
    with pipe() as (reader, fd):
        lines = []
        for _ in range(5):
            os.write(fd, b"x" * MAX_LINE_BYTES)
            lines += reader.read()
        os.write(fd, b"xx\nnext\n")
        assert [*lines, *reader.read()] == ["x" * MAX_LINE_BYTES, "next"]


def test_end_is_seen_and_a_line_without_end_is_not_lost() -> None:
    """What came before the end counts."""
    out_fd, in_fd = os.pipe()
    reader = LineReader(out_fd)
    os.write(in_fd, b"one\nlast")
    os.close(in_fd)
    assert reader.read() == ["one"]
    assert not reader.is_ended
    assert reader.read() == ["last"]
    assert reader.is_ended
    os.close(out_fd)
