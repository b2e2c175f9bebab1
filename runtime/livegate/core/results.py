"""What LiveGate says about pictures. Values only; every face renders them in its own manner."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NO_FACE_SCORE = -1.0
"""The score that means: there was no face to judge."""


class Decision(str, Enum):
    """The verdict in one word."""

    GENUINE = "GENUINE"
    SPOOF = "SPOOF"
    FACE = "FACE"
    NO_FACE = "NO_FACE"


class Reason(str, Enum):
    """Why a verdict is what it is."""

    NO_FACE = "NO_FACE"
    SCORE_BELOW_THRESHOLD = "SCORE_BELOW_THRESHOLD"
    FACE_MISSING_IN_SOME_IMAGES = "FACE_MISSING_IN_SOME_IMAGES"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in frame pixels: left, top, width, height. May reach over the picture's edge."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Face:
    """A face: its box, its landmarks in frame pixels, and a score 0..1.

    Landmarks, in this order: eye at the image's left, eye at the image's right, nose, mouth corner
    at the image's left, mouth corner at the image's right.
    """

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    score: float


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """A face and the picture (from 0) that it was found in."""

    image_index: int
    face: Face


@dataclass(frozen=True, slots=True)
class Verdict:
    """One algorithm's word on all pictures of a request.

    `score` is 0..1, higher = more genuine (silent liveness) or surer of the best face (face
    detection); NO_FACE_SCORE when there was no face. `image_scores` has one for each picture.
    """

    algo_task: int
    task: str
    decision: Decision
    score: float
    reasons: tuple[Reason, ...]
    image_scores: tuple[float, ...]
    faces: tuple[DetectedFace, ...] = ()
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which network ran, and where: what was asked for and what really runs."""

    model_id: str
    network: str
    sha256: str
    backend: str
    provider_asked: str
    provider: str
    precision: str


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Where the time of one request went, in nanoseconds."""

    queue_ns: int = 0
    decode_ns: int = 0
    preprocess_ns: int = 0
    infer_ns: int = 0
    postprocess_ns: int = 0

    def items(self) -> tuple[tuple[str, int], ...]:
        """Stage names with their nanoseconds, in the order of the work."""
        return (
            ("queue", self.queue_ns),
            ("decode", self.decode_ns),
            ("preprocess", self.preprocess_ns),
            ("infer", self.infer_ns),
            ("postprocess", self.postprocess_ns),
        )


@dataclass(frozen=True, slots=True)
class Analysis:
    """The answer to an AnalyzeRequest."""

    code: int
    task_id: str
    request_id: str
    timestamp_ms: int
    src_width: int
    src_height: int
    verdicts: tuple[Verdict, ...]
    engines: tuple[EngineInfo, ...]
    stages: StageTimes
