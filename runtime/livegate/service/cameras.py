"""Cameras: whose frames come through the frame queue, how they are, and who watches them.

A camera is a name. Its frames come from a producer of the frame queue, which is either a process that
the server keeps itself (`CameraControl`) or somebody else's. Each has one session, so that everybody
who watches it hears the same word at the same frame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from livegate.core.camera import CameraReport, CameraState
from livegate.core.config import CameraConfig, Config
from livegate.core.errors import ErrorCode, LiveGateError, RequestError, SetupError, as_livegate_error
from livegate.core.frame import Frame
from livegate.core.results import FrameAnswer
from livegate.core.telemetry import Metrics, StageClock, get_logger
from livegate.core.view import View, view_of_camera
from livegate.pipelines.challenge import LiveChallenge
from livegate.pipelines.session import SILENT, Session
from livegate.service.liveness import LivenessService
from livegate.service.outcomes import (
    answer_of_error,
    answer_of_look,
    outcome_of_answer,
    outcome_of_verdicts,
)
from livegate.service.picture import frame_of_view
from livegate.service.watch import Watch
from livegate.shm.broker import CameraStatus
from livegate.shm.layout import PixelFormat
from livegate.shm.lease import Lease, PublishedFrame
from livegate.shm.outcome import Outcome

DETECTION = 9001
MAX_NAME = 63
"""Of a camera; what somebody asks for may be of any length."""
COMPLAIN_S = 10.0
"""Between two lines in the log about the same failure of one camera's frames."""
log = get_logger("livegate.cameras")


class CameraControl(Protocol):
    """Whoever keeps the processes of cameras."""

    def add(self, camera: CameraConfig) -> None:
        """Start one. Raises LiveGateError CONFIG_ADD_FAIL."""

    def change(self, camera: CameraConfig) -> None:
        """Start it anew with other settings. Raises LiveGateError CONFIG_UPDATE_FAIL."""

    def remove(self, name: str) -> None:
        """End it. Raises LiveGateError CONFIG_DELETE_FAIL."""

    @property
    def reports(self) -> tuple[CameraReport, ...]:
        """How each of them is."""


@dataclass(slots=True)
class _Line:
    """What is known of one camera."""

    view: View = field(default_factory=View)
    session: Session | None = None
    report: CameraReport | None = None
    watches: set[Watch] = field(default_factory=set)
    complained: tuple[ErrorCode, float] = (ErrorCode.OK, 0.0)
    failures: dict[ErrorCode, int] = field(default_factory=dict)
    challenge: LiveChallenge | None = None


class Cameras:
    """Every camera of the box. Safe to call from any thread."""

    def __init__(
        self,
        config: Config,
        service: LivenessService,
        metrics: Metrics,
        producers: Callable[[], tuple[CameraStatus, ...]] = tuple,
    ) -> None:
        """Know the views of the configured cameras; `producers` tells who is connected.

        Raises:
            SetupError: as views_of.
        """
        self._service = service
        self._metrics = metrics
        self._producers = producers
        self._max_age_ms = config.gate.max_frame_age_ms
        self._attention = config.attention
        self._control: CameraControl | None = None
        self._lock = threading.Lock()
        # Adding, changing and removing may each wait for a process: one after the other.
        self._admin_lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._end: LiveGateError | None = None
        self._configured = frozenset(camera.name for camera in config.ingest.cameras)
        self._to_keep = frozenset(camera.name for camera in config.ingest.cameras if camera.url)
        for name, view in views_of(config.ingest.cameras).items():
            self._lines[name] = _Line(view)

    def use(self, control: CameraControl) -> None:
        """Let cameras be added, changed and removed."""
        self._control = control

    # Frames.

    def look(self, lease: Lease) -> None:
        """Judge a frame of the queue; its producer and everybody who watches the camera hear of it."""
        with lease:
            # Who watches hears of it first: a producer that leaves at once would be told to them before.
            lease.finish(self._look(lease))
        if not lease.has_producer:  # its camera may have been forgotten, and remembered by this look
            with self._lock:
                self._let_go(lease.camera)

    def left(self, camera: str) -> None:
        """A producer is gone."""
        with self._lock:
            line = self._lines.get(camera)
            session = line.session if line is not None else None
            is_ours = line is not None and line.report is not None
            self._let_go(camera)
        if session is not None:
            session.unsee()
        if line is not None and not is_ours:  # of a camera of ours its own process tells more
            self._tell(camera, _gone(camera))

    def glance(self, published: PublishedFrame) -> bool:
        """Answer a frame that shows what was just judged; False: it must be looked at, in its turn."""
        source, begun_ns = published.source, time.monotonic_ns()
        line = self._lines.get(source.camera)
        session = line.session if line is not None else None
        is_as_it_came = source.pixel_format is PixelFormat.BGR
        answer = self._repeated(session, published) if session and is_as_it_came else None
        if session is None or answer is None:
            return False
        with source.lease(published, since_ns=begun_ns) as lease:
            self._publish(lease.camera, answer)
            lease.repeats_until_ns = session.repeats_until_ns
            lease.finish(outcome_of_answer(answer))
        return True

    def _repeated(self, session: Session, published: PublishedFrame) -> FrameAnswer | None:
        """In a function of its own, so that no array outlives it."""
        captured_ns, number = published.captured_ns, published.frame_id
        clock = StageClock()
        try:
            _, pixels, _ = published.source.memory(published.ticket)
            frame = Frame(pixels, 0)  # whoever compares pictures does not ask when it was
            look = self._service.glance(session, frame, captured_ns)
            if look is None:
                return None
            clock.lap("preprocess")
            pts = captured_ns // 1_000_000
            return answer_of_look(look, frame, clock.times(), frame_id=number, frame_pts=pts)
        except Exception:  # whoever looks at it will tell
            log.exception("a glance failed")
            return None

    def _look(self, lease: Lease) -> Outcome:
        """The word to the producer; who watches was told. No array outlives this function."""
        captured_ns = lease.published.captured_ns
        pts = captured_ns // 1_000_000
        clock = StageClock()
        try:
            session = self._session(lease.camera)
            frame = frame_of_view(lease.view(), self._service.scratch)
            look = self._service.look(session, frame, captured_ns, clock)
            if not lease.has_producer:  # it left while we looked
                session.unsee()
            lease.repeats_until_ns = session.repeats_until_ns
            self._metrics.count_word(look.gate)
            if watches := self._watches(lease.camera):
                times, number = clock.times(), lease.frame_id
                answer = answer_of_look(look, frame, times, frame_id=number, frame_pts=pts)
                for watch in watches:
                    watch.put(answer)
            return outcome_of_verdicts(look.verdicts, look.gate)
        except Exception as error:  # noqa: BLE001 - told in the answer, and in the log by _complain
            failure = as_livegate_error(error)
            self._complain(lease, failure, error)
            answer = self._failure(lease.camera, failure, frame_id=lease.frame_id, frame_pts=pts)
            self._publish(lease.camera, answer)
            return outcome_of_answer(answer)

    def _complain(self, lease: Lease, failure: LiveGateError, error: Exception) -> None:
        """Into the log, but not for every frame of a camera that fails all the time."""
        now_s = time.monotonic()
        with self._lock:
            line = self._lines.get(lease.camera)
            code, at_s = line.complained if line else (ErrorCode.OK, 0.0)
            if code is failure.code and now_s - at_s < COMPLAIN_S:
                return
            if line:
                line.complained = failure.code, now_s
        inside = error if failure.code is ErrorCode.INNER else None
        event = {"camera": lease.camera, "frame": lease.frame_id, "code": int(failure.code)}
        log.warning("frame failed", why=failure.message, exc_info=inside, **event)

    def _session(self, camera: str) -> Session:
        known = self._lines.get(camera)
        session = known.session if known is not None else None
        if session is not None:  # as for mostly every frame, and asked without the lock
            return session
        with self._lock:
            line = self._line(camera)
            if line.session is None:
                tasks = (SILENT, DETECTION)
                line.session = self._service.session(tasks, line.view, self._attention)
                line.session.onlooker = line.challenge
            return line.session

    def _line(self, camera: str) -> _Line:
        """What is known of a camera, made at its first mention; the lock is held."""
        line = self._lines.get(camera)
        if line is None:
            line = self._lines[camera] = _Line()
        return line

    def _let_go(self, camera: str) -> None:
        """Forget a camera that nobody configured, added or watches; the lock is held."""
        line = self._lines.get(camera)
        if line is not None and not (line.report or line.watches or camera in self._configured):
            del self._lines[camera]

    def _failure(
        self, camera: str, error: LiveGateError, *, frame_id: int = 0, frame_pts: int = 0
    ) -> FrameAnswer:
        """The answer to what could not be judged: HOLD, if this person has no word yet."""
        with self._lock:
            line = self._lines.get(camera)
            session = line.session if line else None
        person, gate = session.fail() if session else (0, None)
        self._metrics.count_word(gate)
        return answer_of_error(error, frame_id=frame_id, frame_pts=frame_pts, person=person, gate=gate)

    # How they are.

    def is_ours(self, camera: str) -> bool:
        """Whether the server reads it by itself: a gate that trusts the name trusts us."""
        with self._lock:
            line = self._lines.get(camera)
            return line is not None and (line.report is not None or camera in self._to_keep)

    @property
    def reports(self) -> tuple[CameraReport, ...]:
        """Every camera by name, other people's producers included."""
        with self._lock:
            known = {name: line.report for name, line in self._lines.items() if line.report}
        for producer in self._producers():
            if producer.camera not in known:
                known[producer.camera] = CameraReport(
                    producer.camera,
                    source="",
                    state=CameraState.STREAMING,
                    since_ms=producer.since_ms,
                    width=producer.width,
                    height=producer.height,
                )
        return tuple(known[name] for name in sorted(known))

    @property
    def failures(self) -> dict[tuple[str, ErrorCode], int]:
        """How often each camera of ours failed, by code."""
        with self._lock:
            return {
                (name, code): count
                for name, line in self._lines.items()
                for code, count in line.failures.items()
            }

    def report(self, report: CameraReport) -> None:
        """A camera of ours has changed; those who watch it hear of what is wrong."""
        with self._lock:
            line = self._line(report.camera)
            line.report = report
            if report.code is not ErrorCode.OK:
                line.failures[report.code] = line.failures.get(report.code, 0) + 1
        log.info(
            "camera",
            camera=report.camera,
            state=report.state.value,
            code=int(report.code),
            why=report.message,
        )
        is_wrong = report.code is not ErrorCode.OK
        error = LiveGateError(report.code, report.message) if is_wrong else None
        if report.state is CameraState.ENDED:
            last = self._failure(report.camera, error) if error else None
            self._finish(report.camera, _end_of_stream(report.camera, "its source has ended"), last)
        elif error is not None:
            self._tell(report.camera, error)

    # Watching.

    def watch(
        self,
        camera: str,
        notify: Callable[[], None],
        take_up: Callable[[], LiveChallenge] | None = None,
    ) -> Watch:
        """Hear every answer from now on; `unwatch` ends it.

        `take_up` gives the challenge that is answered in front of this camera, for this watcher only.

        Raises:
            RequestError: NO_EXIST for a camera that nobody knows; BUSY when another challenge is being
                answered there; as `take_up`.
            QueueError: QUEUE_STOPED when the server shuts down.
        """
        is_known = any(report.camera == camera for report in self.reports)
        with self._lock:
            if self._end is not None:
                raise self._end
            if not is_known and camera not in self._lines:
                raise RequestError(
                    ErrorCode.NO_EXIST,
                    f"there is no camera {camera[:MAX_NAME]!r}",
                    hint="`livegate status` lists the cameras",
                )
            line = self._line(camera)
            challenge = _taken_up(camera, line, take_up) if take_up else None
            watch = Watch(camera, notify, self._max_age_ms, challenge)
            line.watches.add(watch)
            report = line.report
        if report is not None and report.code is not ErrorCode.OK:
            watch.put(answer_of_error(LiveGateError(report.code, report.message)))
        if report is not None and report.state is CameraState.ENDED:
            watch.end(_end_of_stream(camera, "its source has ended"))
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Forget one who watched, and the camera if nobody else knows of it."""
        camera = watch.camera
        if watch.challenge is not None:
            watch.challenge.abandon()
        is_here = any(report.camera == camera for report in self.reports)
        with self._lock:
            line = self._lines.get(camera)
            if line is None:
                return
            line.watches.discard(watch)
            if watch.challenge is not None and line.challenge is watch.challenge:
                _look_on(line, None)
            if not is_here:
                self._let_go(camera)

    def stop(self, error: LiveGateError) -> None:
        """End every watch, and refuse new ones."""
        with self._lock:
            self._end = error
            watches = [watch for line in self._lines.values() for watch in line.watches]
        for watch in watches:
            watch.end(error)

    def _tell(self, camera: str, error: LiveGateError) -> None:
        self._publish(camera, self._failure(camera, error))

    def _publish(self, camera: str, answer: FrameAnswer) -> None:
        for watch in self._watches(camera):
            watch.put(answer)

    def _finish(self, camera: str, error: LiveGateError, last: FrameAnswer | None = None) -> None:
        for watch in self._watches(camera):
            watch.end(error, last)

    def _watches(self, camera: str) -> tuple[Watch, ...]:
        line = self._lines.get(camera)
        if line is None or not line.watches:  # as of mostly every frame, and asked without the lock
            return ()
        with self._lock:
            return tuple(line.watches)

    # At run time.

    def add(self, camera: CameraConfig) -> CameraReport:
        """Begin to read a camera.

        Raises:
            LiveGateError: CONFIG_ADD_FAIL with the reason.
        """
        with self._admin_lock, _failing(ErrorCode.CONFIG_ADD_FAIL, camera.name):
            view, control = view_of_camera(camera), self._controlled()
            control.add(camera)
            return self._changed(camera.name, view, control)

    def change(self, camera: CameraConfig) -> CameraReport:
        """Read a camera anew, with other settings.

        Raises:
            LiveGateError: CONFIG_UPDATE_FAIL with the reason.
        """
        with self._admin_lock, _failing(ErrorCode.CONFIG_UPDATE_FAIL, camera.name):
            view, control = view_of_camera(camera), self._controlled()
            control.change(camera)
            return self._changed(camera.name, view, control)

    def remove(self, camera: str) -> None:
        """Let a camera go; those who watch it hear the end of the stream.

        Raises:
            LiveGateError: CONFIG_DELETE_FAIL with the reason.
        """
        with self._admin_lock, _failing(ErrorCode.CONFIG_DELETE_FAIL, camera):
            self._controlled().remove(camera)
            with self._lock:  # first: who comes to watch now is told that there is no such camera
                line = self._lines.pop(camera, None)
        if line is None:
            return
        if line.session is not None:
            line.session.retire()
        for watch in line.watches:
            watch.end(_end_of_stream(camera, "the camera was removed"))

    def _changed(self, camera: str, view: View, control: CameraControl) -> CameraReport:
        """Look at it in the new way from the next frame on."""
        report = next(report for report in control.reports if report.camera == camera)
        with self._lock:
            line = self._line(camera)
            before, line.view, line.session = line.session, view, None
            line.report = report
        if before is not None:
            before.retire()
        return report

    def _controlled(self) -> CameraControl:
        if self._control is None:
            raise RequestError(
                ErrorCode.NOT_INIT,
                "this server keeps no cameras",
                hint="cameras need the frame queue: set frames.socket",
            )
        return self._control


def views_of(cameras: Iterable[CameraConfig]) -> dict[str, View]:
    """How the pictures of configured cameras are to be looked at, by name.

    Raises:
        SetupError: CONFIG_ADD_FAIL for a region that is none, or two cameras of one name.
    """
    views: dict[str, View] = {}
    for camera in cameras:
        if camera.name in views:
            raise SetupError(
                ErrorCode.CONFIG_ADD_FAIL, f"ingest.cameras: there are two named {camera.name}"
            )
        with _failing(ErrorCode.CONFIG_ADD_FAIL, camera.name):
            views[camera.name] = view_of_camera(camera)
    return views


def _taken_up(camera: str, line: _Line, take_up: Callable[[], LiveChallenge]) -> LiveChallenge:
    """The challenge that everybody in front of a camera answers from now on; the lock is held."""
    if line.challenge is not None and not line.challenge.is_over:
        raise RequestError(
            ErrorCode.BUSY,
            f"another challenge is being answered in front of {camera}",
            hint="wait for its end; a camera takes one at a time",
        )
    challenge = take_up()
    _look_on(line, challenge)
    return challenge


def _look_on(line: _Line, challenge: LiveChallenge | None) -> None:
    line.challenge = challenge
    if line.session is not None:
        line.session.onlooker = challenge


@contextmanager
def _failing(code: ErrorCode, camera: str) -> Iterator[None]:
    """Whatever goes wrong with settings has the code of what was asked for."""
    try:
        yield
    except LiveGateError as error:
        if error.code is code:
            raise
        message = f"camera {camera}: {error.message}"
        raise SetupError(code, message, hint=error.hint, fields=error.fields) from error


def _gone(camera: str) -> LiveGateError:
    return LiveGateError(ErrorCode.CONNECTION_CLOSE, f"the producer of {camera} has left")


def _end_of_stream(camera: str, why: str) -> LiveGateError:
    return LiveGateError(ErrorCode.EXIT, f"no more frames of {camera} will come: {why}")
