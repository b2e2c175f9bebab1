"""Parameters from query, form, urlencoded body and JSON."""

from __future__ import annotations

import contextlib
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegate.core.errors import ErrorCode, RequestError
from livegate.gateway.dialect import Head
from livegate.gateway.fields import EncodingError, all_fields, query_fields
from livegate.gateway.inputs import Inputs, truth_from_text

URLENCODED = "application/x-www-form-urlencoded"


def head(content_type: str = "", query: str = "") -> Head:
    headers = {"content-type": content_type} if content_type else {}
    return Head("POST", "/p", query, headers, "r")


def fields(body: bytes, content_type: str = "", query: str = "") -> dict[str, str | bytes]:
    return dict(all_fields(head(content_type, query), body, files={"file"}))


def form(*parts: tuple[str, bytes]) -> bytes:
    rows = [b"--x\r\nContent-Disposition: form-data; " + n.encode() + b"\r\n\r\n" + v for n, v in parts]
    return b"\r\n".join([*rows, b"--x--"])


FORM = "multipart/form-data;boundary=x"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=1&b=%E8%84%B8&c=", URLENCODED),
        (b"a=1&b=\xe8\x84\xb8&c=", ""),
        (b'{"a": 1, "b": "\xe8\x84\xb8", "c": "", "d": null, "e": [1], "f": {}}', "application/json"),
        (b' {"a": "1", "b": "\\u8138", "c": ""}', URLENCODED),
        (b'{"a": 1, "b": "\xe8\x84\xb8", "c": ""}', "application/octet-stream"),
        (form(('name="a"', b"1"), ('name="b"', b"\xe8\x84\xb8"), ('name="c"', b"")), FORM),
    ],
)
def test_body_is_read_as_what_it_is(body: bytes, content_type: str) -> None:
    """Texts; JSON where it begins like one, whatever its Content-Type says."""
    assert fields(body, content_type) == {"a": "1", "b": "脸", "c": ""}


def test_query_and_body_come_together() -> None:
    """As the cloud's curl sample sends them."""
    body = form(('name="file"; filename="a.jpg"', b"\xff\xd8"))
    found = fields(body, FORM, "api_id=ID&api_secret=a%2Bb")
    assert found == {"api_id": "ID", "api_secret": "a+b", "file": b"\xff\xd8"}


def test_only_named_files_are_files() -> None:
    """`file` with or without a file name; another file is ignored, as unknown fields are."""
    body = form(('name="file"', b"\xff"), ('name="other"; filename="o"', b"\xff"), ('name="t"', b"t"))
    assert fields(body, FORM) == {"file": b"\xff", "t": "t"}


def test_same_value_twice_is_one_value() -> None:
    """Some clients put their id into the query and the form."""
    assert fields(b"a=1", URLENCODED, "a=1") == {"a": "1"}


@pytest.mark.parametrize(
    ("body", "content_type", "query"),
    [
        (b"a=2", URLENCODED, "a=1"),
        (b"a=1&a=2", URLENCODED, ""),
        (b"", "", "a=1&a=2"),
        (b'{"a": "1", "a": "2"}', "application/json", ""),
    ],
)
def test_two_values_of_one_name_are_refused(body: bytes, content_type: str, query: str) -> None:
    """Two readers could take either."""
    with pytest.raises(RequestError, match="given twice") as caught:
        fields(body, content_type, query)
    assert caught.value.code is ErrorCode.PARAM_FAILURE


@pytest.mark.parametrize(
    ("body", "content_type", "query"),
    [
        (b"a=%FF", URLENCODED, ""),
        (b"\xff=a", URLENCODED, ""),
        (b"\xff\xd8\xff\xe0", "", ""),
        (b'{"a": "\xff"}', "application/json", ""),
        (b'{"a": "\\ud800"}', "application/json", ""),
        (form(('name="a"', b"\xff")), FORM, ""),
        (b"", "", "a=%FF"),
        (b"", "", "a=\xff"),
    ],
)
def test_parameter_that_is_not_utf8_is_told(body: bytes, content_type: str, query: str) -> None:
    """The cloud has a status for it."""
    with pytest.raises(EncodingError):
        fields(body, content_type, query)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"{", ""), (b"[1]", "application/json"), (b"", "application/json"), (b"[" * 9999, "text/json")],
)
def test_json_that_is_none_is_refused(body: bytes, content_type: str) -> None:
    """Cut short, no object, too deep."""
    with pytest.raises(RequestError) as caught:
        fields(body, content_type)
    assert caught.value.code is ErrorCode.INVALID_PARAM


@pytest.mark.parametrize(
    "body", [b"&".join(b"a%d=1" % n for n in range(65)), b"&" * 99, b"a=" + b"x" * 8193]
)
def test_too_many_or_too_long_parameters_are_refused(body: bytes) -> None:
    """Texts, not files; of a known number."""
    with pytest.raises(RequestError) as caught:
        fields(body, URLENCODED)
    assert caught.value.code is ErrorCode.PARAM_FAILURE


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"a": [' + b"[]," * 300_000 + b"[]]}", "application/json"),
        (b"a=" + b"%41" * 300_000, URLENCODED),
        (b"x" * 600_000, ""),
    ],
)
def test_large_text_takes_no_memory_before_it_is_refused(body: bytes, content_type: str) -> None:
    """A stranger's, too: taken apart it would need many times its bytes."""
    tracemalloc.start()
    with pytest.raises(RequestError) as caught:
        fields(body, content_type)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code is ErrorCode.OUT_OF_RANGE
    assert most < 100_000


@given(st.binary(max_size=200), st.sampled_from([FORM, URLENCODED, "application/json", ""]), st.text())
def test_garbage_is_read_or_refused(body: bytes, content_type: str, query: str) -> None:
    """Never a defect, whatever body and query hold."""
    with contextlib.suppress(RequestError):
        json.dumps({k: str(v) for k, v in fields(body, content_type, query).items()})


def test_query_fields_reads_only_the_query() -> None:
    """For who is asked before the body is there."""
    assert query_fields(head(query="a=1&b")) == {"a": "1", "b": ""}


INPUTS = Inputs(("liveness_data_file", "file"), "liveness_data_url", "liveness_data_id")


@pytest.mark.parametrize("name", ["liveness_data_file", "file", "liveness_data_url", "liveness_data_id"])
def test_one_input_is_found(name: str) -> None:
    """An empty one beside it counts as absent."""
    assert INPUTS.given({"file": b"", "liveness_data_url": "", name: "x"}) == name


def test_missing_input_is_told_in_the_clouds_words() -> None:
    """Literally what its page shows."""
    with pytest.raises(RequestError) as caught:
        INPUTS.given({})
    assert caught.value.message == (
        "must specify 'liveness_data_file', 'liveness_data_url' or 'liveness_data_id' argument"
    )
    with pytest.raises(RequestError, match="must specify 'file' or 'url' argument"):
        Inputs(("file",), "url").given({})


def test_two_inputs_are_refused() -> None:
    """One is read; which would it be?"""
    with pytest.raises(RequestError, match="file and liveness_data_id are given"):
        INPUTS.given({"file": b"x", "liveness_data_id": "x"})


@pytest.mark.parametrize(
    ("text", "value"),
    [("", False), ("true", True), ("True", True), ("1", True), ("FALSE", False), ("0", False)],
)
def test_truth_is_read(text: str, value: bool) -> None:
    """As Python, JavaScript and PHP write it."""
    assert truth_from_text("anti_hack", text) is value


def test_truth_of_another_word_is_refused() -> None:
    """A check that somebody asked for in odd words is not skipped."""
    with pytest.raises(RequestError, match="anti_hack"):
        truth_from_text("anti_hack", "yes")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", ""),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", URLENCODED),
        (b"&&&&", "image/jpeg"),
        (b"\0\0\0\x18ftypmp42", "application/octet-stream"),
    ],
)
def test_file_as_the_body_is_told_where_it_belongs(body: bytes, content_type: str) -> None:
    """Not that it has too many parameters."""
    with pytest.raises(RequestError, match="is a file by itself") as caught:
        fields(body, content_type)
    assert caught.value.code is ErrorCode.INVALID_PARAM
    assert "multipart" in caught.value.hint
