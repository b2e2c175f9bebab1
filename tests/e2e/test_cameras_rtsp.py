"""Cameras' real processes: files, an RTSP server that dies, and every party killed in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from children import children_with
from clips import BLUE, RED, clip
from e2e.running import Running, start
from frame_queue_kit import HANG_S
from frame_queue_rig import Consumer, broker_at, child_environment, eventually
from livegate.app.supervisor import CameraSupervisor
from livegate.core.camera import CameraReport, CameraState
from livegate.core.config import CameraConfig, IngestConfig, LimitsConfig
from livegate.core.errors import ErrorCode
from livegate.shm.broker import Broker
from livegate.shm.lease import Lease
from livegate_bench.sut import free_ports

SYSTEM_PYTHON = "/usr/bin/python3"
APT = (
    "apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)
LOOK = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
needed = ("qtdemux", "h264parse", "rtph264pay", "audiotestsrc", "mulawenc", "rtppcmupay")
assert all(map(Gst.ElementFactory.find, needed))
"""
USER, PASSWORD, CODED = "viewer", "p@ss:w/rd22", "p%40ss%3Aw%2Frd22"
TOLERANCE = 8


class Watch:
    """A broker, a consumer and a supervisor: what was reported, and the last picture of each camera."""

    def __init__(self, broker: Broker, path: Path, **settings: float) -> None:
        self.broker = broker
        self.heard: list[CameraReport] = []
        self.pictures: dict[str, np.ndarray] = {}
        self.counts: dict[str, int] = {}
        self.supervisor = CameraSupervisor(
            IngestConfig(**settings), LimitsConfig(), path, self.heard.append
        )

    def look(self, lease: Lease) -> None:
        view = lease.view()
        self.pictures[lease.camera] = view.pixels.copy()
        self.counts[lease.camera] = self.counts.get(lease.camera, 0) + 1

    def add(self, url: str, name: str = "door") -> None:
        self.supervisor.add(CameraConfig(name=name, url=url))

    def until(self, fact: Callable[[CameraReport], bool], *, since: int = 0) -> CameraReport:
        """Wait for a report of which this is true."""
        eventually(lambda: any(map(fact, self.heard[since:])), f"a fact about {self.heard[since:]}")
        return next(report for report in self.heard[since:] if fact(report))

    def until_state(self, state: CameraState, *, since: int = 0) -> CameraReport:
        return self.until(lambda report: report.state is state, since=since)

    def until_pictures(self, more: int = 3, name: str = "door") -> np.ndarray:
        """Wait for new pictures; the last one."""
        goal = self.counts.get(name, 0) + more
        eventually(lambda: self.counts.get(name, 0) >= goal, f"pictures of {name}: {self.heard}")
        return self.pictures[name]

    def process(self) -> psutil.Process:
        (process,) = camera_processes()
        return process


def camera_processes(parent: int | None = None) -> list[psutil.Process]:
    """Ours, or another's."""
    return children_with("livegate.app.camera", parent)


@contextmanager
def watching(folder: Path, **settings: float) -> Iterator[Watch]:
    path = folder / "frames.sock"
    with broker_at(path) as broker:
        watch = Watch(broker, path, **{"retry_max_s": 1.0, **settings})
        with Consumer(broker, watch.look):
            try:
                yield watch
            finally:
                watch.supervisor.stop(HANG_S)
    assert camera_processes() == []
    for report in watch.heard:
        assert PASSWORD not in repr(report)
        assert CODED not in repr(report)


def assert_colour(pixels: np.ndarray, colour: tuple[int, int, int]) -> None:
    assert np.abs(pixels.astype(int) - colour).max() <= TOLERANCE


@pytest.fixture
def looped(tmp_path: Path) -> str:
    """The URL of a red clip without an end."""
    return f"file:{clip(tmp_path / 'red.mp4', [RED] * 25)}?loop"


class RtspServer:
    """GStreamer's, in a process of its own."""

    def __init__(self, path: Path, *credentials: str) -> None:
        (self.port,) = free_ports(1)
        self._command = (
            *(SYSTEM_PYTHON, str(Path(__file__).with_name("rtsp_server.py"))),
            *(str(self.port), str(path), *credentials),
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            with self._process:
                self._process = None

    def url(self, path: str, userinfo: str = "") -> str:
        return f"rtsp://{userinfo}127.0.0.1:{self.port}/{path}"


@pytest.fixture
def gstreamer() -> None:
    """Skips where GStreamer's RTSP server is not there."""
    look = (SYSTEM_PYTHON, "-c", LOOK)
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run(look, capture_output=True).returncode:
        pytest.skip(f"GStreamer's RTSP server is not here: {APT}")


@contextmanager
def serving(folder: Path, *credentials: str) -> Iterator[RtspServer]:
    """Blue pictures for longer than any test lasts."""
    path = clip(folder / "blue.mp4", [BLUE] * 3000, size=(320, 240), fps=15, gop=15)
    server = RtspServer(path, *credentials)
    server.start()
    try:
        yield server
    finally:
        server.kill()


# --- files ------------------------------------------------------------------------------------------


def test_file_is_handed_over_with_its_colours_and_ends(folder: Path) -> None:
    """STARTING, STREAMING with the size, ENDED with 2003; the process is gone and not started again."""
    with watching(folder) as watch:
        watch.add(f"file:{clip(folder / 'red.mp4', [RED] * 25)}")
        report = watch.until_state(CameraState.STREAMING)
        assert (report.width, report.height) == (96, 64)
        assert_colour(watch.until_pictures(1), RED)
        end = watch.until_state(CameraState.ENDED)
        assert end.code is ErrorCode.STREAMPULLER_EOF
        assert end.restarts == 0
        eventually(lambda: camera_processes() == [], "the end of the process")
        states = [report.state for report in watch.heard]
        assert states == [CameraState.STARTING, CameraState.STREAMING, CameraState.ENDED]


def test_file_that_is_none_fails(folder: Path) -> None:
    """FAILED with the code, and nothing is tried again."""
    with watching(folder) as watch:
        watch.add(f"file:{folder / 'absent.mp4'}")
        report = watch.until_state(CameraState.FAILED)
        assert report.code is ErrorCode.STREAMPULLER_OPEN_FAIL
        assert report.restarts == 0


def test_size_that_changes_reaches_the_consumer(folder: Path) -> None:
    """The producer says hello again with the new size; two STREAMING reports, one process."""
    first = clip(folder / "a.h264", [RED] * 25)
    second = clip(folder / "b.h264", [BLUE] * 25, size=(128, 80))
    both = folder / "both.h264"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with watching(folder) as watch:
        watch.add(f"file:{both}?loop")
        for size in ((96, 64), (128, 80)):
            watch.until(lambda report, size=size: (report.width, report.height) == size)  # type: ignore[misc]
        eventually(lambda: watch.pictures["door"].shape == (80, 128, 3), "the second size")
        assert watch.supervisor.reports[0].restarts == 0


# --- killed parties ---------------------------------------------------------------------------------


def test_killed_process_is_started_again(folder: Path, looped: str) -> None:
    """kill -9: RETRYING with the signal's name, then another process streams."""
    with watching(folder) as watch:
        watch.add(looped)
        watch.until_pictures()
        killed = watch.process()
        since = len(watch.heard)
        killed.kill()
        report = watch.until_state(CameraState.RETRYING, since=since)
        assert "SIGKILL" in report.message
        assert report.restarts == 1
        watch.until_state(CameraState.STREAMING, since=since)
        watch.until_pictures()
        assert watch.process().pid != killed.pid


def test_stopped_process_is_killed_by_the_watchdog(folder: Path, looped: str) -> None:
    """SIGSTOP: no sign of life, so it is killed and another one streams."""
    settings = {"watchdog_s": 3.0, "open_timeout_s": 1.4, "read_timeout_s": 1.4}
    with watching(folder, **settings) as watch:
        watch.add(looped)
        watch.until_pictures()
        stopped = watch.process()
        since = len(watch.heard)
        stopped.suspend()
        report = watch.until(lambda report: report.restarts > 0, since=since)
        assert "no life" in report.message
        assert not psutil.pid_exists(stopped.pid)
        watch.until_pictures()


@pytest.mark.parametrize("is_stopped", [False, True])
def test_camera_ends_with_its_killed_server(folder: Path, looped: str, is_stopped: bool) -> None:
    """kill -9 of the parent: no orphan, not even one that was stopped and sees no end of its input."""
    path = folder / "frames.sock"
    with broker_at(path) as broker, Consumer(broker):
        script = Path(__file__).with_name("lone_supervisor.py")
        with subprocess.Popen(
            [sys.executable, str(script), str(path), looped],
            stdout=subprocess.PIPE,
            env=child_environment(),
        ) as parent:
            assert parent.stdout is not None
            assert any(line.startswith(b"STREAMING") for line in iter(parent.stdout.readline, b""))
            (camera,) = camera_processes(parent.pid)
            if is_stopped:
                camera.suspend()
            parent.kill()
            parent.wait(HANG_S)
            eventually(lambda: not is_alive(camera), "the end of the camera's process")


def is_alive(process: psutil.Process) -> bool:
    """Not a zombie either: nobody may be there to bury an orphan."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_camera_ends_when_the_frame_queue_is_gone(folder: Path, looped: str) -> None:
    """The server's socket closes: the process says 1024 or 1025 and ends; its keeper tries again."""
    path = folder / "frames.sock"
    watch_path = folder / "other.sock"
    with broker_at(watch_path) as unused, broker_at(path) as broker:
        watch = Watch(unused, path, retry_max_s=1.0)
        with Consumer(broker, watch.look):
            watch.add(looped)
            watch.until_pictures()
        try:
            gone = (ErrorCode.CONNECTION_CLOSE, ErrorCode.CONNECTION_FAILURE, ErrorCode.QUEUE_STOPED)
            report = watch.until(lambda report: report.restarts > 0)
            assert report.code in gone, report
        finally:
            watch.supervisor.stop(HANG_S)
    assert camera_processes() == []


def test_process_outlasts_a_signal_to_the_whole_service(folder: Path, looped: str) -> None:
    """SIGTERM is for the server, which ends its cameras itself after the drain."""
    with watching(folder) as watch:
        watch.add(looped)
        watch.until_pictures()
        watch.process().terminate()
        watch.until_pictures(30)
        assert watch.supervisor.reports[0].restarts == 0


def test_real_server_judges_what_a_camera_gives(folder: Path, looped: str) -> None:
    """Against `livegate serve`: frames are published, judged in place, and none is copied."""
    running = start(folder)
    path = Path(running.socket).with_name("frames.sock")
    supervisor = CameraSupervisor(IngestConfig(), LimitsConfig(), path, lambda report: None)
    try:
        supervisor.add(CameraConfig(name="door", url=looped))
        eventually(lambda: judged(running) >= 5, "judged frames")
        assert 'livegate_frame_bytes_copied_total{camera="door"} 0.0' in running.get("/metrics")[1]
    finally:
        supervisor.stop(HANG_S)
        assert running.stop() == 0, running.log.read_text()


def judged(running: Running) -> float:
    start_of = 'livegate_frames_total{camera="door",event="judged"}'
    rows = (row for row in running.get("/metrics")[1].splitlines() if row.startswith(start_of))
    return float(next(rows, "0").rpartition(" ")[2])


def test_limits_hold_in_the_process(folder: Path, looped: str) -> None:
    """Memory, core files, files and descriptors are bounded, and the URL is not in its arguments."""
    with watching(folder, memory_mib=1024) as watch:
        watch.add(looped)
        watch.until_pictures()
        process = watch.process()
        for limit, value in (
            (psutil.RLIMIT_AS, 1024 << 20),
            (psutil.RLIMIT_CORE, 0),
            (psutil.RLIMIT_FSIZE, 0),
            (psutil.RLIMIT_NOFILE, 64),
        ):
            assert process.rlimit(limit) == (value, value)
        assert "red.mp4" not in " ".join(process.cmdline())
        assert os.getsid(process.pid) == process.pid


# --- RTSP -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gstreamer")
def test_rtsp_camera_streams_through_a_server_that_dies(folder: Path) -> None:
    """Killed: 2003 or 2004; down: 2005; back: STREAMING; all that in one process."""
    with serving(folder) as server, watching(folder) as watch:
        watch.add(server.url("clip"))
        report = watch.until_state(CameraState.STREAMING)
        assert (report.width, report.height) == (320, 240)
        assert_colour(watch.until_pictures(), BLUE)
        process = watch.process()
        since = len(watch.heard)
        server.kill()
        report = watch.until_state(CameraState.RETRYING, since=since)
        assert report.code in (
            ErrorCode.STREAMPULLER_EOF,
            ErrorCode.STREAMPULLER_READFRAME_FAIL,
        )
        watch.until(lambda report: report.code is ErrorCode.STREAMPULLER_REOPEN_FAIL, since=since)
        server.start()
        report = watch.until_state(CameraState.STREAMING, since=since)
        assert report.code is ErrorCode.OK
        assert report.restarts == 0
        assert watch.process() == process
        assert_colour(watch.until_pictures(), BLUE)


@pytest.mark.usefixtures("gstreamer")
def test_rtsp_server_that_falls_silent_is_a_read_error(folder: Path) -> None:
    """SIGSTOP of the server: nothing comes any more, 2004 after ingest.read_timeout_s."""
    with serving(folder) as server, watching(folder, read_timeout_s=1.0) as watch:
        watch.add(server.url("clip"))
        watch.until_pictures()
        since = len(watch.heard)
        assert server._process is not None
        server._process.send_signal(signal.SIGSTOP)
        report = watch.until_state(CameraState.RETRYING, since=since)
        assert report.code is ErrorCode.STREAMPULLER_READFRAME_FAIL
        assert "within 1 s" in report.message or "timed out" in report.message.lower()


@pytest.mark.usefixtures("gstreamer")
def test_rtsp_paths_that_give_no_pictures_say_why(folder: Path) -> None:
    """A wrong path is 2001, a path with sound only 2006; both are tried again."""
    with serving(folder) as server, watching(folder) as watch:
        for name, path, code in (
            ("wrong", "nothing-here", ErrorCode.STREAMPULLER_OPEN_FAIL),
            ("sound", "tone", ErrorCode.STREAMPULLER_STREAMFIND_FAIL),
        ):
            watch.add(server.url(path), name)
            report = watch.until(
                lambda report, name=name: (
                    report.camera == name  # type: ignore[misc]
                    and report.code is not ErrorCode.OK
                )
            )
            assert report.code is code
            assert report.state is CameraState.RETRYING


@pytest.mark.usefixtures("gstreamer")
def test_rtsp_password_opens_the_camera_and_shows_nowhere(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A percent-encoded password works, a wrong one is 2001, and neither is in a report or a log."""
    with serving(folder, USER, PASSWORD) as server, watching(folder) as watch:
        watch.add(server.url("clip", f"{USER}:{CODED}@"))
        assert_colour(watch.until_pictures(), BLUE)
        assert CODED not in " ".join(watch.process().cmdline())
        watch.add(server.url("clip", f"{USER}:wrong-{CODED}@"), "stranger")
        report = watch.until(lambda report: report.code is ErrorCode.STREAMPULLER_OPEN_FAIL)
        assert report.camera == "stranger"
        assert "401" in report.message
        assert USER not in repr(watch.heard)
    assert PASSWORD not in caplog.text
    assert CODED not in caplog.text
