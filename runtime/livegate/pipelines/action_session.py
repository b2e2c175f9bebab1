"""A video, or a live stream, of one person who was asked to move: picture by picture, then a word.

`look` may be called from any thread, one call at a time, times rising.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from livegate.core.config import Config
from livegate.core.frame import Frame
from livegate.core.results import (
    Action,
    ActionEvent,
    ActionResult,
    Box,
    Decision,
    EngineInfo,
    Face,
    FaceSample,
    Reason,
    Verdict,
)
from livegate.core.telemetry import StageClock
from livegate.pipelines.actions import ActionDetector
from livegate.pipelines.asking import Window, compare
from livegate.pipelines.continuity import Continuity
from livegate.pipelines.evidence import sample_from_findings
from livegate.pipelines.pipeline import Pipeline
from livegate.pipelines.portrait import grade, jpeg_from_frame
from livegate.pipelines.session import FACES
from livegate.pipelines.subject import SubjectTracker
from livegate.preprocess.scratch import Scratch

GEOMETRY = ("landmarks", "head_pose")
SILENT = "silent_liveness"
ALGO_TASK = 9002
"""Action liveness, which is asked for with a video."""
LEAST_SPACING_MS = 250


@dataclass(frozen=True, slots=True)
class Portrait:
    """The best picture so far."""

    grade: float
    pts_ms: int
    box: Box
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Word:
    """What a session says at its end; see VideoVerdict."""

    is_alive: bool
    reasons: tuple[Reason, ...]
    actions: tuple[ActionResult, ...]
    events: tuple[ActionEvent, ...]
    silent: Verdict | None
    portrait: Portrait | None
    samples: int
    most_faces: int
    track: tuple[FaceSample, ...]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one picture told: the face's movements, None without a face, and the actions that ended."""

    sample: FaceSample | None = None
    events: tuple[ActionEvent, ...] = ()


class ActionSession:
    """State over the pictures of one video, or of one person in front of a camera."""

    def __init__(
        self,
        pipeline: Pipeline,
        config: Config,
        *,
        nod_deg: float | None = None,
        is_mirrored: bool = False,
    ) -> None:
        """Nothing was seen.

        Raises:
            RequestError: PARAM_FAILURE when this box has not the models.
        """
        plan = pipeline.plan_tasks((*GEOMETRY, SILENT))
        self._pipeline = pipeline
        self._finding = tuple(step for step in plan if step.task.name == FACES)
        self._measuring = tuple(step for step in plan if step.task.name in GEOMETRY)
        self._judging = tuple(step for step in plan if step.task.name == SILENT)
        self._config = config.actions
        self._detector = ActionDetector(config.actions, nod_deg=nod_deg, is_mirrored=is_mirrored)
        self._tracker = SubjectTracker(config.actions.gone_ms, waits=False)
        self._continuity = Continuity(config.actions)
        self._events: list[ActionEvent] = []
        self._scores: list[float] = []
        self._portrait: Portrait | None = None
        self._spacing_ms = self._spacing(round(config.video.max_s * 1000))
        self._judged_ms: int | None = None
        self._last_ms = 0
        self._track: list[FaceSample] = []
        self._samples = self._most_faces = 0
        self._is_too_small = self._is_judging_due = False
        self.engines: tuple[EngineInfo, ...] = tuple(info for step in plan for info in step.model.infos)

    def expect(self, duration_ms: int) -> None:
        """Spread the pictures that silent liveness judges over so long a video."""
        self._spacing_ms = self._spacing(duration_ms)

    def judge_next(self) -> None:
        """Have silent liveness see the next frontal picture, however many it saw before."""
        self._is_judging_due = True

    @property
    def owes_judging(self) -> bool:
        """Whether no frontal picture came since `judge_next`."""
        return self._is_judging_due

    @property
    def is_too_small(self) -> bool:
        """Whether a face was seen that is too small to count."""
        return self._is_too_small

    @property
    def breaks(self) -> tuple[Reason, ...]:
        """What broke the continuity up to now."""
        if not self._config.needs_continuity:
            return ()
        self._continuity.end(self._last_ms)
        return self._continuity.reasons

    def is_frontal(self, sample: FaceSample) -> bool:
        """Whether the face looks at the camera."""
        if sample.yaw_deg is None or sample.pitch_deg is None:
            return False
        return max(abs(sample.yaw_deg), abs(sample.pitch_deg)) <= self._config.frontal_deg

    def look(self, pts_ms: int, frame: Frame, clock: StageClock, scratch: Scratch) -> Sighting:
        """The next picture.

        Raises:
            EngineError: a network failed.
        """
        found = self._pipeline.run(frame, self._finding, clock, scratch)
        return self.see(pts_ms, frame, found[FACES], clock, scratch)

    def see(
        self,
        pts_ms: int,
        frame: Frame,
        faces: Sequence[Face],
        clock: StageClock,
        scratch: Scratch,
    ) -> Sighting:
        """The next picture, in which somebody else found the faces. Raises as `look`."""
        self._samples += 1
        self._last_ms = pts_ms
        self._continuity.see(pts_ms, frame)
        counting = self._counting(faces)
        self._most_faces = max(self._most_faces, len(counting))
        subject = self._tracker.follow(counting, pts_ms * 1_000_000)
        if subject.face is None:
            return Sighting()
        chosen: dict[str, Any] = {FACES: (subject.face,)}
        chosen = self._pipeline.run(frame, self._measuring, clock, scratch, chosen)
        points, pose = (chosen[name] for name in GEOMETRY)
        sample = sample_from_findings(pts_ms, points, pose, frame.width, frame.height)
        self._track.append(sample)
        self._continuity.follow(sample, subject.person, frame, subject.face.box)
        if self._is_to_judge(sample):
            self._judge(frame, sample, subject.face, clock, scratch)
        events = self._detector.feed(sample)
        self._events += events
        clock.lap("postprocess")
        return Sighting(sample, events)

    def word(self, wanted: Sequence[Action], windows: Sequence[Window] = ()) -> Word:
        """The end: what was asked for against what was seen; who was asked for nothing may move."""
        self._continuity.end(self._last_ms)
        refuse_unasked = self._config.refuse_unasked and bool(wanted)
        results, reasons = compare(
            wanted, windows, self._events, self._detector.almost, refuse_unasked=refuse_unasked
        )
        silent = self._judging[0].task.fuse(self._scores) if self._scores else None
        reasons = (*reasons, *self._objections(silent))
        return Word(
            is_alive=not reasons,
            reasons=tuple(dict.fromkeys(reasons)),
            actions=results,
            events=tuple(self._events),
            silent=silent,
            portrait=self._portrait,
            samples=self._samples,
            most_faces=self._most_faces,
            track=tuple(self._track),
        )

    def _objections(self, silent: Verdict | None) -> tuple[Reason, ...]:
        """What speaks against a living person, the actions apart."""
        if not self._track:
            return (Reason.FACE_TOO_SMALL if self._is_too_small else Reason.NO_FACE,)
        found: tuple[Reason, ...] = ()
        if self._config.needs_silent:
            if silent is None:
                found = (Reason.NO_FRONTAL_FACE,)
            elif silent.decision is not Decision.GENUINE:
                found = (Reason.SCORE_BELOW_THRESHOLD,)
        return (*found, *self._continuity.reasons) if self._config.needs_continuity else found

    def _counting(self, faces: Sequence[Face]) -> tuple[Face, ...]:
        least = self._config.min_face_side
        counting = tuple(face for face in faces if min(face.box.width, face.box.height) >= least)
        self._is_too_small = self._is_too_small or len(counting) < len(faces)
        return counting

    def _spacing(self, duration_ms: int) -> int:
        return max(LEAST_SPACING_MS, duration_ms // self._config.silent_frames)

    def _is_to_judge(self, sample: FaceSample) -> bool:
        """Whether silent liveness is to see this picture: it is frontal, and its turn has come."""
        is_apart = self._judged_ms is None or sample.pts_ms - self._judged_ms >= self._spacing_ms
        has_room = len(self._scores) < self._config.silent_frames
        is_due = self._is_judging_due or (has_room and is_apart)
        return is_due and self.is_frontal(sample)

    def _judge(
        self, frame: Frame, sample: FaceSample, face: Face, clock: StageClock, scratch: Scratch
    ) -> None:
        """Silent liveness; the best picture is one of those that it saw."""
        found = self._pipeline.run(frame, self._judging, clock, scratch, {FACES: (face,)})
        self._scores.append(found[SILENT])
        self._judged_ms = sample.pts_ms
        self._is_judging_due = False
        mark = grade(frame, face.box, sample, self._config.frontal_deg)
        if self._portrait is None or mark > self._portrait.grade:
            self._portrait = Portrait(mark, sample.pts_ms, face.box, jpeg_from_frame(frame))
