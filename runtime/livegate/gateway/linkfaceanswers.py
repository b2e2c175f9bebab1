"""What goes back to a Linkface client: JSON with the cloud's statuses and its form of a request id."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from livegate.core.errors import ErrorCode, LiveGateError
from livegate.core.ids import request_id
from livegate.gateway.dialect import HttpAnswer
from livegate.gateway.fetch import Failure, FetchError
from livegate.gateway.fields import EncodingError
from livegate.gateway.linkface import BUSY, LinkfaceStatus, linkface_status

TID = re.compile(r"TID[0-9a-f]{32}")
HEX_ID = re.compile(r"[0-9a-f]{32}")
VIDEO_CODES = frozenset(code for code in ErrorCode if 2001 <= code < 2030)
INPUT_CODES = VIDEO_CODES | {ErrorCode.DECODE_FAIL, ErrorCode.OUT_OF_RANGE, ErrorCode.PARAM_FAILURE}
"""What the service says of an input that cannot be judged."""


def answer_of(this_id: str, told: dict[str, Any]) -> HttpAnswer:
    """What was told under the request's id; a reason is told instead of anything else."""
    row = LinkfaceStatus.NO_FACE_DETECTED if "reason" in told else LinkfaceStatus.OK
    if "reason" in told:
        told = {"reason": told["reason"]}
    body = {"request_id": _tid(this_id), "status": row.value, **told}
    return HttpAnswer(row.http_status, msgspec.json.encode(body))


def failure_answer(
    error: LiveGateError, bad_input: LinkfaceStatus | None, *, is_understood: bool
) -> HttpAnswer:
    """A failure; `bad_input` is the status of an input that cannot be judged."""
    row = _row(error, bad_input)
    status = row.http_status
    if row is LinkfaceStatus.INTERNAL_ERROR and error.code in BUSY:
        status = 503
        if error.code is ErrorCode.TIMEOUT and not is_understood:  # its body came too slowly
            row, status = LinkfaceStatus.INVALID_ARGUMENT, error.code.http_status
    reason = f"{error.message}; {error.hint}" if error.hint else error.message
    this_id = _tid(error.fields.get("request_id") or request_id(None))
    body = {"status": row.value, "reason": reason, "request_id": this_id}
    return HttpAnswer(status, msgspec.json.encode(body))


def _row(error: LiveGateError, bad_input: LinkfaceStatus | None) -> LinkfaceStatus:
    if isinstance(error, EncodingError):
        return LinkfaceStatus.ENCODING_ERROR
    if isinstance(error, FetchError):
        is_late = error.reason is Failure.TIMEOUT
        return LinkfaceStatus.DOWNLOAD_TIMEOUT if is_late else LinkfaceStatus.DOWNLOAD_ERROR
    if "missing_task" in error.fields:
        return LinkfaceStatus.NO_PERMISSION
    if bad_input is not None and error.code in INPUT_CODES:
        return bad_input
    return linkface_status(error)


def _tid(this_id: str) -> str:
    """A request id in the cloud's form. Ours has 32 hexadecimal digits, a client's may be anything."""
    if TID.fullmatch(this_id):
        return this_id
    digits = this_id if HEX_ID.fullmatch(this_id) else hashlib.sha256(this_id.encode()).hexdigest()[:32]
    return f"TID{digits}"
