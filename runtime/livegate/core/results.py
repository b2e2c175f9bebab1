"""What LiveGate says about pictures. Values only; every face renders them in its own manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from livegate.core.errors import LiveGateError

if TYPE_CHECKING:
    from livegate.core.challenge import ChallengeNews

NO_FACE_SCORE = -1.0
"""The score that means: there was no face to judge."""


class Decision(str, Enum):
    """The verdict in one word."""

    GENUINE = "GENUINE"
    SPOOF = "SPOOF"
    FACE = "FACE"
    NO_FACE = "NO_FACE"


class Reason(str, Enum):
    """Why a verdict is what it is; the second block speaks of streams, the third of videos, the last
    of challenges.
    """

    NO_FACE = "NO_FACE"
    SCORE_BELOW_THRESHOLD = "SCORE_BELOW_THRESHOLD"
    FACE_MISSING_IN_SOME_IMAGES = "FACE_MISSING_IN_SOME_IMAGES"

    ENOUGH_GENUINE_FRAMES = "ENOUGH_GENUINE_FRAMES"
    ENOUGH_SPOOF_FRAMES = "ENOUGH_SPOOF_FRAMES"
    NOT_ENOUGH_FRAMES = "NOT_ENOUGH_FRAMES"
    SCORE_NEAR_THRESHOLD = "SCORE_NEAR_THRESHOLD"
    FACE_TOO_SMALL = "FACE_TOO_SMALL"
    FACE_OUTSIDE_REGION = "FACE_OUTSIDE_REGION"
    STALE_FRAME = "STALE_FRAME"
    UNCHANGED = "UNCHANGED"
    FAILURE = "FAILURE"

    ACTION_MISSING = "ACTION_MISSING"
    ACTION_OUT_OF_ORDER = "ACTION_OUT_OF_ORDER"
    ACTION_OUTSIDE_WINDOW = "ACTION_OUTSIDE_WINDOW"
    ACTION_NOT_ASKED_FOR = "ACTION_NOT_ASKED_FOR"
    FACE_LOST = "FACE_LOST"
    PERSON_CHANGED = "PERSON_CHANGED"
    VIDEO_CUT = "VIDEO_CUT"
    NO_FRONTAL_FACE = "NO_FRONTAL_FACE"

    TIMEOUT = "TIMEOUT"
    TOO_FEW_FRAMES = "TOO_FEW_FRAMES"
    CHALLENGE_OPEN = "CHALLENGE_OPEN"
    CHALLENGE_PASSED = "CHALLENGE_PASSED"
    CHALLENGE_FAILED = "CHALLENGE_FAILED"


class GateDecision(str, Enum):
    """The word for a turnstile; each is said at most once to one person in front."""

    OPEN = "OPEN"
    HOLD = "HOLD"
    DENY = "DENY"


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


def largest_face(faces: Sequence[Face]) -> Face | None:
    """The face with the largest box, the surer one of two alike: whom a picture is about."""
    return max(faces, key=lambda face: (face.box.area, face.score), default=None)


Point = tuple[float, float]
"""(x, y) in frame pixels."""


@dataclass(frozen=True, slots=True)
class FacePoints:
    """The finer landmarks of a face, in frame pixels.

    Rings of six or eight begin at one corner and run along the upper lid or lip to the other corner,
    then back along the lower one. An eye's ring begins at its outer corner, the lips' at the image's
    left.
    """

    image_left_eye: tuple[Point, ...]
    image_right_eye: tuple[Point, ...]
    inner_lips: tuple[Point, ...]
    mouth_corners: tuple[Point, Point]
    nose_tip: Point
    chin: Point


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where a face turns, in degrees, as seen in the picture.

    `yaw_deg` > 0: to the image's right, which is the person's own left unless the picture is mirrored.
    `pitch_deg` > 0: down. `roll_deg` > 0: clockwise.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """How good a picture of a face is.

    `side_px`: the shorter side of its box. `sharpness`: 0 = blurred, about 0.2 and more = sharp.
    `brightness`: mean of the face, 0..1. `pose`: None where no model tells it.
    """

    side_px: float
    sharpness: float
    brightness: float
    pose: HeadPose | None


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One picture of a track. Angles as in HeadPose; None where the networks and the landmarks disagree.

    `mouth`: opening of the inner lips over their width, about 0 shut, 0.5 wide open.
    `eyes`: opening of both eyes over their width, the mean; about 0.3 open, below 0.2 shut.
    """

    pts_ms: int
    yaw_deg: float | None
    pitch_deg: float | None
    mouth: float
    eyes: float


class Flaw(str, Enum):
    """What is wrong with a picture of a face."""

    LOW_QUALITY = "LOW_QUALITY"
    BLURRED = "BLURRED"
    TURNED_AWAY = "TURNED_AWAY"
    DARK = "DARK"


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
    compiles_in_runs: bool = False
    """A run on a picture of a new size may compile first, for minutes."""
    preprocess: str = ""
    """Where frames become tensors; empty where that is not told, as by another box's answers."""


@dataclass(frozen=True, slots=True)
class GraphRuns:
    """How the runs of one engine were launched: as a recorded graph, or one call after the other."""

    graphs: int
    """That are kept: one for each worker and shape."""
    recorded_runs: int
    plain_runs: int
    why_plain: str = ""
    """Why nothing is recorded; empty where it is."""


class StageTimes(msgspec.Struct, frozen=True):
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
    """The answer to an AnalyzeRequest.

    `qualities`: of the largest face of each picture, None without a face; empty unless asked for.
    """

    code: int
    task_id: str
    request_id: str
    timestamp_ms: int
    src_width: int
    src_height: int
    verdicts: tuple[Verdict, ...]
    engines: tuple[EngineInfo, ...]
    stages: StageTimes
    qualities: tuple[FaceQuality | None, ...] = ()


class Action(int, Enum):
    """What a person may be asked to do. Left and right are the person's own (docs/actions.md)."""

    SHAKE_LEFT = 1
    SHAKE_RIGHT = 2
    NOD = 3
    MOUTH = 4
    BLINK = 5


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """A movement out and back, in milliseconds of the video. `confidence` 0.5..1; 0.5 just passes."""

    action: Action
    start_ms: int
    peak_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True)
class ActionResult:
    """One action that was asked for. `confidence` 0..1, 0.5 or more when it was accepted."""

    action: Action
    is_accepted: bool
    confidence: float
    event: ActionEvent | None = None


@dataclass(frozen=True, slots=True)
class VideoVerdict:
    """The answer to a video.

    `actions` in the order of the request; `events`: every movement that was seen, asked for or not.
    `is_alive` is decided by the actions, silent liveness and continuity; `reasons` name what failed,
    none when alive. `picture`: the best face as a JPEG file, empty without one; `picture_box` in it.
    `sample_fps`: pictures a second that were to be looked at; `samples`: how many; `most_faces`: how
    many faces were in one of them, at most.
    """

    code: int
    task_id: str
    request_id: str
    timestamp_ms: int
    is_alive: bool
    reasons: tuple[Reason, ...]
    actions: tuple[ActionResult, ...]
    events: tuple[ActionEvent, ...]
    silent: Verdict | None
    picture: bytes
    picture_box: Box | None
    picture_pts_ms: int
    src_width: int
    src_height: int
    duration_ms: int
    frames: int
    samples: int
    sample_fps: float
    most_faces: int
    codec: str
    container: str
    engines: tuple[EngineInfo, ...]
    stages: StageTimes
    track: tuple[FaceSample, ...] = ()
    """The face in front, picture by picture: what the actions were told from."""


Answer = Analysis | VideoVerdict
"""What a `Question` is answered with."""


class FrameAnswer(msgspec.Struct, frozen=True):
    """The answer to one frame of a stream.

    `src_*` is the picture as it came, `frame_*` as it was looked at: upright; boxes are in these
    pixels. `person` counts the people in front, 0 = nobody. `gate` is set when there is a new word for
    this person; `reasons` say on every frame why the gate stands as it does. With an `error` there are
    no verdicts and `gate` is never OPEN. `news` is for whoever answers a challenge on this stream.
    """

    frame_id: int
    frame_pts: int
    timestamp_ms: int
    src_width: int = 0
    src_height: int = 0
    frame_width: int = 0
    frame_height: int = 0
    verdicts: tuple[Verdict, ...] = ()
    person: int = 0
    gate: GateDecision | None = None
    reasons: tuple[Reason, ...] = ()
    error: LiveGateError | None = None
    stages: StageTimes = StageTimes()
    news: ChallengeNews | None = None
