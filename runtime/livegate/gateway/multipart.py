"""multipart/form-data (RFC 7578), read in memory.

The usual parsers spool parts above 1 MB to a temporary file: pixels on disk. This one finds the
delimiters in a body that is in memory already (and within the HTTP face's limits) and copies each
part's content out once, after the limits on parts and headers have held.

Strict where two readers could disagree (delimiters, header lines, the end of the form), lenient where
real clients differ: `boundary=` without a blank before it or in quotes, text before the first and
after the last delimiter, blanks after a delimiter, parts with a Content-Length of their own (the
delimiter decides, not the number), parts without a Content-Type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from livegate.core.errors import ErrorCode, RequestError

FORM = "multipart/form-data"
MAX_PARTS = 32
MAX_PART_HEADER_BYTES = 4096
MAX_BOUNDARY = 200
"""RFC 2046 allows 70; some clients send more."""
MAX_DELIMITERS = 1000
"""Those that only look like one included: chance makes none, and each costs a step."""
MAX_PADDING = 80
ENCODINGS = frozenset(("", "7bit", "8bit", "binary"))
PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))')
HINT = "send multipart/form-data as curl -F and the cloud's SDK do"


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form. `filename` is None for a field that is no file; it is never opened."""

    name: str
    filename: str | None
    content_type: str
    content: bytes


def is_form(content_type: str) -> bool:
    """Whether a Content-Type says multipart/form-data."""
    return content_type.partition(";")[0].strip().lower() == FORM


def parts_from_form(content_type: str, body: bytes) -> tuple[Part, ...]:
    """Every part of a form, in the order of the body.

    Raises:
        RequestError: INVALID_PARAM when it is not a form, OUT_OF_RANGE for too many parts or a
            part's header that is too long.
    """
    spans: list[tuple[int, int]] = []
    for span in _spans(_boundary(content_type), body):
        if len(spans) == MAX_PARTS:
            raise _too_much(f"the form has more than {MAX_PARTS} parts")
        spans.append(span)
    return tuple(_part(body, start, end) for start, end in spans)


def _boundary(content_type: str) -> bytes:
    parameters = _parameters(content_type)
    boundary = parameters.get("boundary", "").encode("latin-1", "replace")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise _malformed(f"its Content-Type names no boundary of 1 to {MAX_BOUNDARY} letters")
    return boundary


def _spans(boundary: bytes, body: bytes) -> Iterator[tuple[int, int]]:
    """Where each part (header and content) begins and ends.

    A delimiter is CRLF, two dashes and the boundary at the end of its line. The CRLF belongs to it;
    the body's first line needs none.
    """
    delimiter = b"\r\n--" + boundary
    at = -2 if body.startswith(delimiter[2:]) else body.find(delimiter)
    begin = None
    for _ in range(MAX_DELIMITERS):
        if at == -1:
            raise _malformed("its last delimiter is missing" if begin else "its boundary is not there")
        after = at + len(delimiter)
        is_last = body.startswith(b"--", after)
        line_end = after if is_last else _line_end(body, after)
        if line_end is not None:
            if begin is not None:
                yield begin, at
            if is_last:
                return
            begin = line_end
        # The CRLF that ends this line may begin the next delimiter.
        at = body.find(delimiter, after if line_end is None else line_end - 2)
    raise _too_much(f"the form has more than {MAX_DELIMITERS} lines that begin like its boundary")


def _line_end(body: bytes, start: int) -> int | None:
    """Where the next line begins when nothing but blanks stands before it."""
    rest = body[start : start + MAX_PADDING].lstrip(b" \t")
    blanks = len(body[start : start + MAX_PADDING]) - len(rest)
    return start + blanks + 2 if rest.startswith(b"\r\n") else None


def _part(body: bytes, start: int, end: int) -> Part:
    # A part without header lines begins with the empty line.
    split = start - 2 if body.startswith(b"\r\n", start) else body.find(b"\r\n\r\n", start, end)
    if split == -1:
        raise _malformed("a part has no empty line after its header")
    if split - start > MAX_PART_HEADER_BYTES:
        raise _too_much(f"the header of a part has more than {MAX_PART_HEADER_BYTES} bytes")
    headers = _headers(body[start : max(start, split)])
    disposition = headers.get("content-disposition", "")
    parameters = _parameters(disposition)
    name = parameters.get("name", "")
    if disposition.partition(";")[0].strip().lower() != "form-data" or not name:
        raise _malformed("a part has no Content-Disposition: form-data with a name")
    encoding = headers.get("content-transfer-encoding", "").lower()
    if encoding not in ENCODINGS:
        raise _malformed(f"the Content-Transfer-Encoding {encoding[:40]!r} is not read")
    content = body[split + 4 : end]
    return Part(name, parameters.get("filename"), headers.get("content-type", ""), content)


def _headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n") if block else ():
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _malformed("the header of a part has a line without a name and a colon")
        headers[name.lower()] = value.strip()
    return headers


def _parameters(value: str) -> dict[str, str]:
    """The parameters after the first word; of two with one name the first counts."""
    found: dict[str, str] = {}
    for name, quoted, token in PARAMETER.findall(value):
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or token)
    return found


def _malformed(fact: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_PARAM, f"the form cannot be read: {fact}", hint=HINT)


def _too_much(fact: str) -> RequestError:
    return RequestError(ErrorCode.OUT_OF_RANGE, fact, hint=HINT)
