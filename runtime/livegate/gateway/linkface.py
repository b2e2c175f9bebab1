"""The statuses of the Linkface cloud, and the exception that names one of them.

Statuses and their HTTP numbers are the cloud's own; docs/dialects/linkface.md shows the table and says
which HTTP numbers beside it are our choice.
"""

from __future__ import annotations

from enum import Enum

from livegate.core.errors import ErrorCode, LiveGateError, RequestError


class LinkfaceStatus(str, Enum):
    """One row: status, HTTP status, our own code, and what raises it."""

    http_status: int
    ours: ErrorCode
    origin: str

    def __new__(cls, status: str, http: int, ours: ErrorCode, origin: str) -> LinkfaceStatus:
        """Make the status a text that carries the rest of its row."""
        member = str.__new__(cls, status)
        member._value_ = status
        member.http_status = http
        member.ours = ours
        member.origin = origin
        return member

    # fmt: off
    OK = "OK", 200, ErrorCode.OK, "every answer without an error; a spoof is an answer"
    ENCODING_ERROR = "ENCODING_ERROR", 400, ErrorCode.INVALID_PARAM, "a parameter, or its name, that is not UTF-8"
    DOWNLOAD_TIMEOUT = "DOWNLOAD_TIMEOUT", 400, ErrorCode.PARAM_FAILURE, "a `*_url` that was not fetched within 5 s, of check_liveness within 10 s"
    DOWNLOAD_ERROR = "DOWNLOAD_ERROR", 400, ErrorCode.PARAM_FAILURE, "a `*_url` that this box may not fetch, or that did not give a file"
    INVALID_ARGUMENT = "INVALID_ARGUMENT", 400, ErrorCode.PARAM_FAILURE, "a parameter that is missing, wrong, or given twice; a `liveness_data_id` that is unknown or has expired; a form or a body that cannot be read, is too large or came too slowly (408)"
    WRONG_LIVENESS_DATA = "WRONG_LIVENESS_DATA", 400, ErrorCode.DECODE_FAIL, "a file of the cloud's own SDK, which is encrypted; a container that is damaged, of an unknown device, too old, seen before, or not sealed where it must be; a picture or a video that is damaged or outside the limits"
    NO_FACE_DETECTED = "NO_FACE_DETECTED", 400, ErrorCode.OK, "no face, none large enough, or in a video none that looks at the camera; a verdict, not a failure"
    IMAGE_ID_NOT_EXIST = "IMAGE_ID_NOT_EXIST", 400, ErrorCode.NO_EXIST, "an `image_id` that is unknown or has expired"
    IMAGE_FILE_SIZE_TOO_BIG = "IMAGE_FILE_SIZE_TOO_BIG", 400, ErrorCode.OUT_OF_RANGE, "selfie_hack_detect: a picture of more than 5 MiB, or above limits.max_image_bytes"
    CORRUPT_IMAGE = "CORRUPT_IMAGE", 400, ErrorCode.DECODE_FAIL, "selfie_hack_detect: a file that is damaged or no picture"
    INVALID_IMAGE_FORMAT_OR_SIZE = "INVALID_IMAGE_FORMAT_OR_SIZE", 400, ErrorCode.DECODE_FAIL, "selfie_hack_detect: GIF, TIFF, HEIC and AVIF; too many or too few pixels"
    UNAUTHORIZED = "UNAUTHORIZED", 401, ErrorCode.NO_PERMISSION, "an `api_id` and `api_secret` that are missing or wrong"
    KEY_EXPIRED = "KEY_EXPIRED", 401, ErrorCode.NO_PERMISSION, "the right secret after the day that `expires` names"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED", 403, ErrorCode.FULL, "an `api_id` above its rate_limit_rps"
    NO_PERMISSION = "NO_PERMISSION", 403, ErrorCode.UNREALIZED, "a method of the cloud that this box does not have; a video on a box without the models of landmarks and head pose; check_liveness where `challenge.required` is set"
    OUT_OF_QUOTA = "OUT_OF_QUOTA", 403, ErrorCode.FULL, "an `api_id` that used up its quota of the day (UTC)"
    NOT_FOUND = "NOT_FOUND", 404, ErrorCode.NO_EXIST, "another path, or another HTTP method"
    INTERNAL_ERROR = "INTERNAL_ERROR", 500, ErrorCode.INNER, "a network that failed, or a defect of ours; with 503: a full queue, a box that warms up or shuts down, no memory, a wait that was too long"
    # fmt: on

    @property
    def is_reserved(self) -> bool:
        """Whether nothing answers with this status."""
        return self.origin.startswith("reserved:")


class LinkfaceError(RequestError):
    """A refusal that the dialect itself gives a row of the table."""

    def __init__(self, row: LinkfaceStatus, reason: str, *, hint: str = "") -> None:
        """Logs and metrics see our own code."""
        super().__init__(row.ours, reason, hint=hint)
        self.row = row


BUSY = frozenset(code for code in ErrorCode if code.http_status == 503) | {ErrorCode.TIMEOUT}
"""Try again: the table has no status for it, so it is INTERNAL_ERROR with 503."""
_ROWS: dict[ErrorCode, LinkfaceStatus] = {
    ErrorCode.NO_EXIST: LinkfaceStatus.NOT_FOUND,
    ErrorCode.UNREALIZED: LinkfaceStatus.NOT_FOUND,
    ErrorCode.NO_PERMISSION: LinkfaceStatus.UNAUTHORIZED,
    ErrorCode.FULL: LinkfaceStatus.RATE_LIMIT_EXCEEDED,
    ErrorCode.PARAM_FAILURE: LinkfaceStatus.INVALID_ARGUMENT,
    ErrorCode.INVALID_PARAM: LinkfaceStatus.INVALID_ARGUMENT,
    ErrorCode.OUT_OF_RANGE: LinkfaceStatus.INVALID_ARGUMENT,
    ErrorCode.DECODE_FAIL: LinkfaceStatus.WRONG_LIVENESS_DATA,
}


def linkface_status(error: LiveGateError) -> LinkfaceStatus:
    """The row of any error; INTERNAL_ERROR for what is not the caller's to mend."""
    if isinstance(error, LinkfaceError):
        return error.row
    return _ROWS.get(error.code, LinkfaceStatus.INTERNAL_ERROR)


def linkface_table_markdown() -> list[str]:
    """The rows of the table in docs/dialects/linkface.md; a test holds the two together."""
    return [f"| {row.http_status} | {row.value} | {row.origin} |" for row in LinkfaceStatus]
