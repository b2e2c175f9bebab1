"""What a box says to its clients. Values only; the codecs make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from livegate.core.challenge import PromptKind
from livegate.core.errors import LiveGateError
from livegate.core.results import (
    Action,
    ActionEvent,
    ActionResult,
    Box,
    Decision,
    DetectedFace,
    EngineInfo,
    GateDecision,
)


@dataclass(frozen=True, slots=True)
class Result:
    """One algorithm's word: score 0..1 (-1 = no face), decision, reasons, one score an image."""

    algo_task: int
    score: float
    decision: Decision
    reasons: tuple[str, ...]
    image_scores: tuple[float, ...]
    threshold: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the box said. `stages_ms`: where the time went; `engines`: what ran on which provider."""

    code: int
    task_id: str
    request_id: str
    timestamp_ms: int
    width: int
    height: int
    results: tuple[Result, ...]
    faces: tuple[DetectedFace, ...]
    engines: tuple[EngineInfo, ...]
    stages_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class VideoAnswer:
    """What the box said about a video.

    `is_alive` is decided by the actions, silent liveness and continuity; `reasons` say what speaks
    against it. `actions` in the order asked for, `events`: every movement that was seen. `picture`: the
    best one as a JPEG file, empty without one, `picture_box` the face in it.
    """

    code: int
    task_id: str
    request_id: str
    timestamp_ms: int
    is_alive: bool
    reasons: tuple[str, ...]
    actions: tuple[ActionResult, ...]
    events: tuple[ActionEvent, ...]
    silent: Result | None
    picture: bytes = field(repr=False)
    picture_box: Box | None
    picture_ms: int
    width: int
    height: int
    duration_ms: int
    frames: int
    samples: int
    sample_fps: float
    most_faces: int
    codec: str
    container: str
    engines: tuple[EngineInfo, ...]
    stages_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something to tell a person: `texts` has it in words, by language (en, zh).

    `action` stands with DO and GOOD, `index` is its place from 0 in the `total` actions.
    """

    kind: PromptKind
    action: Action | None
    index: int
    total: int
    remaining_ms: int
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Challenge:
    """Actions to be done in this order. Whoever knows the nonce may answer, once, before the deadline.

    `deadline_ms` is Unix time, for showing. `prompts` are for whoever makes a video.
    """

    nonce: str = field(repr=False)
    task_id: str
    actions: tuple[Action, ...]
    deadline_ms: int
    lifetime_ms: int
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """How a challenge that was answered live ended; as VideoAnswer, times from its first DO."""

    is_alive: bool
    reasons: tuple[str, ...]
    actions: tuple[ActionResult, ...]
    events: tuple[ActionEvent, ...]
    silent: Result | None
    picture: bytes = field(repr=False)
    picture_box: Box | None
    picture_ms: int
    duration_ms: int
    samples: int


@dataclass(frozen=True, slots=True)
class ModelsReloaded:
    """What serves after a reload.

    `is_drained`: what served before is closed; else it ends with the requests that began with it.
    """

    engines: tuple[EngineInfo, ...]
    algo_tasks: tuple[int, ...]
    is_drained: bool


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """What the box says about one frame of a stream or a camera.

    `src_*` is the picture as it came, `frame_*` as it was looked at: upright; faces are in these
    pixels. `gate` is set when there is a new word for the person in front, and `reasons` say on every
    frame why the gate stands as it does. `person` counts the people in front, 0 = nobody. With an
    `error` there are no results: the frame, or the camera, had no verdict, and the stream goes on.
    Where a challenge is answered, `prompt` is set when there is something new to tell the person,
    `challenge` once, at its end.
    """

    frame_id: int
    frame_pts: int
    timestamp_ms: int
    src_width: int = 0
    src_height: int = 0
    frame_width: int = 0
    frame_height: int = 0
    results: tuple[Result, ...] = ()
    faces: tuple[DetectedFace, ...] = ()
    gate: GateDecision | None = None
    reasons: tuple[str, ...] = ()
    person: int = 0
    error: LiveGateError | None = None
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    prompt: Prompt | None = None
    challenge: ChallengeResult | None = None
