"""Cameras' processes, played by a script: started, watched, restarted, ended, and nothing left over."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from children import children_with
from frame_queue_kit import HANG_S, open_fds
from frame_queue_rig import eventually
from livegate.app.keeper import MAX_CRASHES, MAX_LOGGED, MAX_LOGGED_CHARS
from livegate.app.supervisor import CameraSupervisor
from livegate.core.camera import CameraReport, CameraState
from livegate.core.config import CameraConfig, IngestConfig, LimitsConfig
from livegate.core.errors import ErrorCode, LiveGateError, SetupError
from livegate.ingest.confine import environment, how_it_ended

FAKE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_camera.py")))
URL = "rtsp://admin:hunter22@cam.example/"


class Rig:
    """A supervisor of fake cameras, a clock that passes when told, and what was reported."""

    def __init__(self, *, command: tuple[str, ...] = FAKE, **settings: float) -> None:
        self.now_s = 1000.0
        self.heard: list[CameraReport] = []
        self.supervisor = CameraSupervisor(
            IngestConfig(**settings),
            LimitsConfig(),
            Path("/nowhere/frames.sock"),
            self.hear,
            command=command,
            clock=lambda: self.now_s,
            now_ms=lambda: int(self.now_s * 1000),
            chance=lambda: 1.0,
        )

    def hear(self, report: CameraReport) -> None:
        self.heard.append(report)

    def add(self, what: str, name: str = "door") -> None:
        self.supervisor.add(CameraConfig(name=name, url=URL + what))

    def change(self, what: str, name: str = "door") -> None:
        self.supervisor.change(CameraConfig(name=name, url=URL + what))

    def report(self, name: str = "door") -> CameraReport:
        return next(report for report in self.supervisor.reports if report.camera == name)

    def until(self, fact: Callable[[CameraReport], bool], name: str = "door") -> CameraReport:
        """Wait for a report of which this is true."""
        eventually(lambda: fact(self.report(name)), f"a fact about {self.supervisor.reports}")
        return self.report(name)

    def until_state(self, state: CameraState, name: str = "door") -> CameraReport:
        return self.until(lambda report: report.state is state, name)

    def pid(self, name: str = "door") -> int:
        report = self.until(lambda report: report.message.startswith("pid"), name)
        return int(report.message.split()[1])

    def states(self, name: str = "door") -> list[CameraState]:
        return [report.state for report in self.heard if report.camera == name]


def camera_processes() -> list[psutil.Process]:
    return children_with(FAKE[-1])


def camera_threads() -> int:
    return sum(thread.name.startswith("livegate-camera-") for thread in threading.enumerate())


@contextmanager
def rig(**settings: object) -> Iterator[Rig]:
    """At its end no process, no thread and no descriptor is left."""
    gc.collect()  # what an earlier test left must not go meanwhile
    fds, threads = open_fds(), camera_threads()
    made = Rig(**settings)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.supervisor.stop(HANG_S)
    assert made.supervisor.reports == ()
    assert camera_processes() == []
    assert camera_threads() == threads
    # What another thread of this process holds for a moment is not ours.
    eventually(lambda: open_fds() == fds, f"{fds} descriptors, as before")


@contextmanager
def refused(code: ErrorCode, cause: str) -> Iterator[None]:
    with pytest.raises(LiveGateError) as caught:
        yield
    assert caught.value.code is code
    assert cause in caught.value.message
    assert caught.value.hint
    assert "hunter22" not in str(caught.value)


def test_camera_is_started_and_reported() -> None:
    """STARTING, then what its process says; the report shows no password."""
    with rig() as made:
        made.add("stream")
        report = made.until_state(CameraState.STREAMING)
        assert (report.camera, report.source) == ("door", "rtsp://cam.example/stream")
        assert (report.width, report.height, report.restarts) == (64, 48, 0)
        assert (report.code, report.since_ms) == (ErrorCode.OK, 1_000_000)
        assert made.states() == [CameraState.STARTING, CameraState.STREAMING]
        assert made.heard[-1] == report


def test_add_refuses_what_it_cannot_do() -> None:
    """A name that is taken, a bad URL, none at all, one too many: 2041 with the cause."""
    with rig(max_cameras=2) as made:
        made.add("stream")
        with refused(ErrorCode.CONFIG_ADD_FAIL, "door is there already"):
            made.add("stream")
        for url, cause in (("http://cam/x", "scheme"), ("", "empty"), ("rtsp://a:1/2@cam/x", "URL")):
            with refused(ErrorCode.CONFIG_ADD_FAIL, cause):
                made.supervisor.add(CameraConfig(name="other", url=url))
        made.add("stream", "second")
        with refused(ErrorCode.CONFIG_ADD_FAIL, "the limit is 2"):
            made.add("stream", "third")
        assert [report.camera for report in made.supervisor.reports] == ["door", "second"]


def test_change_and_remove_refuse_what_they_cannot_do() -> None:
    """Unknown names and bad URLs: 2042 and 2043; the camera stays as it was."""
    with rig() as made:
        with refused(ErrorCode.CONFIG_UPDATE_FAIL, "no camera door"):
            made.change("stream")
        with refused(ErrorCode.CONFIG_DELETE_FAIL, "no camera door"):
            made.supervisor.remove("door")
        made.add("stream")
        pid = made.pid()
        with refused(ErrorCode.CONFIG_UPDATE_FAIL, "scheme"):
            made.supervisor.change(CameraConfig(name="door", url="http://cam/x"))
        assert made.pid() == pid
        assert psutil.pid_exists(pid)


def test_supervisor_that_stopped_takes_no_camera() -> None:
    """After the stop an add is refused, not started and forgotten."""
    with rig() as made:
        made.supervisor.stop(HANG_S)
        with refused(ErrorCode.CONFIG_ADD_FAIL, "the server stops"):
            made.add("stream")


def test_change_of_the_url_starts_another_process() -> None:
    """The old one is gone; a change without a new URL leaves the process alone."""
    with rig() as made:
        made.add("stream")
        first = made.pid()
        made.change("stream")
        assert made.pid() == first
        made.change("silent")
        made.until(lambda report: report.message not in ("", f"pid {first}"))
        assert made.pid() != first
        assert not psutil.pid_exists(first)


def test_removed_camera_leaves_nothing() -> None:
    """Process, thread and descriptors are gone when remove returns, and the name is free."""
    with rig() as made:
        fds, threads = open_fds(), camera_threads()
        made.add("stream")
        pid = made.pid()
        said = len(made.heard)
        made.supervisor.remove("door")
        assert not psutil.pid_exists(pid)
        assert (open_fds(), camera_threads()) == (fds, threads)
        assert made.supervisor.reports == ()
        assert len(made.heard) == said
        made.add("stream")
        made.until_state(CameraState.STREAMING)


def test_process_that_does_not_listen_is_killed_by_stop() -> None:
    """The end of its input is not enough for one that hangs: SIGKILL follows."""
    with rig() as made:
        made.add("deaf")
        pid = made.pid()
        made.supervisor.stop(HANG_S)
        assert not psutil.pid_exists(pid)


def test_crashed_process_is_started_again_when_the_pause_is_over() -> None:
    """The report says how it ended; nothing happens before the clock says so."""
    with rig() as made:
        made.add("crash")
        report = made.until(lambda report: report.restarts == 1)
        assert report.state is CameraState.RETRYING
        assert report.code is ErrorCode.STREAMPULLER_OPEN_FAIL
        assert "SIGSEGV" in report.message
        assert camera_processes() == []
        made.now_s += 0.51
        report = made.until(lambda report: report.restarts == 2)
        assert made.states().count(CameraState.RETRYING) == 2


@pytest.mark.parametrize(
    ("what", "code", "cause"),
    [
        ("streaming-crash", ErrorCode.STREAMPULLER_READFRAME_FAIL, "ended with 7"),
        ("retrying-crash", ErrorCode.CONNECTION_FAILURE, "no frame queue answers"),
    ],
)
def test_crash_keeps_the_code_that_was_said_last(what: str, code: ErrorCode, cause: str) -> None:
    """What the process said before its end is not lost; one that streamed broke off."""
    with rig() as made:
        made.add(what)
        report = made.until(lambda report: report.restarts == 1)
        assert report.code is code
        assert cause in report.message


def test_process_that_cannot_be_started_is_a_crash() -> None:
    """A command that is not there."""
    with rig(command=("/nowhere/python",)) as made:
        made.add("stream")
        report = made.until(lambda report: report.restarts == 1)
        assert report.state is CameraState.RETRYING
        assert "No such file" in report.message


def crash_until_failed(made: Rig) -> CameraReport:
    for number in range(1, MAX_CRASHES):
        made.until(lambda report, number=number: report.restarts >= number)  # type: ignore[misc]
        made.now_s += 8.01
    return made.until_state(CameraState.FAILED)


def test_camera_that_crashes_too_often_fails_until_it_is_changed() -> None:
    """The fifth crash within a minute: FAILED with the last code, no process; a change tries again."""
    with rig() as made:
        made.add("retrying-crash")
        report = crash_until_failed(made)
        assert report.restarts == MAX_CRASHES
        assert report.code is ErrorCode.CONNECTION_FAILURE
        assert "not started again" in report.message
        made.now_s += 3600
        assert camera_processes() == []
        assert made.report() == report
        made.change("retrying-crash")
        assert made.until(lambda report: report.restarts == 1).state is CameraState.RETRYING


def test_camera_that_crashes_now_and_then_goes_on() -> None:
    """More crashes than the limit, but never so many within a minute."""
    with rig() as made:
        made.add("crash")
        for number in range(1, MAX_CRASHES + 3):
            made.until(lambda report, number=number: report.restarts == number)  # type: ignore[misc]
            made.now_s += 16.0
        assert CameraState.FAILED not in made.states()


def test_silent_process_is_killed_by_the_watchdog() -> None:
    """No line for longer than ingest.watchdog_s: SIGKILL, and 2004 since it streamed."""
    with rig(watchdog_s=15.0) as made:
        made.add("deaf")
        pid = made.pid()
        made.now_s += 15.1
        report = made.until(lambda report: report.restarts == 1)
        assert report.code is ErrorCode.STREAMPULLER_READFRAME_FAIL
        assert "showed no life for 15 s" in report.message
        assert not psutil.pid_exists(pid)


def test_broken_camera_does_not_disturb_another() -> None:
    """One crashes until it fails; the other streams on in the same process."""
    with rig(watchdog_s=1e4) as made:
        made.add("stream", "good")
        pid = made.pid("good")
        made.add("crash")
        crash_until_failed(made)
        assert made.report("good").state is CameraState.STREAMING
        assert made.pid("good") == pid
        assert psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("what", "state", "code"),
    [
        ("end", CameraState.ENDED, ErrorCode.STREAMPULLER_EOF),
        ("failed", CameraState.FAILED, ErrorCode.STREAMPULLER_STREAMFORMAT_ERROR),
    ],
)
def test_camera_that_is_over_is_not_started_again(
    what: str, state: CameraState, code: ErrorCode
) -> None:
    """Its last word stays; process and thread are gone; a change starts it once more."""
    with rig() as made:
        threads = camera_threads()
        made.add(what)
        report = made.until_state(state)
        assert report.code is code
        eventually(lambda: camera_threads() == threads, "the end of the keeper's thread")
        assert camera_processes() == []
        made.now_s += 3600
        assert made.report() == report
        assert report.restarts == 0
        heard = len(made.heard)
        made.change(what)
        eventually(lambda: len(made.heard) >= heard + 2, "its second life")


def test_lines_that_are_no_status_are_neither_reports_nor_harm() -> None:
    """Nonsense on standard output is logged; an unknown code is 1001."""
    with rig() as made, capture_logs() as logs:
        made.add("nonsense")
        report = made.until_state(CameraState.STREAMING)
        assert report.code is ErrorCode.FAILURE
    assert sum("not a status" in entry.get("says", "") for entry in logs) == 4


def test_complaints_are_logged_without_secrets_and_within_bounds() -> None:
    """So many lines, so much of each, and never the password."""
    with rig() as made, capture_logs() as logs:
        made.add("complain")
        report = made.until_state(CameraState.STREAMING)
        said = [entry for entry in logs if "says" in entry]
        eventually(lambda: len([e for e in logs if "says" in e]) == MAX_LOGGED, "the logged lines")
    said = [entry for entry in logs if "says" in entry]
    assert len(said) == MAX_LOGGED
    for entry in said:
        assert entry["log_level"] == "warning"
        assert len(entry["says"]) <= MAX_LOGGED_CHARS
        assert "rtsp://cam.example/complain" in entry["says"]
    for text in (repr(logs), repr(report), repr(made.heard)):
        assert "hunter22" not in text
        assert "admin" not in text


def test_pictures_that_go_on_coming_late_are_logged_once_a_minute() -> None:
    """Not the first ones of a connection, which nobody can tell the age of, nor while none come."""
    with rig() as made, capture_logs() as logs:
        made.add("late")
        made.until(lambda report: report.width == 64)
    assert [entry["late_ms"] for entry in logs if "come late" in entry["event"]] == [1200]


def test_process_inherits_no_secrets_no_descriptors_and_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No LIVEGATE_ variable, three descriptors, and a session of its own that Ctrl-C does not reach."""
    monkeypatch.setenv("LIVEGATE_GRPC_TOKENS", "a-secret-token")
    monkeypatch.setenv("KEPT", "1")
    held = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        with rig() as made:
            made.add("environment")
            said = json.loads(made.until_state(CameraState.STREAMING).message)
        assert said == {"names": ["KEPT"], "fds": [0, 1, 2], "leads": True}
    finally:
        os.close(held)


def test_report_that_raises_does_not_end_the_camera() -> None:
    """Whoever listens may fail; the camera goes on and the log has it."""
    with rig() as made, capture_logs() as logs:
        made.hear = made.heard.append  # type: ignore[method-assign]
        failing = CameraSupervisor(
            IngestConfig(), LimitsConfig(), Path("/nowhere"), _fails, command=FAKE
        )
        failing.add(CameraConfig(name="door", url=URL + "stream"))
        eventually(lambda: failing.reports[0].state is CameraState.STREAMING, "the stream")
        failing.stop(HANG_S)
    assert any("found no hearer" in entry["event"] for entry in logs)


def _fails(report: CameraReport) -> None:
    raise OSError("nobody is there")


@pytest.mark.parametrize(
    "settings", [{"watchdog_s": 10.0}, {"open_timeout_s": 8.0}, {"read_timeout_s": 8.0}]
)
def test_watchdog_that_is_faster_than_the_source_is_refused(settings: dict[str, float]) -> None:
    """A camera that only waits must not be killed for it: said at the start, with the way out."""
    with pytest.raises(SetupError) as caught:
        Rig(**settings)
    assert caught.value.code is ErrorCode.CONFIG_ADD_FAIL
    assert "ingest.watchdog_s" in caught.value.message


def test_environment_keeps_everything_else() -> None:
    """Ours are left out, libraries are told to take one thread."""
    left = environment({"LIVEGATE_X": "1", "PATH": "/bin"})
    assert left["PATH"] == "/bin"
    assert "LIVEGATE_X" not in left
    assert left["OPENBLAS_NUM_THREADS"] == "1"


def test_end_of_a_process_is_said_in_words() -> None:
    """Exit statuses and signals, known and unknown."""
    assert how_it_ended(3) == "ended with 3"
    assert how_it_ended(-signal.SIGKILL) == "was ended by SIGKILL"
    assert how_it_ended(-250) == "was ended by signal 250"
