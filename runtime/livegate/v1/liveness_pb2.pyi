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
DECISION_UNSPECIFIED: Decision
DECISION_GENUINE: Decision
DECISION_SPOOF: Decision
DECISION_FACE: Decision
DECISION_NO_FACE: Decision

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
    __slots__ = ("version", "state", "workers", "running", "queue_depth", "queue_capacity", "algo_tasks", "engines")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    QUEUE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    ALGO_TASKS_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    version: str
    state: str
    workers: int
    running: int
    queue_depth: int
    queue_capacity: int
    algo_tasks: _containers.RepeatedScalarFieldContainer[int]
    engines: _containers.RepeatedCompositeFieldContainer[Engine]
    def __init__(self, version: _Optional[str] = ..., state: _Optional[str] = ..., workers: _Optional[int] = ..., running: _Optional[int] = ..., queue_depth: _Optional[int] = ..., queue_capacity: _Optional[int] = ..., algo_tasks: _Optional[_Iterable[int]] = ..., engines: _Optional[_Iterable[_Union[Engine, _Mapping]]] = ...) -> None: ...
