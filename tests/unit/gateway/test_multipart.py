"""Forms, as clients send them and as nobody should."""

from __future__ import annotations

import contextlib
import tempfile
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError
from livegate.gateway.multipart import (
    MAX_DELIMITERS,
    MAX_PART_HEADER_BYTES,
    MAX_PARTS,
    Part,
    is_form,
    parts_from_form,
)

TYPE = "multipart/form-data; boundary=b"


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    """Parts (header lines, empty line, content) between delimiters."""
    lines = [b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts]
    return b"".join([*lines, b"--" + boundary + b"--\r\n"])


def field(name: str, content: bytes, extra: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + content


def test_is_form_reads_the_type_only() -> None:
    """Any case, any parameters; other kinds of multipart are not forms."""
    assert is_form("Multipart/Form-Data;boundary=x")
    assert not is_form("multipart/mixed; boundary=x")
    assert not is_form("application/json")
    assert not is_form("")


def test_parts_of_a_form_come_in_order_with_their_names() -> None:
    """Text parts have no file name; a file's content may be anything."""
    content = bytes(range(256)) * 3
    body = form(
        field("actions", b"1,3"), field("image_file", content, '; filename="a.jpg"'), field("empty", b"")
    )
    assert parts_from_form(TYPE, body) == (
        Part("actions", None, "", b"1,3"),
        Part("image_file", "a.jpg", "", content),
        Part("empty", None, "", b""),
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data;boundary=b",
        'multipart/form-data; boundary="b"',
        "multipart/form-data; charset=utf-8; Boundary=b",
        "multipart/form-data; boundary=b; charset=utf-8",
        "MULTIPART/FORM-DATA ;  boundary=b",
    ],
)
def test_boundary_is_found_however_it_is_written(content_type: str) -> None:
    """Without a blank, in quotes, among other parameters."""
    assert parts_from_form(content_type, form(field("a", b"1")))[0].content == b"1"


def test_part_with_its_own_content_length_ends_at_the_delimiter() -> None:
    """Some libraries give each part a Content-Length; even a wrong one changes nothing."""
    for length in (3, 99, 0):
        part = b'Content-Length: %d\r\nContent-Disposition: form-data; name="a"\r\n\r\nabc' % length
        assert parts_from_form(TYPE, form(part))[0].content == b"abc"


def test_text_around_the_form_and_blanks_after_delimiters_are_skipped() -> None:
    """Preamble, epilogue and transport padding of RFC 2046."""
    body = b"preamble\r\n--b \t\r\n" + field("a", b"1") + b"\r\n--b--epilogue"
    assert [part.content for part in parts_from_form(TYPE, body)] == [b"1"]


def test_content_that_looks_like_a_delimiter_is_content() -> None:
    """Longer boundaries, boundaries in mid-line, and lone line feeds end no part."""
    content = b"\r\n--bb\r\n\n--b\r\n x--b--\r\n--"
    assert parts_from_form(TYPE, form(field("a", content)))[0].content == content


def test_file_name_with_quotes_and_letters_of_any_script_is_read() -> None:
    """UTF-8 as the SDK sends it, and escaped quotes."""
    part = field("f", b"1", r'; filename="脸\"1\".jpg"')
    assert parts_from_form(TYPE, form(part))[0].filename == '脸"1".jpg'


def test_empty_form_has_no_parts() -> None:
    """Nothing but the last delimiter."""
    assert parts_from_form(TYPE, b"--b--\r\n") == ()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", form(field("a", b"1"))),
        ("multipart/form-data; boundary=", form(field("a", b"1"))),
        ("multipart/form-data; boundary=" + "x" * 201, form(field("a", b"1"))),
        (TYPE, b""),
        (TYPE, b"a=1&b=2"),
        (TYPE, form(field("a", b"1"), boundary=b"other")),
        (TYPE, form(field("a", b"1"))[:-5]),
        (TYPE, b"--b\r\n"),
        (TYPE, b"--b\r\n--b--"),
        (TYPE, form(b"no empty line")),
        (TYPE, form(b"\r\nno header")),
        (TYPE, form(b'Content-Disposition: attachment; name="a"\r\n\r\n1')),
        (TYPE, form(b"Content-Disposition: form-data\r\n\r\n1")),
        (TYPE, form(b'Content-Disposition: form-data; name=""\r\n\r\n1')),
        (TYPE, form(b"Content-Disposition: form-data;\r\n name=a\r\n\r\n1")),
        (TYPE, form(b'Content-Disposition : form-data; name="a"\r\n\r\n1')),
        (TYPE, form(b"nonsense\r\n" + field("a", b"1"))),
        (TYPE, form(b"Content-Transfer-Encoding: base64\r\n" + field("a", b"1"))),
        (TYPE, form(field("a", b"1")).replace(b"\r\n", b"\n")),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes) -> None:
    """Cut short, without a boundary, with headers that two readers would read differently."""
    with pytest.raises(RequestError) as caught:
        parts_from_form(content_type, body)
    assert caught.value.code is ErrorCode.INVALID_PARAM


def test_parts_and_headers_have_limits() -> None:
    """One part more, one byte more."""
    assert len(parts_from_form(TYPE, form(*[field("a", b"")] * MAX_PARTS))) == MAX_PARTS
    too_long = b"X: " + b"y" * MAX_PART_HEADER_BYTES + b"\r\n" + field("a", b"")
    lookalikes = form(field("a", b"\r\n--bx" * MAX_DELIMITERS))
    for body in (form(*[field("a", b"")] * (MAX_PARTS + 1)), form(too_long), lookalikes):
        with pytest.raises(RequestError) as caught:
            parts_from_form(TYPE, body)
        assert caught.value.code is ErrorCode.OUT_OF_RANGE


def test_large_part_needs_no_temporary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the size at which the usual parsers begin to write."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a temporary file was asked for")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)
    for name in ("mkstemp", "TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"):
        monkeypatch.setattr(tempfile, name, refuse)
    content = bytes(3 << 20)
    assert parts_from_form(TYPE, form(field("f", content, '; filename="f"')))[0].content == content


fields = st.lists(
    st.tuples(st.text("abc_-", min_size=1), st.binary(max_size=200), st.booleans()), max_size=MAX_PARTS
)


@given(fields)
def test_what_requests_sends_is_what_is_read(sent: list[tuple[str, bytes, bool]]) -> None:
    """Any contents, through the encoder that most Python clients use."""
    files = [(name, ("x.jpg" if is_file else None, content)) for name, content, is_file in sent]
    if not files:
        return
    prepared = requests.Request("POST", "http://x", files=files).prepare()
    assert isinstance(prepared.body, bytes)
    found = parts_from_form(prepared.headers["Content-Type"], prepared.body)
    assert [(part.name, part.content, part.filename is not None) for part in found] == sent


@given(
    st.lists(
        st.sampled_from([b"\r\n", b"--b", b"--", b"b", b" ", b"--b--", field("a", b"")]), max_size=30
    )
)
def test_any_heap_of_delimiters_is_read_or_refused(pieces: list[bytes]) -> None:
    """Nothing but RequestError comes out, and no part holds a whole delimiter line."""
    with contextlib.suppress(RequestError):
        for part in parts_from_form(TYPE, b"".join(pieces)):
            assert b"\r\n--b\r\n" not in part.content


@given(st.text(max_size=80), st.binary(max_size=80))
def test_any_type_and_body_is_read_or_refused(parameters: str, body: bytes) -> None:
    """Whatever stands in the header and the body."""
    with contextlib.suppress(RequestError):
        parts_from_form(f"multipart/form-data; {parameters}", body)
