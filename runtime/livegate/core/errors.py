"""The error table of the AIPaaS contract, and the exceptions that carry it.

LiveGateError                 code, message, hint, fields
|- RequestError               the caller can mend it: parameters, pictures, limits
|  `- AuthError               who are you? (1010)
|- SetupError                 the operator can mend it: files, models, ports, configuration
|- EngineError                a network did not run (1030; of an Ascend also 1007, 1011, 1013, 1026)
|- QueueError                 no place or no more service (5001, 5002, 5003)
|- CaptureError               a camera gives no pictures (2001..2023); ingest/failure.py has it
`- DeadlineError              time was up before the work was done (1011)

A message is: fact, value, limit. The hint is what to do about it. `fields` are for machines and
never hold pixels or secrets. "No face", "too dark" and "spoof" are verdicts, not errors.

Symbols and English texts are the contract's own, misspellings included. Its Chinese column is
displaced by one row at 2001..2004 (2001 carries the title of the section); the texts here follow
the symbols.
"""

from __future__ import annotations

from enum import IntEnum

ERROR_DOMAIN = "livegate"
"""Whose numbers these are, where an error travels among others'."""


class ErrorCode(IntEnum):
    """One row of the table: number, symbol, texts, gRPC status, HTTP status, and what raises it.

    `origin` says what in LiveGate answers with the code, or starts with "reserved:" and the reason.
    """

    symbol: str
    english: str
    chinese: str
    grpc_status: str
    http_status: int
    origin: str

    def __new__(
        cls, code: int, symbol: str, english: str, chinese: str, grpc: str, http: int, origin: str
    ) -> ErrorCode:
        """Make the number an int that carries the rest of its row."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.symbol = symbol
        member.english = english
        member.chinese = chinese
        member.grpc_status = grpc
        member.http_status = http
        member.origin = origin
        return member

    # fmt: off
    OK = 0, "APP_ERR_OK", "ok", "正常状态", "OK", 200, "every answer without an error"
    FAILURE = 1001, "APP_ERR_COMM_FAILURE", "General Failed", "失败", "UNKNOWN", 500, "reserved: every failure we know has a number of its own"
    INNER = 1002, "APP_ERR_COMM_INNER", "Internal error", "内部错误", "INTERNAL", 500, "a defect of ours: an exception nobody expected, logged with its request id"
    INVALID_POINTER = 1003, "APP_ERR_COMM_INVALID_POINTER", "Invalid Pointer", "无效指针", "INTERNAL", 500, "reserved: Python has no pointers to get wrong"
    INVALID_PARAM = 1004, "APP_ERR_COMM_INVALID_PARAM", "Invalid parameter", "无效参数", "INVALID_ARGUMENT", 400, "a body that cannot be read as a message at all: empty, not JSON, not protobuf, not a frame queue's packet"
    UNREALIZED = 1005, "APP_ERR_COMM_UNREALIZED", "Not implemented", "未实现", "UNIMPLEMENTED", 405, "a gRPC method or an HTTP method that this server does not have"
    OUT_OF_MEM = 1006, "APP_ERR_COMM_OUT_OF_MEM", "Out of memory", "内存溢出", "RESOURCE_EXHAUSTED", 503, "the machine refused memory while a request was worked on, or for new models beside those that serve; a producer's slots do not fit the limits"
    ALLOC_MEM = 1007, "APP_ERR_COMM_ALLOC_MEM", "memory allocation error", "内存分配错误", "RESOURCE_EXHAUSTED", 503, "device memory: a GPU or NPU has too little for an engine, its build or a run"
    FREE_MEM = 1008, "APP_ERR_COMM_FREE_MEM", "free memory error", "内存释放错误", "INTERNAL", 500, "reserved: device memory is given back without a word; a device that fails is 1030 where it is waited for"
    OUT_OF_RANGE = 1009, "APP_ERR_COMM_OUT_OF_RANGE", "out of range", "内存越界", "OUT_OF_RANGE", 413, "bytes or pixels above a configured limit: a body, a picture, a video, a model file, a bundle"
    NO_PERMISSION = 1010, "APP_ERR_COMM_NO_PERMISSION", "NO Permission", "无权限", "UNAUTHENTICATED", 401, "missing, wrong or expired credentials; a user who may not hand over frames; a bundle that no trusted key has signed; a private key or an installation that others could change"
    TIMEOUT = 1011, "APP_ERR_COMM_TIMEOUT", "Timed out", "超时", "DEADLINE_EXCEEDED", 408, "the deadline passed in the queue, or the body came too slowly; a camera frame that was too old for its turn; a video that took too long to decode; a challenge that was answered too late"
    NOT_INIT = 1012, "APP_ERR_COMM_NOT_INIT", "Not initialized", "未初始化", "UNAVAILABLE", 503, "a request before the models are warm"
    INIT_FAIL = 1013, "APP_ERR_COMM_INIT_FAIL", "initialize failed", "初始化错误", "FAILED_PRECONDITION", 500, "the server cannot start: address in use or not bindable, provider missing, bind without credentials; a bundle that does not fit the box, or whose version would not start; wheels for a bundle that are not to be had"
    INPROGRESS = 1014, "APP_ERR_COMM_INPROGRESS", "Operation now in progress", "操作正在进行中", "UNAVAILABLE", 503, "a request while engines are being built, before the server is ready"
    EXIST = 1015, "APP_ERR_COMM_EXIST", "Object; file or other resource already exist", "资源已存在", "ALREADY_EXISTS", 409, "a second producer for a camera that is connected already; a file of another kind at the path of a socket; a challenge that was answered already; a bundle that is older than the version that serves; a key file that is there already"
    NO_EXIST = 1016, "APP_ERR_COMM_NO_EXIST", "Object; file or other resource doesn't exist", "资源不存在", "NOT_FOUND", 404, "an HTTP path, a picture file, a model id or a plug-in that is not there; a frame ticket that is used up; a camera that nobody knows; a challenge that nobody started; an object of `urls.buckets`, or a model file upstream, that is not there; a version to roll back to that is not there"
    BUSY = 1017, "APP_ERR_COMM_BUSY", "Object; file or other resource is in use", "资源在使用中", "ABORTED", 409, "the Unix socket already belongs to a running server; engines that another process is building; the client library: `ask` while other frames are under way; a camera on which another challenge is being answered; a model file that is being downloaded already; a reload of the models while another is under way; an installation of a bundle while another is at work"
    FULL = 1018, "APP_ERR_COMM_FULL", "No available Device or resource", "无可用资源", "RESOURCE_EXHAUSTED", 429, "an app id above its rate limit or its quota; one producer, connection or message too many on the frame queue; one stream too many; one open challenge too many"
    OPEN_FAIL = 1019, "APP_ERR_COMM_OPEN_FAIL", "Device; file or resource open failed", "文件或资源打开失败", "FAILED_PRECONDITION", 500, "a file that is there but cannot be opened: configuration, picture, manifest"
    READ_FAIL = 1020, "APP_ERR_COMM_READ_FAIL", "Device; file or resource read failed", "文件或资源读失败", "FAILED_PRECONDITION", 500, "a configuration or a manifest that is not readable as TOML; a bundle that is damaged, cut short, changed or none; a key file that holds no key"
    WRITE_FAIL = 1021, "APP_ERR_COMM_WRITE_FAIL", "Device; file or resource write failed", "文件或资源写失败", "FAILED_PRECONDITION", 500, "`models pull` or `engines build` cannot write into the cache; `bundle`, `install-bundle` or `rollback` cannot write, or there is too little room"
    DESTORY_FAIL = 1022, "APP_ERR_COMM_DESTORY_FAIL", "Device; file or resource destory failed", "文件或资源释放失败", "INTERNAL", 500, "reserved: engines and cameras that do not close"
    EXIT = 1023, "APP_ERR_COMM_EXIT", "End of data stream; stop the application", "数据流结束，退出程序", "OUT_OF_RANGE", 500, "a camera that is watched was removed, or its source has ended: no more frames will come"
    CONNECTION_CLOSE = 1024, "APP_ERR_COMM_CONNECTION_CLOSE", "Out of connection; Communication shutdown", "连接断开", "CANCELLED", 499, "the client left before its answer; seen in logs and metrics only; the client library: the server left"
    CONNECTION_FAILURE = 1025, "APP_ERR_COMM_CONNECTION_FAILURE", "connection fail", "连接失败", "UNAVAILABLE", 502, "the client library: no server answers at the address; a URL of `urls.allow`, or upstream of `models pull`, that does not answer; a wheel for `livegate bundle` that does not come"
    STREAM_INVALID = 1026, "APP_ERR_COMM_STREAM_INVALID", "ACL stream is null pointer", "无效流", "INTERNAL", 500, "an Ascend: a stream or another handle of the device is invalid, or of another context"
    REGION_ERROR = 1027, "APP_ERR_COMM_REGION_ERROR", "region error", "区域校验失败", "INVALID_ARGUMENT", 400, "a region of interest that is empty or reaches over the picture"
    DECODE_FAIL = 1028, "APP_ERR_COMM_DECODE_FAIL", "Image decode fail", "图片解码失败", "INVALID_ARGUMENT", 400, "a picture that is damaged, cut short, or not JPEG, PNG, BMP or WebP; base64 that is not base64; a video that does not open; a liveness-data container that is damaged or does not open"
    MODELINIT_FAIL = 1029, "APP_ERR_COMM_MODELINIT_FAIL", "Model init fail", "模型初始化失败", "FAILED_PRECONDITION", 500, "a model file that is missing, cut short or tampered with; a manifest or a network that does not fit; an engine that strays from its golden outputs; a built engine that is missing, damaged or foreign"
    MODELINFER_FAIL = 1030, "APP_ERR_COMM_MODELINFER_FAIL", "Model infer fail", "模型推理失败", "INTERNAL", 500, "a network that failed while it ran, or answered with numbers that are not finite"
    PARAM_FAILURE = 1031, "APP_ERR_COMM_PARAM_FAILURE", "param check fail", "参数校验失败", "INVALID_ARGUMENT", 400, "a field that is missing, of the wrong type, unknown or contradictory; too many or too small pictures; a video of another length than allowed; a task whose model is not on this box; a video that answers no challenge where `challenge.required` is set"
    STREAMPULLER_OPEN_FAIL = 2001, "APP_ERR_STREAMPULLER_OPEN_FAIL", "Open input stream failed", "流打开失败", "UNAVAILABLE", 502, "a camera that cannot be opened: no such file or device, no answer, refused, not found on the server"
    STREAMPULLER_STREAMINFOFIND_FAIL = 2002, "APP_ERR_STREAMPULLER_STREAMINFOFIND_FAIL", "Find stream information failed", "查找流信息失败", "UNAVAILABLE", 502, "a camera that opens, but does not tell the size or the format of its pictures; the same of a video"
    STREAMPULLER_EOF = 2003, "APP_ERR_STREAMPULLER_EOF", "Stream if EOF", "流结束", "OUT_OF_RANGE", 502, "the end of a file, or a camera that ended its stream"
    STREAMPULLER_READFRAME_FAIL = 2004, "APP_ERR_STREAMPULLER_READFRAME_FAIL", "Stream read error frame", "读取流帧失败", "UNAVAILABLE", 502, "a camera that fell silent or broke off; a camera process that died or shows no life"
    STREAMPULLER_REOPEN_FAIL = 2005, "APP_ERR_STREAMPULLER_REOPEN_FAIL", "Reopen input stream failed", "重新打开流失败", "UNAVAILABLE", 502, "a camera that was open once and cannot be opened again yet"
    STREAMPULLER_STREAMFIND_FAIL = 2006, "APP_ERR_STREAMPULLER_STREAMFIND_FAIL", "Find no video stream", "查找视频channel失败", "FAILED_PRECONDITION", 502, "a source without a video stream; a video that is sound only"
    STREAMPULLER_STREAMFORMAT_ERROR = 2007, "APP_ERR_STREAMPULLER_STREAMFORMAT_ERROR", "Stream is unsupported video format", "不支持的视频格式", "FAILED_PRECONDITION", 502, "a codec that cameras do not use: h264, hevc, mjpeg, mpeg4, vp8, vp9, av1 and raw video are read; a codec that videos of requests do not have (docs/actions.md)"
    VIDEODECODER_BASE = 2020, "APP_ERR_VIDEODECODER_BASE", "For Videodecoder", "解码模块", "INTERNAL", 500, "reserved: the contract's title of a section, not an error"
    VIDEODECODER_CREATE_FAIL = 2021, "APP_ERR_VIDEODECODER_CREATE_FAIL", "Create MxBase::VideoDecoder Exception", "创建解码器失败", "INTERNAL", 500, "a decoder that does not start, for a camera or a video"
    VIDEODECODER_UNSUPPORT_FORMAT = 2022, "APP_ERR_VIDEODECODER_UNSUPPORT_FORMAT", "Stream is unsupported video format", "不支持的视频格式", "INVALID_ARGUMENT", 400, "pictures of a camera that are too large, too small or in a pixel format that cannot be converted; a video whose pictures change their size"
    VIDEODECODER_DECODE_FAIL = 2023, "APP_ERR_VIDEODECODER_DECODE_FAIL", "decode fail", "视频解码失败", "INVALID_ARGUMENT", 400, "several packets in a row that cannot be decoded; a video that is damaged or cut short (not seen of WebM, MKV and FLV with sound), or whose process died"
    CONFIG_BASE = 2040, "APP_ERR_CONFIG_BASE", "For modulebase", "参数配置", "INTERNAL", 500, "reserved: the contract's title of a section, not an error"
    CONFIG_ADD_FAIL = 2041, "APP_ERR_CONFIG_ADD_FAIL", "Add new algo config failed", "添加参数失败", "FAILED_PRECONDITION", 500, "a configuration key or value that is refused at start; a camera that cannot be added; a configuration with credentials for a bundle"
    CONFIG_UPDATE_FAIL = 2042, "APP_ERR_CONFIG_UPDATE_FAIL", "update config failed", "更新参数失败", "FAILED_PRECONDITION", 500, "a camera that is to be changed and is not there, or whose new settings are refused"
    CONFIG_DELETE_FAIL = 2043, "APP_ERR_CONFIG_DELETE_FAIL", "delete config failed", "删除参数失败", "FAILED_PRECONDITION", 500, "a camera that is to be removed and is not there"
    QUEUE_EMPTY = 5001, "APP_ERR_QUEUE_EMPTY", "Queue: empty queue", "队列为空", "UNAVAILABLE", 503, "reading from a frame queue with a timeout: no frame came"
    QUEUE_STOPED = 5002, "APP_ERR_QUEUE_STOPED", "Queue: queue stoped", "队列已停止", "UNAVAILABLE", 503, "a request after the server began to shut down"
    QUEUE_FULL = 5003, "APP_ERR_QUEUE_FULL", "Queue: full queue", "队列满", "RESOURCE_EXHAUSTED", 503, "more requests in flight, or more camera frames, than the queue has places; in a flood new requests have half of them"
    # fmt: on

    @classmethod
    def from_number(cls, number: int) -> ErrorCode:
        """The row of a number that came over a wire; FAILURE for one that the table has not."""
        return next((code for code in cls if code == number), cls.FAILURE)

    @property
    def is_reserved(self) -> bool:
        """Whether nothing in LiveGate answers with this code yet."""
        return self.origin.startswith("reserved:")


class LiveGateError(Exception):
    """An error with a number: what happened, what to do, and context for machines."""

    def __init__(
        self, code: ErrorCode, message: str, *, hint: str = "", fields: dict[str, str] | None = None
    ) -> None:
        """Keep the parts; `fields` must never hold pixels or secrets."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.fields = fields or {}

    @property
    def text(self) -> str:
        """The table's English text, then the message: what goes into `msg` on every face."""
        return f"{self.code.english}: {self.message}"

    def __str__(self) -> str:
        """The one line that logs and terminals show."""
        line = f"{int(self.code)} {self.code.symbol}: {self.message}"
        return f"{line} ({self.hint})" if self.hint else line


class RequestError(LiveGateError):
    """The caller sent something that cannot be answered."""


class AuthError(RequestError):
    """The caller did not prove who it is."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Always 1010."""
        super().__init__(ErrorCode.NO_PERMISSION, message, hint=hint)


class SetupError(LiveGateError):
    """The box is not set up so that it can work; the operator mends it."""


class EngineError(LiveGateError):
    """A network did not run, or answered nonsense."""

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode = ErrorCode.MODELINFER_FAIL,
        fields: dict[str, str] | None = None,
    ) -> None:
        """1030, unless a device tells more of it: its memory, its streams, its time."""
        super().__init__(code, message, fields=fields)


class QueueError(LiveGateError):
    """The queue is empty, stopped or full."""


class DeadlineError(LiveGateError):
    """Time was up before the work was done."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Always 1011."""
        super().__init__(ErrorCode.TIMEOUT, message, hint=hint)


def first_line(error: object) -> str:
    """What somebody else's error says, in one line; the name of its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def as_livegate_error(error: BaseException) -> LiveGateError:
    """Give any exception its number: ours keep theirs, MemoryError is 1006, the rest is 1002."""
    if isinstance(error, LiveGateError):
        return error
    if isinstance(error, MemoryError):
        return LiveGateError(
            ErrorCode.OUT_OF_MEM, "the box has no memory left for this request", hint="send less"
        )
    return LiveGateError(
        ErrorCode.INNER,
        f"unexpected {type(error).__name__}",
        hint="the log has the details under this request id",
    )


def errors_markdown() -> str:
    """The table as docs/errors.md; `make docs` writes it and a test holds the two together."""
    head = [
        "# Error codes",
        "",
        "Generated from `runtime/livegate/core/errors.py` by `make docs`. A cloud's clients read its own codes:",
        "[AIPaaS](dialects/aipaas.md) these numbers, [Huawei FRS](dialects/huawei_frs.md#errors) `FRS.…`,",
        "[Linkface](dialects/linkface.md#errors) a status in words.",
        "",
        "| code | symbol | English | Chinese | gRPC | HTTP | what raises it in LiveGate |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [
        f"| {int(c)} | {c.symbol} | {c.english} | {c.chinese} | {c.grpc_status} | {c.http_status} "
        f"| {c.origin} |"
        for c in ErrorCode
    ]
    return "\n".join([*head, *rows]) + "\n"
