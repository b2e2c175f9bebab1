from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_GENUINE: _ClassVar[Decision]
    DECISION_SPOOF: _ClassVar[Decision]
    DECISION_FACE: _ClassVar[Decision]
    DECISION_NO_FACE: _ClassVar[Decision]

class Overflow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERFLOW_WAIT: _ClassVar[Overflow]
    OVERFLOW_NEWEST_WINS: _ClassVar[Overflow]

class PixelFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_FORMAT_UNSPECIFIED: _ClassVar[PixelFormat]
    PIXEL_FORMAT_BGR: _ClassVar[PixelFormat]
    PIXEL_FORMAT_NV12: _ClassVar[PixelFormat]

class GateDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GATE_DECISION_UNSPECIFIED: _ClassVar[GateDecision]
    GATE_DECISION_OPEN: _ClassVar[GateDecision]
    GATE_DECISION_HOLD: _ClassVar[GateDecision]
    GATE_DECISION_DENY: _ClassVar[GateDecision]

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACTION_SHAKE_LEFT: _ClassVar[Action]
    ACTION_SHAKE_RIGHT: _ClassVar[Action]
    ACTION_NOD: _ClassVar[Action]
    ACTION_MOUTH: _ClassVar[Action]
    ACTION_BLINK: _ClassVar[Action]

class PromptKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMPT_KIND_UNSPECIFIED: _ClassVar[PromptKind]
    PROMPT_KIND_SHOW_FACE: _ClassVar[PromptKind]
    PROMPT_KIND_COME_CLOSER: _ClassVar[PromptKind]
    PROMPT_KIND_LOOK_STRAIGHT: _ClassVar[PromptKind]
    PROMPT_KIND_DO: _ClassVar[PromptKind]
    PROMPT_KIND_GOOD: _ClassVar[PromptKind]
    PROMPT_KIND_PASSED: _ClassVar[PromptKind]
    PROMPT_KIND_FAILED: _ClassVar[PromptKind]
DECISION_UNSPECIFIED: Decision
DECISION_GENUINE: Decision
DECISION_SPOOF: Decision
DECISION_FACE: Decision
DECISION_NO_FACE: Decision
OVERFLOW_WAIT: Overflow
OVERFLOW_NEWEST_WINS: Overflow
PIXEL_FORMAT_UNSPECIFIED: PixelFormat
PIXEL_FORMAT_BGR: PixelFormat
PIXEL_FORMAT_NV12: PixelFormat
GATE_DECISION_UNSPECIFIED: GateDecision
GATE_DECISION_OPEN: GateDecision
GATE_DECISION_HOLD: GateDecision
GATE_DECISION_DENY: GateDecision
ACTION_UNSPECIFIED: Action
ACTION_SHAKE_LEFT: Action
ACTION_SHAKE_RIGHT: Action
ACTION_NOD: Action
ACTION_MOUTH: Action
ACTION_BLINK: Action
PROMPT_KIND_UNSPECIFIED: PromptKind
PROMPT_KIND_SHOW_FACE: PromptKind
PROMPT_KIND_COME_CLOSER: PromptKind
PROMPT_KIND_LOOK_STRAIGHT: PromptKind
PROMPT_KIND_DO: PromptKind
PROMPT_KIND_GOOD: PromptKind
PROMPT_KIND_PASSED: PromptKind
PROMPT_KIND_FAILED: PromptKind

class AnalyzeRequest(_message.Message):
    __slots__ = ("code", "task_id", "algo_tasks", "image_list")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ALGO_TASKS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_LIST_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    algo_tasks: _containers.RepeatedCompositeFieldContainer[AlgoTask]
    image_list: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ..., algo_tasks: _Optional[_Iterable[_Union[AlgoTask, _Mapping]]] = ..., image_list: _Optional[_Iterable[bytes]] = ...) -> None: ...

class AlgoTask(_message.Message):
    __slots__ = ("algo_task", "algo_config")
    ALGO_TASK_FIELD_NUMBER: _ClassVar[int]
    ALGO_CONFIG_FIELD_NUMBER: _ClassVar[int]
    algo_task: int
    algo_config: AlgoConfig
    def __init__(self, algo_task: _Optional[int] = ..., algo_config: _Optional[_Union[AlgoConfig, _Mapping]] = ...) -> None: ...

class AlgoConfig(_message.Message):
    __slots__ = ("silentface",)
    SILENTFACE_FIELD_NUMBER: _ClassVar[int]
    silentface: SilentFace
    def __init__(self, silentface: _Optional[_Union[SilentFace, _Mapping]] = ...) -> None: ...

class SilentFace(_message.Message):
    __slots__ = ("algo_type",)
    ALGO_TYPE_FIELD_NUMBER: _ClassVar[int]
    algo_type: int
    def __init__(self, algo_type: _Optional[int] = ...) -> None: ...

class AnalyzeResponse(_message.Message):
    __slots__ = ("code", "task_id", "timestamp", "src_width", "src_height", "frame_width", "frame_height", "results", "detect_objects", "engines", "stages", "request_id")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SRC_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SRC_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_WIDTH_FIELD_NUMBER: _ClassVar[int]
    FRAME_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DETECT_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    timestamp: int
    src_width: int
    src_height: int
    frame_width: int
    frame_height: int
    results: _containers.RepeatedCompositeFieldContainer[Result]
    detect_objects: _containers.RepeatedCompositeFieldContainer[DetectObject]
    engines: _containers.RepeatedCompositeFieldContainer[Engine]
    stages: StageTimes
    request_id: str
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ..., timestamp: _Optional[int] = ..., src_width: _Optional[int] = ..., src_height: _Optional[int] = ..., frame_width: _Optional[int] = ..., frame_height: _Optional[int] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., detect_objects: _Optional[_Iterable[_Union[DetectObject, _Mapping]]] = ..., engines: _Optional[_Iterable[_Union[Engine, _Mapping]]] = ..., stages: _Optional[_Union[StageTimes, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("algo_type", "score", "decision", "reasons", "image_scores", "threshold")
    ALGO_TYPE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SCORES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    algo_type: str
    score: float
    decision: Decision
    reasons: _containers.RepeatedScalarFieldContainer[str]
    image_scores: _containers.RepeatedScalarFieldContainer[float]
    threshold: float
    def __init__(self, algo_type: _Optional[str] = ..., score: _Optional[float] = ..., decision: _Optional[_Union[Decision, str]] = ..., reasons: _Optional[_Iterable[str]] = ..., image_scores: _Optional[_Iterable[float]] = ..., threshold: _Optional[float] = ...) -> None: ...

class DetectObject(_message.Message):
    __slots__ = ("image_index", "box", "landmarks", "score")
    IMAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    LANDMARKS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    image_index: int
    box: Box
    landmarks: _containers.RepeatedCompositeFieldContainer[Point]
    score: float
    def __init__(self, image_index: _Optional[int] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., landmarks: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., score: _Optional[float] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    width: float
    height: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., width: _Optional[float] = ..., height: _Optional[float] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class Engine(_message.Message):
    __slots__ = ("model_id", "network", "sha256", "backend", "provider_asked", "provider", "precision")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ASKED_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    network: str
    sha256: str
    backend: str
    provider_asked: str
    provider: str
    precision: str
    def __init__(self, model_id: _Optional[str] = ..., network: _Optional[str] = ..., sha256: _Optional[str] = ..., backend: _Optional[str] = ..., provider_asked: _Optional[str] = ..., provider: _Optional[str] = ..., precision: _Optional[str] = ...) -> None: ...

class StageTimes(_message.Message):
    __slots__ = ("queue", "decode", "preprocess", "infer", "postprocess")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    INFER_FIELD_NUMBER: _ClassVar[int]
    POSTPROCESS_FIELD_NUMBER: _ClassVar[int]
    queue: float
    decode: float
    preprocess: float
    infer: float
    postprocess: float
    def __init__(self, queue: _Optional[float] = ..., decode: _Optional[float] = ..., preprocess: _Optional[float] = ..., infer: _Optional[float] = ..., postprocess: _Optional[float] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "state", "workers", "running", "queue_depth", "queue_capacity", "algo_tasks", "engines", "cameras")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    QUEUE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    ALGO_TASKS_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    version: str
    state: str
    workers: int
    running: int
    queue_depth: int
    queue_capacity: int
    algo_tasks: _containers.RepeatedScalarFieldContainer[int]
    engines: _containers.RepeatedCompositeFieldContainer[Engine]
    cameras: _containers.RepeatedCompositeFieldContainer[Camera]
    def __init__(self, version: _Optional[str] = ..., state: _Optional[str] = ..., workers: _Optional[int] = ..., running: _Optional[int] = ..., queue_depth: _Optional[int] = ..., queue_capacity: _Optional[int] = ..., algo_tasks: _Optional[_Iterable[int]] = ..., engines: _Optional[_Iterable[_Union[Engine, _Mapping]]] = ..., cameras: _Optional[_Iterable[_Union[Camera, _Mapping]]] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("open", "frame")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    open: StreamOpen
    frame: StreamFrame
    def __init__(self, open: _Optional[_Union[StreamOpen, _Mapping]] = ..., frame: _Optional[_Union[StreamFrame, _Mapping]] = ...) -> None: ...

class StreamOpen(_message.Message):
    __slots__ = ("code", "task_id", "algo_tasks", "view", "overflow", "challenge")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ALGO_TASKS_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    algo_tasks: _containers.RepeatedCompositeFieldContainer[AlgoTask]
    view: View
    overflow: Overflow
    challenge: str
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ..., algo_tasks: _Optional[_Iterable[_Union[AlgoTask, _Mapping]]] = ..., view: _Optional[_Union[View, _Mapping]] = ..., overflow: _Optional[_Union[Overflow, str]] = ..., challenge: _Optional[str] = ...) -> None: ...

class View(_message.Message):
    __slots__ = ("rotation", "mirror", "region", "min_face_height")
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    MIN_FACE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    rotation: int
    mirror: bool
    region: Region
    min_face_height: float
    def __init__(self, rotation: _Optional[int] = ..., mirror: _Optional[bool] = ..., region: _Optional[_Union[Region, _Mapping]] = ..., min_face_height: _Optional[float] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    width: float
    height: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., width: _Optional[float] = ..., height: _Optional[float] = ...) -> None: ...

class StreamFrame(_message.Message):
    __slots__ = ("frame_id", "frame_pts", "image", "raw", "ticket", "captured_ns")
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_PTS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_NS_FIELD_NUMBER: _ClassVar[int]
    frame_id: int
    frame_pts: int
    image: bytes
    raw: RawPicture
    ticket: FrameTicket
    captured_ns: int
    def __init__(self, frame_id: _Optional[int] = ..., frame_pts: _Optional[int] = ..., image: _Optional[bytes] = ..., raw: _Optional[_Union[RawPicture, _Mapping]] = ..., ticket: _Optional[_Union[FrameTicket, _Mapping]] = ..., captured_ns: _Optional[int] = ...) -> None: ...

class RawPicture(_message.Message):
    __slots__ = ("width", "height", "pixel_format", "pixels")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PIXEL_FORMAT_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    pixel_format: PixelFormat
    pixels: bytes
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., pixel_format: _Optional[_Union[PixelFormat, str]] = ..., pixels: _Optional[bytes] = ...) -> None: ...

class FrameTicket(_message.Message):
    __slots__ = ("segment_id", "slot", "generation")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    segment_id: int
    slot: int
    generation: int
    def __init__(self, segment_id: _Optional[int] = ..., slot: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class StreamResponse(_message.Message):
    __slots__ = ("code", "task_id", "frame_id", "frame_pts", "timestamp", "src_width", "src_height", "frame_width", "frame_height", "results", "detect_objects", "gate", "reasons", "person", "task_code", "msg", "stages", "prompt", "challenge")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_PTS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SRC_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SRC_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_WIDTH_FIELD_NUMBER: _ClassVar[int]
    FRAME_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DETECT_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    TASK_CODE_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    frame_id: int
    frame_pts: int
    timestamp: int
    src_width: int
    src_height: int
    frame_width: int
    frame_height: int
    results: _containers.RepeatedCompositeFieldContainer[Result]
    detect_objects: _containers.RepeatedCompositeFieldContainer[DetectObject]
    gate: GateDecision
    reasons: _containers.RepeatedScalarFieldContainer[str]
    person: int
    task_code: int
    msg: str
    stages: StageTimes
    prompt: Prompt
    challenge: ChallengeVerdict
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ..., frame_id: _Optional[int] = ..., frame_pts: _Optional[int] = ..., timestamp: _Optional[int] = ..., src_width: _Optional[int] = ..., src_height: _Optional[int] = ..., frame_width: _Optional[int] = ..., frame_height: _Optional[int] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., detect_objects: _Optional[_Iterable[_Union[DetectObject, _Mapping]]] = ..., gate: _Optional[_Union[GateDecision, str]] = ..., reasons: _Optional[_Iterable[str]] = ..., person: _Optional[int] = ..., task_code: _Optional[int] = ..., msg: _Optional[str] = ..., stages: _Optional[_Union[StageTimes, _Mapping]] = ..., prompt: _Optional[_Union[Prompt, _Mapping]] = ..., challenge: _Optional[_Union[ChallengeVerdict, _Mapping]] = ...) -> None: ...

class WatchCameraRequest(_message.Message):
    __slots__ = ("camera", "challenge")
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    camera: str
    challenge: str
    def __init__(self, camera: _Optional[str] = ..., challenge: _Optional[str] = ...) -> None: ...

class CameraSettings(_message.Message):
    __slots__ = ("name", "url", "view")
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    name: str
    url: str
    view: View
    def __init__(self, name: _Optional[str] = ..., url: _Optional[str] = ..., view: _Optional[_Union[View, _Mapping]] = ...) -> None: ...

class RemoveCameraRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveCameraResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Camera(_message.Message):
    __slots__ = ("name", "source", "state", "since", "task_code", "msg", "width", "height", "restarts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    TASK_CODE_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    state: str
    since: int
    task_code: int
    msg: str
    width: int
    height: int
    restarts: int
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., state: _Optional[str] = ..., since: _Optional[int] = ..., task_code: _Optional[int] = ..., msg: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., restarts: _Optional[int] = ...) -> None: ...

class ReloadModelsRequest(_message.Message):
    __slots__ = ("pack", "use")
    class UseEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PACK_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    pack: str
    use: _containers.ScalarMap[str, str]
    def __init__(self, pack: _Optional[str] = ..., use: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ReloadModelsResponse(_message.Message):
    __slots__ = ("engines", "algo_tasks", "drained")
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    ALGO_TASKS_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    engines: _containers.RepeatedCompositeFieldContainer[Engine]
    algo_tasks: _containers.RepeatedScalarFieldContainer[int]
    drained: bool
    def __init__(self, engines: _Optional[_Iterable[_Union[Engine, _Mapping]]] = ..., algo_tasks: _Optional[_Iterable[int]] = ..., drained: _Optional[bool] = ...) -> None: ...

class VerifyActionsRequest(_message.Message):
    __slots__ = ("code", "task_id", "actions", "video", "action_time", "nod_threshold", "mirrored", "challenge")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    ACTION_TIME_FIELD_NUMBER: _ClassVar[int]
    NOD_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MIRRORED_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    actions: _containers.RepeatedScalarFieldContainer[Action]
    video: bytes
    action_time: _containers.RepeatedCompositeFieldContainer[TimeWindow]
    nod_threshold: float
    mirrored: bool
    challenge: str
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ..., actions: _Optional[_Iterable[_Union[Action, str]]] = ..., video: _Optional[bytes] = ..., action_time: _Optional[_Iterable[_Union[TimeWindow, _Mapping]]] = ..., nod_threshold: _Optional[float] = ..., mirrored: _Optional[bool] = ..., challenge: _Optional[str] = ...) -> None: ...

class TimeWindow(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class VerifyActionsResponse(_message.Message):
    __slots__ = ("code", "task_id", "timestamp", "alive", "reasons", "actions", "events", "silent", "picture", "picture_box", "picture_time", "src_width", "src_height", "duration", "frames", "samples", "sample_fps", "codec", "container", "engines", "stages", "request_id", "most_faces")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_BOX_FIELD_NUMBER: _ClassVar[int]
    PICTURE_TIME_FIELD_NUMBER: _ClassVar[int]
    SRC_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SRC_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FPS_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MOST_FACES_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    timestamp: int
    alive: bool
    reasons: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedCompositeFieldContainer[ActionResult]
    events: _containers.RepeatedCompositeFieldContainer[ActionEvent]
    silent: Result
    picture: bytes
    picture_box: Box
    picture_time: int
    src_width: int
    src_height: int
    duration: int
    frames: int
    samples: int
    sample_fps: float
    codec: str
    container: str
    engines: _containers.RepeatedCompositeFieldContainer[Engine]
    stages: StageTimes
    request_id: str
    most_faces: int
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ..., timestamp: _Optional[int] = ..., alive: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[_Union[ActionResult, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[ActionEvent, _Mapping]]] = ..., silent: _Optional[_Union[Result, _Mapping]] = ..., picture: _Optional[bytes] = ..., picture_box: _Optional[_Union[Box, _Mapping]] = ..., picture_time: _Optional[int] = ..., src_width: _Optional[int] = ..., src_height: _Optional[int] = ..., duration: _Optional[int] = ..., frames: _Optional[int] = ..., samples: _Optional[int] = ..., sample_fps: _Optional[float] = ..., codec: _Optional[str] = ..., container: _Optional[str] = ..., engines: _Optional[_Iterable[_Union[Engine, _Mapping]]] = ..., stages: _Optional[_Union[StageTimes, _Mapping]] = ..., request_id: _Optional[str] = ..., most_faces: _Optional[int] = ...) -> None: ...

class ActionResult(_message.Message):
    __slots__ = ("action", "accepted", "confidence", "event")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    action: Action
    accepted: bool
    confidence: float
    event: ActionEvent
    def __init__(self, action: _Optional[_Union[Action, str]] = ..., accepted: _Optional[bool] = ..., confidence: _Optional[float] = ..., event: _Optional[_Union[ActionEvent, _Mapping]] = ...) -> None: ...

class ActionEvent(_message.Message):
    __slots__ = ("action", "start", "peak", "end", "confidence")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    PEAK_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    action: Action
    start: int
    peak: int
    end: int
    confidence: float
    def __init__(self, action: _Optional[_Union[Action, str]] = ..., start: _Optional[int] = ..., peak: _Optional[int] = ..., end: _Optional[int] = ..., confidence: _Optional[float] = ...) -> None: ...

class StartChallengeRequest(_message.Message):
    __slots__ = ("code", "task_id")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("code", "task_id", "challenge", "actions", "deadline", "lifetime", "prompts")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    code: int
    task_id: str
    challenge: str
    actions: _containers.RepeatedScalarFieldContainer[Action]
    deadline: int
    lifetime: int
    prompts: _containers.RepeatedCompositeFieldContainer[Prompt]
    def __init__(self, code: _Optional[int] = ..., task_id: _Optional[str] = ..., challenge: _Optional[str] = ..., actions: _Optional[_Iterable[_Union[Action, str]]] = ..., deadline: _Optional[int] = ..., lifetime: _Optional[int] = ..., prompts: _Optional[_Iterable[_Union[Prompt, _Mapping]]] = ...) -> None: ...

class Prompt(_message.Message):
    __slots__ = ("kind", "action", "index", "total", "remaining", "texts")
    class TextsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    kind: PromptKind
    action: Action
    index: int
    total: int
    remaining: int
    texts: _containers.ScalarMap[str, str]
    def __init__(self, kind: _Optional[_Union[PromptKind, str]] = ..., action: _Optional[_Union[Action, str]] = ..., index: _Optional[int] = ..., total: _Optional[int] = ..., remaining: _Optional[int] = ..., texts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ChallengeVerdict(_message.Message):
    __slots__ = ("alive", "reasons", "actions", "events", "silent", "picture", "picture_box", "picture_time", "duration", "samples")
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_BOX_FIELD_NUMBER: _ClassVar[int]
    PICTURE_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    alive: bool
    reasons: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedCompositeFieldContainer[ActionResult]
    events: _containers.RepeatedCompositeFieldContainer[ActionEvent]
    silent: Result
    picture: bytes
    picture_box: Box
    picture_time: int
    duration: int
    samples: int
    def __init__(self, alive: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[_Union[ActionResult, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[ActionEvent, _Mapping]]] = ..., silent: _Optional[_Union[Result, _Mapping]] = ..., picture: _Optional[bytes] = ..., picture_box: _Optional[_Union[Box, _Mapping]] = ..., picture_time: _Optional[int] = ..., duration: _Optional[int] = ..., samples: _Optional[int] = ...) -> None: ...
