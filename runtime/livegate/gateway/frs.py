"""The error table of Huawei Cloud's face service, and the exception that names one of its rows.

Codes, HTTP statuses and texts are the cloud's own where it publishes them; docs/dialects/huawei_frs.md
shows the table and says which statuses and texts are our choice.
"""

from __future__ import annotations

from enum import Enum

from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.gateway.fetch import Failure, FetchError

FACE_SETS = "reserved: face sets are not served"


class FrsCode(str, Enum):
    """One row: code, HTTP status, text (%s is the fact), our own code, and what raises it.

    `origin` says what answers with the code, or starts with "reserved:" and the reason.
    """

    http_status: int
    text: str
    ours: ErrorCode
    origin: str

    def __new__(cls, code: str, http: int, text: str, ours: ErrorCode, origin: str) -> FrsCode:
        """Make the code a text that carries the rest of its row."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.http_status = http
        member.text = text
        member.ours = ours
        member.origin = origin
        return member

    # fmt: off
    NO_API = "APIG.0101", 404, "The API does not exist or has not been published in the environment.", ErrorCode.NO_EXIST, "a path or a method below /v1/ or /v2/ that this box does not have"
    BAD_SIGNATURE = "APIG.0301", 401, "Incorrect IAM authentication information: %s", ErrorCode.NO_PERMISSION, "an AK/SK signature that is wrong, of an unknown access key, or outside the clock window"
    BACKEND_TIMEOUT = "APIGW.0201", 504, "Backend timeout.", ErrorCode.TIMEOUT, "a picture that waited too long in the queue; with 408: a body that came too slowly"
    NOT_AUTHORIZED = "APIGW.0302", 403, "The IAM user is not authorized to access the API.", ErrorCode.NO_PERMISSION, "reserved: whoever has credentials may call every method"
    BAD_APP = "APIGW.0303", 401, "Incorrect app authentication information", ErrorCode.NO_PERMISSION, "reserved: there are no APIG apps here"
    BAD_TOKEN = "FRS.0002", 403, "The authentication token is abnormal.", ErrorCode.NO_PERMISSION, "an X-Auth-Token that is none of huawei_frs.tokens"
    NO_HEADER = "FRS.0010", 400, "Lack Header or Header %s is empty.", ErrorCode.NO_PERMISSION, "neither X-Auth-Token nor Authorization, or a signature without X-Sdk-Date"
    NO_PARAM = "FRS.0011", 400, "Lack the request parameter, or the request parameter %s is empty.", ErrorCode.PARAM_FAILURE, "no picture, no video, no actions"
    BAD_PARAM = "FRS.0012", 400, "The request param has wrong format, %s", ErrorCode.PARAM_FAILURE, "a field of the wrong type or out of its range, two inputs at once, a form that cannot be read"
    BAD_SIZE = "FRS.0013", 400, "The size of the image or of the face is not supported.", ErrorCode.OUT_OF_RANGE, "a picture with too many or too few pixels; in live-detect-face a face below 40x40"
    BAD_JSON = "FRS.0014", 400, "The JSON format of the input data is incorrect.", ErrorCode.INVALID_PARAM, "a body that is not a JSON object"
    BAD_IMAGE = "FRS.0015", 400, "The image cannot be read.", ErrorCode.DECODE_FAIL, "base64 that is not base64; a file that is damaged or no picture"
    BAD_FORMAT = "FRS.0016", 400, "The file format is not supported.", ErrorCode.DECODE_FAIL, "GIF, TIFF, HEIC and AVIF"
    BODY_TOO_LARGE = "FRS.0017", 400, "The size of the request body is out of the range %s.", ErrorCode.OUT_OF_RANGE, "a body, a base64 text, a file or what a *_url names, above its limit"
    INNER = "FRS.0018", 500, "The service inner error.", ErrorCode.INNER, "a network that failed, or a defect of ours"
    NO_SERVICE = "FRS.0019", 400, "The service has not been subscribed, %s", ErrorCode.UNREALIZED, "live-detect on a box without the models of landmarks and head pose, or with `challenge.required`"
    NO_SUB_SERVICE = "FRS.0020", 400, "The sub-service is not enabled, %s", ErrorCode.UNREALIZED, "face-compare and face-sets: comparing and keeping faces is not what this box does"
    BAD_URL = "FRS.0021", 400, "The URL is invalid.", ErrorCode.PARAM_FAILURE, "a *_url that is neither /bucket/object nor http(s), or that urls.allow does not list"
    NO_OBS = "FRS.0022", 400, "The OBS path cannot be read.", ErrorCode.NO_EXIST, "a bucket or an object that this box has not; a URL whose server does not answer, or too late"
    BAD_PROJECT = "FRS.0028", 403, "The project ID does not match the credentials.", ErrorCode.NO_PERMISSION, "a project_id that is none of the key's or the token's projects"
    BAD_SORT = "FRS.0032", 400, "The sort field is not supported.", ErrorCode.PARAM_FAILURE, FACE_SETS
    TOO_MANY = "FRS.0033", 429, "Too many requests.", ErrorCode.FULL, "a key or a token above its rate_limit_rps"
    DATE_AHEAD = "FRS.0115", 400, "the query_date can not be bigger than today date.", ErrorCode.PARAM_FAILURE, "reserved: statistics are in /metrics"
    DATE_YEAR = "FRS.0116", 400, "the query_date year part should be same as today year.", ErrorCode.PARAM_FAILURE, "reserved: statistics are in /metrics"
    DATE_FORMAT = "FRS.0117", 400, "Invalid query_date Format.", ErrorCode.PARAM_FAILURE, "reserved: statistics are in /metrics"
    BUSY = "FRS.0120", 503, "system busy, please check the api invoke frequency.", ErrorCode.QUEUE_FULL, "a full queue, a box that warms up or shuts down, no memory"
    FROZEN = "FRS.0202", 403, "The service has been freeze.", ErrorCode.NO_PERMISSION, "reserved: there are no accounts to freeze"
    USER_UPDATE = "FRS.0203", 400, "Failed to update the user.", ErrorCode.PARAM_FAILURE, "reserved: there are no accounts"
    SET_EXISTS = "FRS.0301", 400, "The face set exists.", ErrorCode.EXIST, FACE_SETS
    NO_SET = "FRS.0302", 400, "The face set does not exist.", ErrorCode.NO_EXIST, FACE_SETS
    NO_FACE_ID = "FRS.0303", 400, "The face id does not exist.", ErrorCode.NO_EXIST, FACE_SETS
    SEARCH_NO_FACE = "FRS.0304", 400, "There is no face to search for.", ErrorCode.PARAM_FAILURE, FACE_SETS
    NO_SUCH_VALUE = "FRS.0401", 400, "There is no such value to delete.", ErrorCode.NO_EXIST, FACE_SETS
    NO_FIELD = "FRS.0402", 400, "The field does not exist.", ErrorCode.NO_EXIST, FACE_SETS
    NO_FACE_TO_DELETE = "FRS.0403", 400, "The face id does not exist.", ErrorCode.NO_EXIST, FACE_SETS
    ADD_NO_FACE = "FRS.0404", 400, "There is no face to add.", ErrorCode.PARAM_FAILURE, FACE_SETS
    FIELD_UNDEFINED = "FRS.0405", 400, "The field is not defined.", ErrorCode.PARAM_FAILURE, FACE_SETS
    FIELD_TYPE = "FRS.0406", 400, "The type of the field is another.", ErrorCode.PARAM_FAILURE, FACE_SETS
    NOTHING_MATCHES = "FRS.0407", 400, "All the data not suitable, %s.", ErrorCode.PARAM_FAILURE, FACE_SETS
    NO_FACE = "FRS.0501", 400, "Detect no face, check out your picture.", ErrorCode.OK, "face-detect: no face in the picture; a verdict, not a failure"
    BAD_VIDEO = "FRS.0701", 400, "Parse video data failed.", ErrorCode.VIDEODECODER_DECODE_FAIL, "base64 that is not base64; a file that is damaged, cut short, no video, too large in pixels or too small"
    BAD_ACTION = "FRS.0702", 400, "Do not support action %s.", ErrorCode.PARAM_FAILURE, "an action that is none of 1, 2, 3, 4, 5"
    UNKNOWN_0703 = "FRS.0703", 400, "The input is not valid.", ErrorCode.PARAM_FAILURE, "reserved: its meaning is not published"
    TOO_MANY_ACTIONS = "FRS.0704", 400, "The number of action exceed 10.", ErrorCode.PARAM_FAILURE, "more than ten actions"
    BAD_MATCH_MODE = "FRS.0705", 400, "The match mode is not supported.", ErrorCode.PARAM_FAILURE, "reserved: the methods here have no match mode"
    VIDEO_LENGTH = "FRS.0706", 400, "Video time %s.", ErrorCode.PARAM_FAILURE, "a video shorter than video.min_s or longer than video.max_s"
    SILENT_NO_FACE = "FRS.0707", 400, "There is no face in the picture.", ErrorCode.OK, "live-detect-face: no face in the picture; a verdict, not a failure"
    UNKNOWN_0708 = "FRS.0708", 400, "The input is not valid.", ErrorCode.PARAM_FAILURE, "reserved: its meaning is not published"
    SEVERAL_FACES = "FRS.0709", 400, "There are several faces in the picture.", ErrorCode.PARAM_FAILURE, "reserved: the largest face is judged, as the method's page says, with warning 106"
    VIDEO_UNREADABLE = "FRS.0751", 400, "Parse video data failed.", ErrorCode.VIDEODECODER_DECODE_FAIL, "reserved: FRS.0701 says the same"
    # fmt: on

    @property
    def is_reserved(self) -> bool:
        """Whether nothing answers with this code."""
        return self.origin.startswith("reserved:")

    def message(self, fact: str) -> str:
        """The row's text with the fact in it, or after it."""
        return self.text.replace("%s", fact) if "%s" in self.text else f"{self.text} {fact}".strip()


class FrsError(RequestError):
    """A refusal that the dialect itself gives a row of the table."""

    def __init__(self, row: FrsCode, fact: str, *, hint: str = "") -> None:
        """Logs and metrics see our own code."""
        super().__init__(row.ours, fact, hint=hint)
        self.row = row


_BUSY = tuple(code for code in ErrorCode if code.http_status == 503)
_ROWS: dict[ErrorCode, FrsCode] = {
    ErrorCode.NO_EXIST: FrsCode.NO_API,
    ErrorCode.UNREALIZED: FrsCode.NO_API,
    ErrorCode.NO_PERMISSION: FrsCode.BAD_SIGNATURE,
    ErrorCode.TIMEOUT: FrsCode.BACKEND_TIMEOUT,
    ErrorCode.PARAM_FAILURE: FrsCode.BAD_PARAM,
    ErrorCode.INVALID_PARAM: FrsCode.BAD_PARAM,
    ErrorCode.DECODE_FAIL: FrsCode.BAD_IMAGE,
    ErrorCode.OUT_OF_RANGE: FrsCode.BODY_TOO_LARGE,
    ErrorCode.FULL: FrsCode.TOO_MANY,
    **dict.fromkeys(_BUSY, FrsCode.BUSY),
}

_FETCH_ROWS = {
    Failure.REFUSED: FrsCode.BAD_URL,
    Failure.ABSENT: FrsCode.NO_OBS,
    Failure.FAILED: FrsCode.NO_OBS,
    Failure.TIMEOUT: FrsCode.NO_OBS,
    Failure.TOO_LARGE: FrsCode.BODY_TOO_LARGE,
}


def frs_code(error: LiveGateError) -> FrsCode:
    """The row of any error; FRS.0018 for what is not the caller's to mend."""
    if isinstance(error, FrsError):
        return error.row
    if isinstance(error, FetchError):
        return _FETCH_ROWS[error.reason]
    return _ROWS.get(error.code, FrsCode.INNER)


def frs_table_markdown() -> list[str]:
    """The rows of the table in docs/dialects/huawei_frs.md; a test holds the two together."""
    return [f"| {c.value} | {c.http_status} | {c.text} | {c.origin} |" for c in FrsCode]
