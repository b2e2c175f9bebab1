"""Cameras by name: how they are, who watches them, and what changing them may answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from challenge_kit import FakeLive
from livegate.core.camera import CameraReport, CameraState
from livegate.core.config import CameraConfig
from livegate.core.errors import (
    EngineError,
    ErrorCode,
    LiveGateError,
    QueueError,
    RequestError,
    SetupError,
)
from livegate.core.results import Decision, GateDecision, Reason, Verdict
from livegate.core.telemetry import Metrics
from livegate.pipelines.session import Look
from livegate.service.cameras import Cameras
from livegate.service.watch import Watch
from livegate.shm.broker import CameraStatus
from livegate.shm.layout import PixelFormat
from livegate.shm.lease import FrameView
from livegate.shm.outcome import Outcome
from support import config_with, noise

DOOR = CameraConfig(name="door", url="file:door.mp4")


class Control:
    """Keeps a list, and says how each camera is at once, as the real one does."""

    def __init__(self, cameras: Cameras) -> None:
        self.cameras = cameras
        self.kept: dict[str, CameraConfig] = {}

    def add(self, camera: CameraConfig) -> None:
        if camera.name in self.kept:
            raise LiveGateError(ErrorCode.CONFIG_ADD_FAIL, "it is there already")
        self.kept[camera.name] = camera
        self.cameras.report(report(camera.name, CameraState.STARTING))

    def change(self, camera: CameraConfig) -> None:
        if camera.name not in self.kept:
            raise LiveGateError(ErrorCode.CONFIG_UPDATE_FAIL, "there is none")
        self.kept[camera.name] = camera

    def remove(self, name: str) -> None:
        if self.kept.pop(name, None) is None:
            raise LiveGateError(ErrorCode.CONFIG_DELETE_FAIL, "there is none")

    @property
    def reports(self) -> tuple[CameraReport, ...]:
        return tuple(
            CameraReport(one.name, one.url, CameraState.STARTING, 2) for one in self.kept.values()
        )


def report(
    name: str, state: CameraState, code: ErrorCode = ErrorCode.OK, message: str = ""
) -> CameraReport:
    return CameraReport(name, "file:door.mp4", state, 1, code, message)


def cameras_with(*configured: CameraConfig, producers: Any = tuple) -> Cameras:
    config = config_with(ingest={"cameras": configured})
    cameras = Cameras(config, None, Metrics(), producers)  # type: ignore[arg-type]
    cameras.use(Control(cameras))
    return cameras


def watching(cameras: Cameras, camera: str = "door") -> Watch:
    return cameras.watch(camera, lambda: None)


def ended(watch: Watch) -> LiveGateError:
    """Why nothing more comes."""
    for _ in iter(lambda: _next_or_end(watch), None):
        pass
    with pytest.raises(LiveGateError) as caught:
        watch.take()
    return caught.value


def _next_or_end(watch: Watch) -> object:
    try:
        return watch.take()
    except LiveGateError:
        return None


def producer(name: str) -> CameraStatus:
    return CameraStatus(name, 64, 48, "BGR", True, 1, {}, 0, 5)


def test_cameras_of_ours_and_of_others_are_told_by_name() -> None:
    """A producer nobody configured is a camera, too."""
    cameras = cameras_with(producers=lambda: (producer("yard"), producer("door")))
    cameras.add(DOOR)
    names = [(one.camera, one.state, one.source) for one in cameras.reports]
    assert names == [
        ("door", CameraState.STARTING, "file:door.mp4"),
        ("yard", CameraState.STREAMING, ""),
    ]


def test_two_cameras_of_one_name_are_refused_at_start() -> None:
    """2041, with the name."""
    with pytest.raises(SetupError) as caught:
        cameras_with(DOOR, DOOR)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert "door" in caught.value.message


def test_failures_of_changes_have_the_code_of_what_was_asked() -> None:
    """2041 to add, 2042 to change, 2043 to remove, whatever the cause."""
    cameras = cameras_with()
    cameras.add(DOOR)
    nowhere = CameraConfig(name="hall", url="file:x", region=(0.5, 0, 0.6, 1))
    for code, call in (
        (ErrorCode.CONFIG_ADD_FAIL, lambda: cameras.add(DOOR)),
        (ErrorCode.CONFIG_ADD_FAIL, lambda: cameras.add(nowhere)),
        (ErrorCode.CONFIG_UPDATE_FAIL, lambda: cameras.change(CameraConfig(name="hall", url="file:x"))),
        (ErrorCode.CONFIG_UPDATE_FAIL, lambda: cameras.change(nowhere)),
        (ErrorCode.CONFIG_DELETE_FAIL, lambda: cameras.remove("hall")),
    ):
        with pytest.raises(LiveGateError) as caught:
            call()
        assert caught.value.code is code
    assert [one.camera for one in cameras.reports] == ["door"]


def test_server_without_a_frame_queue_keeps_no_cameras() -> None:
    """The way out stands in the hint."""
    cameras = Cameras(config_with(), None, Metrics())  # type: ignore[arg-type]
    with pytest.raises(LiveGateError) as caught:
        cameras.add(DOOR)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert "frames.socket" in caught.value.hint


def test_trouble_of_a_camera_is_told_to_who_watches_it_and_counted() -> None:
    """Its code and text; a later watcher hears how it stands."""
    cameras = cameras_with()
    cameras.add(DOOR)
    first = watching(cameras)
    cameras.report(report("door", CameraState.RETRYING, ErrorCode.STREAMPULLER_OPEN_FAIL, "no answer"))
    for watch in (first, watching(cameras)):
        answer = watch.take()
        assert answer is not None
        assert answer.error is not None
        assert answer.error.code is ErrorCode.STREAMPULLER_OPEN_FAIL
        assert answer.error.message == "no answer"
        assert answer.gate is None
    assert cameras.failures == {("door", ErrorCode.STREAMPULLER_OPEN_FAIL): 1}


def test_camera_that_recovers_says_nothing_and_stays_watched() -> None:
    """Frames will tell."""
    cameras = cameras_with()
    cameras.add(DOOR)
    watch = watching(cameras)
    cameras.report(report("door", CameraState.STREAMING))
    assert watch.take() is None


def test_end_of_a_file_ends_the_watch() -> None:
    """First what happened (2003), then that nothing more comes (1023)."""
    cameras = cameras_with()
    cameras.add(DOOR)
    watch = watching(cameras)
    cameras.report(report("door", CameraState.ENDED, ErrorCode.STREAMPULLER_EOF, "the end"))
    for one in (watch, watching(cameras)):
        answer = one.take()
        assert answer is not None
        assert answer.error is not None
        assert answer.error.code is ErrorCode.STREAMPULLER_EOF
        assert ended(one).code is ErrorCode.EXIT


def test_removed_camera_ends_its_watches_only() -> None:
    """The other camera goes on."""
    cameras = cameras_with()
    cameras.add(DOOR)
    cameras.add(CameraConfig(name="hall", url="file:x"))
    door, hall = watching(cameras), watching(cameras, "hall")
    cameras.remove("door")
    assert ended(door).code is ErrorCode.EXIT
    assert hall.take() is None
    with pytest.raises(RequestError) as caught:
        watching(cameras)
    assert caught.value.code is ErrorCode.NO_EXIST


def test_who_comes_to_watch_while_a_camera_goes_is_refused() -> None:
    """Nobody would ever end such a watch."""
    cameras = cameras_with()
    cameras.add(DOOR)
    codes: list[ErrorCode] = []

    def come() -> None:
        with pytest.raises(RequestError) as caught:
            watching(cameras)
        codes.append(caught.value.code)

    cameras.watch("door", come)
    cameras.remove("door")
    assert codes == [ErrorCode.NO_EXIST]


def test_cameras_of_ours_are_those_that_the_server_reads() -> None:
    """From the start, not from the first picture on; a removed one's name is free."""
    cameras = cameras_with(DOOR, CameraConfig(name="hall"))
    cameras.add(CameraConfig(name="yard", url="file:x"))
    told = {name: cameras.is_ours(name) for name in ("door", "hall", "yard", "else")}
    assert told == {"door": True, "hall": False, "yard": True, "else": False}
    cameras.remove("yard")
    assert not cameras.is_ours("yard")


def test_producer_that_leaves_is_told_and_may_come_again() -> None:
    """1024 to those who watch; the watch stays."""
    cameras = cameras_with(producers=lambda: (producer("yard"),))
    watch = watching(cameras, "yard")
    cameras.left("yard")
    answer = watch.take()
    assert answer is not None
    assert answer.error is not None
    assert answer.error.code is ErrorCode.CONNECTION_CLOSE
    assert watch.take() is None


def test_stop_ends_every_watch_and_refuses_new_ones() -> None:
    """With the error that it was given."""
    cameras = cameras_with()
    cameras.add(DOOR)
    watch = watching(cameras)
    cameras.stop(QueueError(ErrorCode.QUEUE_STOPED, "stop"))
    assert ended(watch).code is ErrorCode.QUEUE_STOPED
    with pytest.raises(QueueError):
        watching(cameras)


def test_unwatched_camera_tells_nobody() -> None:
    """A watch that was given back hears nothing more."""
    cameras = cameras_with()
    cameras.add(DOOR)
    watch = watching(cameras)
    cameras.unwatch(watch)
    cameras.report(report("door", CameraState.RETRYING, ErrorCode.STREAMPULLER_OPEN_FAIL, "x"))
    assert watch.take() is None


# --- frames -------------------------------------------------------------------------------------


GENUINE = Verdict(1031, "silent_liveness", Decision.GENUINE, 0.9, (), (0.9,))


class Judge:
    """A service whose every look opens the gate, after something else has happened."""

    scratch = None

    def __init__(self) -> None:
        self.meanwhile: Any = lambda: None
        self.error: Exception | None = None
        self.repeated: Look | None = Look(64, 48, (GENUINE,), 1, 1, None, (Reason.UNCHANGED,))

    def session(self, algo_tasks: Any, view: Any, attention: Any) -> Any:
        return Followed(view)

    def look(self, session: Any, frame: Any, captured_ns: int, clock: Any) -> Look:
        self.meanwhile()
        if self.error:
            raise self.error
        news = session.onlooker and session.onlooker.prompt(GateDecision.HOLD)
        reasons = (Reason.ENOUGH_GENUINE_FRAMES,)
        return Look(64, 48, (GENUINE,), 1, 1, GateDecision.OPEN, reasons, news)

    def glance(self, session: Any, frame: Any, captured_ns: int) -> Look | None:
        if self.error:
            raise self.error
        return self.repeated


class Followed:
    """A session that failed frames are told to."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self.onlooker: Any = None
        self.failures = 0
        self.is_retired = False
        self.has_seen = True

    def unsee(self) -> None:
        self.has_seen = False

    @property
    def repeats_until_ns(self) -> int:
        return 9_000_000_000 if self.has_seen else 0

    def retire(self) -> None:
        self.is_retired = True

    def fail(self) -> tuple[int, GateDecision | None]:
        self.failures += 1
        return 1, GateDecision.HOLD


class OneFrame:
    """A lease, and the outcome that it ended with."""

    def __init__(self, camera: str = "door") -> None:
        self.camera = camera
        self.frame_id = 7
        self.published = SimpleNamespace(captured_ns=5_000_000_000)
        self.has_producer = True
        self.repeats_until_ns = -1
        self.outcomes: list[Outcome] = []

    def view(self) -> FrameView:
        return FrameView(self.camera, 7, PixelFormat.BGR, noise(64, 48), 0, False)

    def finish(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def __enter__(self) -> OneFrame:
        return self

    def __exit__(self, *arguments: object) -> None:
        assert self.outcomes


class OneSource:
    """The producer of a frame that nobody has queued."""

    def __init__(self, pixel_format: PixelFormat = PixelFormat.BGR) -> None:
        self.camera = "door"
        self.pixel_format = pixel_format
        self.leases: list[OneFrame] = []

    def memory(self, ticket: Any) -> Any:
        return b"", noise(64, 48), False

    def lease(self, published: Any, *, since_ns: int) -> OneFrame:
        self.leases.append(OneFrame())
        return self.leases[-1]

    @property
    def published(self) -> Any:
        return SimpleNamespace(source=self, ticket=None, frame_id=7, captured_ns=5_000_000_000)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def judged(judge: Judge) -> Cameras:
    cameras = Cameras(config_with(), judge, Metrics(), tuple)  # type: ignore[arg-type]
    cameras.use(Control(cameras))
    cameras.add(DOOR)
    return cameras


def test_word_on_a_frame_goes_to_its_producer_and_to_who_watches(judged: Cameras) -> None:
    """The same word, with the frame's number and time."""
    watch, lease = watching(judged), OneFrame()
    judged.look(lease)  # type: ignore[arg-type]
    answer = watch.take()
    assert answer is not None
    assert (answer.frame_id, answer.frame_pts, answer.gate) == (7, 5000, GateDecision.OPEN)
    assert [outcome.gate for outcome in lease.outcomes] == [GateDecision.OPEN]


def test_frame_that_repeats_a_verdict_is_answered_at_a_glance(judged: Cameras) -> None:
    """Its producer and those who watch hear the verdict again, and no word."""
    judged.look(OneFrame())  # type: ignore[arg-type]
    watch, source = watching(judged), OneSource()
    assert judged.glance(source.published)
    answer = watch.take()
    assert answer is not None
    assert (answer.frame_id, answer.gate, answer.reasons) == (7, None, (Reason.UNCHANGED,))
    (lease,) = source.leases
    assert [outcome.decision for outcome in lease.outcomes] == [Decision.GENUINE]
    assert lease.repeats_until_ns == 9_000_000_000


@pytest.mark.parametrize("why", ["new camera", "NV12", "changed", "broken"])
def test_frame_that_must_be_looked_at_is_left_alone_by_a_glance(
    why: str, judged: Cameras, judge: Judge
) -> None:
    """Nobody hears anything, and nobody has leased it: it can still wait for its turn."""
    if why != "new camera":
        judged.look(OneFrame())  # type: ignore[arg-type]
    watch = watching(judged)
    source = OneSource(PixelFormat.NV12 if why == "NV12" else PixelFormat.BGR)
    judge.repeated = None if why == "changed" else judge.repeated
    judge.error = EngineError("broken") if why == "broken" else None
    assert not judged.glance(source.published)
    assert watch.take() is None
    assert not source.leases


def test_camera_without_its_producer_keeps_no_picture(judged: Cameras) -> None:
    """Whether it leaves between two frames or during one, and whoever reads the camera."""
    for is_ours in (False, True):
        camera = f"door{is_ours}"
        if is_ours:
            judged.report(report(camera, CameraState.STREAMING))
        judged.look(OneFrame(camera))  # type: ignore[arg-type]
        session = judged._lines[camera].session
        assert session is not None
        assert session.repeats_until_ns
        judged.left(camera)
        assert not session.repeats_until_ns
    orphan = OneFrame()
    orphan.has_producer = False
    judged.look(orphan)  # type: ignore[arg-type]
    assert orphan.repeats_until_ns == 0


def test_frame_that_fails_is_held_and_told_to_everybody(judged: Cameras, judge: Judge) -> None:
    """A network that broke: 1030 to both, HOLD, and the session knows."""
    watch, lease = watching(judged), OneFrame()
    judge.error = EngineError("broken")
    judged.look(lease)  # type: ignore[arg-type]
    answer = watch.take()
    assert answer is not None
    assert answer.error is not None
    assert answer.error.code is ErrorCode.MODELINFER_FAIL
    assert answer.gate is GateDecision.HOLD
    assert [outcome.code for outcome in lease.outcomes] == [ErrorCode.MODELINFER_FAIL]


def test_session_of_a_camera_that_changes_or_goes_says_no_word_any_more(judged: Cameras) -> None:
    """A frame that is looked at in the old way opens nothing in the new one."""
    judged.look(OneFrame())  # type: ignore[arg-type]
    first = judged._lines["door"].session
    judged.change(CameraConfig(name="door", url="file:door.mp4", rotation=90))
    judged.look(OneFrame())  # type: ignore[arg-type]
    second = judged._lines["door"].session
    assert isinstance(first, Followed)
    assert isinstance(second, Followed)
    assert (first.is_retired, second.is_retired) == (True, False)
    judged.remove("door")
    assert second.is_retired


def test_defect_while_a_frame_is_judged_is_1002_and_the_camera_goes_on(
    judged: Cameras, judge: Judge
) -> None:
    """Nothing of the inside comes out."""
    lease = OneFrame()
    judge.error = ZeroDivisionError("secret inside")
    judged.look(lease)  # type: ignore[arg-type]
    assert [outcome.code for outcome in lease.outcomes] == [ErrorCode.INNER]
    judge.error = None
    judged.look(lease)  # type: ignore[arg-type]
    assert lease.outcomes[-1].gate is GateDecision.OPEN


def test_change_answers_with_the_new_source_at_once(judged: Cameras) -> None:
    """Not with what was wrong before it."""
    judged.report(report("door", CameraState.FAILED, ErrorCode.STREAMPULLER_OPEN_FAIL, "no answer"))
    told = judged.change(CameraConfig(name="door", url="file:other.mp4"))
    assert (told.source, told.state, told.code) == ("file:other.mp4", CameraState.STARTING, ErrorCode.OK)
    assert judged.reports == (told,)


def test_camera_that_fails_at_every_frame_does_not_fill_the_log(judged: Cameras, judge: Judge) -> None:
    """One line for the same failure, another for another."""
    with capture_logs() as lines:
        judge.error = EngineError("broken")
        for _ in range(50):
            judged.look(OneFrame())  # type: ignore[arg-type]
        judge.error = RequestError(ErrorCode.DECODE_FAIL, "no picture")
        judged.look(OneFrame())  # type: ignore[arg-type]
    assert [line["code"] for line in lines if line["event"] == "frame failed"] == [1030, 1028]


def test_camera_of_nobody_is_forgotten_with_its_last_watcher() -> None:
    """A producer that was watched, left, and comes no more."""
    here = [producer("yard")]
    cameras = cameras_with(producers=lambda: tuple(here))
    watch = watching(cameras, "yard")
    here.clear()
    cameras.left("yard")
    cameras.unwatch(watch)
    with pytest.raises(RequestError) as caught:
        watching(cameras, "yard")
    assert caught.value.code is ErrorCode.NO_EXIST


def test_camera_added_while_the_last_watcher_leaves_keeps_its_view() -> None:
    """Else its region would be gone, and a face outside of it opened."""
    region = (0.0, 0.0, 0.5, 1.0)
    adds: list[CameraConfig] = []

    def producers() -> tuple[CameraStatus, ...]:
        while adds:
            cameras.add(adds.pop())
        return ()

    cameras = cameras_with(producers=producers)
    cameras.add(CameraConfig(name="yard", url="file:yard.mp4"))
    watch = watching(cameras, "yard")
    cameras.remove("yard")
    adds.append(CameraConfig(name="yard", url="file:yard.mp4", region=region))
    cameras.unwatch(watch)
    assert not adds
    assert cameras._lines["yard"].view.region == region


@pytest.mark.parametrize("error", [None, EngineError("broken")])
def test_camera_that_left_while_it_was_looked_at_is_forgotten(
    error: EngineError | None, judged: Cameras, judge: Judge
) -> None:
    """However its look ended: names that are never used again would add up."""
    judge.error = error
    lease: Any = OneFrame("ghost")
    lease.has_producer = False
    judged.look(lease)
    assert "ghost" not in judged._lines


# --- challenges ---------------------------------------------------------------------------------


def answering(cameras: Cameras, live: FakeLive) -> Watch:
    return cameras.watch("door", lambda: None, lambda: live)  # type: ignore[arg-type, return-value]


def test_challenge_is_heard_by_its_watcher_only(judged: Cameras) -> None:
    """The producer and the other watchers hear the gate as ever."""
    live = FakeLive()
    mine, other, lease = answering(judged, live), watching(judged), OneFrame()
    judged.look(lease)  # type: ignore[arg-type]
    assert (heard := mine.take())
    assert (heard.gate, heard.reasons) == (GateDecision.HOLD, (Reason.CHALLENGE_OPEN,))
    assert heard.news == live.prompt(GateDecision.HOLD)
    assert (plain := other.take())
    assert (plain.gate, plain.news) == (GateDecision.OPEN, None)
    assert [outcome.gate for outcome in lease.outcomes] == [GateDecision.OPEN]


def test_camera_takes_one_challenge_at_a_time(judged: Cameras) -> None:
    """1017, and the nonce is not spent; one that is over makes room."""
    first = FakeLive("a")
    watch = answering(judged, first)
    with pytest.raises(RequestError) as caught:
        judged.watch("door", lambda: None, lambda: pytest.fail("taken up"))
    assert caught.value.code is ErrorCode.BUSY
    first.is_over = True
    second = FakeLive("b")
    answering(judged, second)
    judged.look(OneFrame())  # type: ignore[arg-type]
    assert (heard := watch.take())
    assert heard.news == first.silence
    judged.unwatch(watch)
    assert judged._lines["door"].challenge is second


def test_unknown_camera_spends_no_challenge(judged: Cameras) -> None:
    """1016 before anything is taken up."""
    with pytest.raises(RequestError) as caught:
        judged.watch("nowhere", lambda: None, lambda: pytest.fail("taken up"))
    assert caught.value.code is ErrorCode.NO_EXIST


def test_nonce_that_is_refused_leaves_no_watcher(judged: Cameras) -> None:
    """The camera is free for the next one."""

    def refuse() -> Any:
        raise RequestError(ErrorCode.EXIST, "answered already")

    with pytest.raises(RequestError) as caught:
        judged.watch("door", lambda: None, refuse)
    assert caught.value.code is ErrorCode.EXIST
    assert not judged._lines["door"].watches
    answering(judged, FakeLive())


def test_watcher_who_leaves_frees_the_camera(judged: Cameras) -> None:
    """Midway: abandoned, and nobody looks on any more."""
    judged.look(OneFrame())  # type: ignore[arg-type]
    live = FakeLive()
    judged.unwatch(answering(judged, live))
    assert live.abandoned == 1
    session: Any = judged._lines["door"].session
    assert session.onlooker is None
    answering(judged, FakeLive())


def test_challenge_follows_a_camera_that_changes_and_ends_with_one_that_goes(judged: Cameras) -> None:
    """The new session is looked on at, too; a camera that is removed leaves nothing open."""
    live = FakeLive()
    watch = answering(judged, live)
    judged.look(OneFrame())  # type: ignore[arg-type]
    judged.change(CameraConfig(name="door", url="file:door.mp4", rotation=90))
    judged.look(OneFrame())  # type: ignore[arg-type]
    session: Any = judged._lines["door"].session
    assert session.onlooker is live
    judged.remove("door")
    judged.unwatch(watch)
    assert live.abandoned == 1
