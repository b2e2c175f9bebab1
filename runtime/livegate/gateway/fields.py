"""The parameters of a request, wherever its client put them: query, form, urlencoded body or JSON.

Clients of one cloud differ in that. What is given twice must be the same both times: two readers could
take either.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import parse_qsl

from livegate.core.errors import ErrorCode, RequestError
from livegate.gateway.dialect import Head
from livegate.gateway.multipart import is_form, parts_from_form

MAX_FIELDS = 64
MAX_TEXT_BYTES = 8192
MAX_TEXT_BODY_BYTES = MAX_FIELDS * MAX_TEXT_BYTES
"""Of a body without files: text that is taken apart needs many times its own memory."""
MEDIA = ("image/", "video/", "audio/")
TEXT_LOOK_BYTES = 512
"""No text has a zero in it, and every picture and video has one in its head."""
Fields = Mapping[str, str | bytes]
"""Texts, and the bytes of files."""
Pair = tuple[str, str | bytes]


class EncodingError(RequestError):
    """A parameter that is not UTF-8."""

    def __init__(self, where: str) -> None:
        """`where`: query or body."""
        super().__init__(
            ErrorCode.INVALID_PARAM,
            f"the {where} has a parameter that is not UTF-8",
            hint="encode it so",
        )


def query_fields(head: Head) -> Fields:
    """The parameters of the query.

    Raises:
        RequestError: INVALID_PARAM, PARAM_FAILURE.
    """
    return _merged(_urlencoded(head.query.encode("latin-1", "replace"), "query"))


def all_fields(head: Head, body: bytes, *, files: Collection[str]) -> Fields:
    """The parameters of query and body; parts of a form that are named in `files` stay bytes.

    Raises:
        RequestError: INVALID_PARAM, PARAM_FAILURE; OUT_OF_RANGE for a form with too many parts, or
            another body that is too large.
    """
    return _merged((*query_fields(head).items(), *_body_pairs(head, body, files)))


def _body_pairs(head: Head, body: bytes, files: Collection[str]) -> Iterable[Pair]:
    content_type = head.headers.get("content-type", "")
    if is_form(content_type):
        return _form(content_type, body, files)
    _require_short(body)
    if content_type.lower().startswith(MEDIA) or b"\0" in body[:TEXT_LOOK_BYTES]:
        raise RequestError(
            ErrorCode.INVALID_PARAM,
            f"the body is a file by itself ({content_type[:80] or 'without a Content-Type'})",
            hint="send files as files of a multipart form",
        )
    if "json" in content_type.lower() or body.lstrip()[:1] == b"{":
        return _json(body)
    return _urlencoded(body, "body")


def _require_short(body: bytes) -> None:
    if len(body) > MAX_TEXT_BODY_BYTES:
        raise RequestError(
            ErrorCode.OUT_OF_RANGE,
            f"a body without files has {len(body)} bytes, the limit is {MAX_TEXT_BODY_BYTES}",
            hint="send files as files of a multipart form",
        )


def _form(content_type: str, body: bytes, files: Collection[str]) -> Iterator[Pair]:
    for part in parts_from_form(content_type, body):
        if part.name in files:
            yield part.name, part.content
        elif part.filename is None:
            yield part.name, _text(part.content, "body")


def _urlencoded(content: bytes, where: str) -> Iterator[Pair]:
    # Latin-1 keeps every byte, encoded or not; whether they are UTF-8 is looked at afterwards.
    text = content.decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        fact = f"the {where} has more than {MAX_FIELDS} parameters"
        raise RequestError(ErrorCode.PARAM_FAILURE, fact) from error
    for name, value in pairs:
        yield _text(name.encode("latin-1"), where), _text(value.encode("latin-1"), where)


def _json(body: bytes) -> Iterator[Pair]:
    # Not msgspec: of a name that stands there twice it shows the last one only.
    try:
        found = json.loads(body.decode(), object_pairs_hook=tuple, parse_int=str, parse_float=str)
    except UnicodeDecodeError as error:
        raise EncodingError("body") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise RequestError(ErrorCode.INVALID_PARAM, f"the body is not JSON: {error}") from error
    if not isinstance(found, tuple):
        raise RequestError(ErrorCode.INVALID_PARAM, "the body is JSON, but no object")
    for name, value in found:
        if isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, str):
            yield name, _text(value.encode("utf-8", "surrogatepass"), "body")


def _text(content: bytes, where: str) -> str:
    if len(content) > MAX_TEXT_BYTES:
        raise RequestError(
            ErrorCode.PARAM_FAILURE,
            f"the {where} has a parameter of {len(content)} bytes, the limit is {MAX_TEXT_BYTES}",
            hint="send files as files of a multipart form",
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise EncodingError(where) from error


def _merged(pairs: Iterable[Pair]) -> Fields:
    found: dict[str, str | bytes] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise RequestError(
                ErrorCode.PARAM_FAILURE, f"{name[:40]!r} is given twice, and not the same"
            )
    return found
