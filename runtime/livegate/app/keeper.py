"""Keeps one camera's process alive: starts it, listens to it, kills it when it is silent.

One thread a camera, from the start of its first process to the end of its last: the kernel ends a
camera's process when the thread that started it ends, so no process can outlive its keeper.

Processes are started by exec only. The server holds locks on open files (core/socketlock.py), and a
forked child would hold them on after the server's death.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from livegate.app.backoff import Backoff, CrashCount
from livegate.app.camera_messages import CameraSettings, CameraStatus
from livegate.app.lines import LineReader
from livegate.core.camera import CameraReport, CameraState
from livegate.core.errors import ErrorCode
from livegate.core.telemetry import get_logger
from livegate.ingest.confine import environment, how_it_ended
from livegate.ingest.lag import UNTOLD_NS
from livegate.ingest.location import Location

MAX_CRASHES, CRASH_WINDOW_S = 5, 60.0
POLL_S = 0.5
"""How often the clock is looked at."""
STOP_S = 10.0
"""More than any process takes to end."""
GRACE_S = 2.0
"""From the end of its standard input to SIGKILL."""
MAX_LOGGED, LOG_WINDOW_S, MAX_LOGGED_CHARS = 20, 60.0, 400
LATE_MS = 1000
"""As old as the defaults of frames.max_frame_age_ms and gate.max_frame_age_ms let a picture be."""
UNTOLD_MS = UNTOLD_NS // 1_000_000
OVER = (CameraState.ENDED, CameraState.FAILED)
log = get_logger("livegate.camera")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every keeper of a server shares."""

    command: tuple[str, ...]
    watchdog_s: float
    clock: Callable[[], float]
    now_ms: Callable[[], int]
    chance: Callable[[], float]
    report: Callable[[CameraReport], None]


class CameraKeeper:
    """One camera and its process."""

    def __init__(self, settings: CameraSettings, location: Location, surroundings: Surroundings) -> None:
        """Nothing runs before `start`."""
        self._settings = settings
        self._location = location
        self._world = surroundings
        self._backoff = Backoff(settings.retry_max_s, surroundings.chance)
        self._crashes = CrashCount(MAX_CRASHES, CRASH_WINDOW_S)
        self._logged: deque[float] = deque(maxlen=MAX_LOGGED)
        self._kept_back = 0
        self._called_late_s: float | None = None
        self._stopping = threading.Event()
        self._wake_fd, self._waker_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._lock = threading.Lock()
        self._before: CameraKeeper | None = None
        self._last_said = CameraStatus(state=CameraState.STARTING)
        self._report = CameraReport(
            camera=settings.camera,
            source=location.redacted,
            state=CameraState.STARTING,
            since_ms=surroundings.now_ms(),
        )
        name = f"livegate-camera-{settings.camera}"
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    @property
    def report(self) -> CameraReport:
        """How the camera is."""
        with self._lock:
            return self._report

    @property
    def url(self) -> str:
        """Where its pictures come from, with the password."""
        return self._settings.url

    @property
    def is_over(self) -> bool:
        """Whether the camera has ended or failed for good."""
        return self.report.state in OVER

    def start(self, *, after: CameraKeeper | None = None) -> None:
        """Start the first process, once the keeper that it takes the place of is done."""
        self._before = after
        self._thread.start()

    def stop(self) -> None:
        """Tell the process to end; `join` waits for it."""
        self._stopping.set()
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._waker_fd >= 0:
                os.write(self._waker_fd, b"!")

    def join(self, timeout_s: float) -> bool:
        """Wait until process and thread are gone; whether they are."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the thread -------------------------------------------------------------------------------

    def _keep(self) -> None:
        try:
            before, self._before = self._before, None
            if before is not None:
                before.join(STOP_S)
            self._tell(self.report)
            while not self._stopping.is_set():
                how = self._run_process()
                if self._stopping.is_set() or self.is_over:
                    return
                self._after_crash(how)
                if self.is_over:
                    return
                self._wait(self._backoff.next_s())
        except Exception:
            log.exception("a camera's keeper failed", camera=self._settings.camera)
            self._change(
                state=CameraState.FAILED,
                code=ErrorCode.INNER,
                message="the server's own watch over this camera failed, the log says why",
            )
        finally:
            with self._lock:
                os.close(self._wake_fd)
                os.close(self._waker_fd)
                self._waker_fd = -1

    def _run_process(self) -> str:
        """One process from start to end; how it ended."""
        self._last_said = CameraStatus(state=CameraState.STARTING)
        try:
            process = subprocess.Popen(
                self._world.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                close_fds=True,
                start_new_session=True,
                env=environment(os.environ),
            )
        except OSError as error:
            return f"could not be started: {error.strerror or error}"
        with process:
            is_silent = True
            try:
                self._hand_down(process)
                is_silent = self._listen(process)
            finally:
                self._end(process, grace_s=0 if is_silent else GRACE_S)
        if is_silent:
            return f"showed no life for {self._world.watchdog_s:g} s and was killed"
        return how_it_ended(process.returncode)

    def _hand_down(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it is dead already, which its end will tell
            process.stdin.write(msgspec.json.encode(self._settings) + b"\n")

    def _listen(self, process: subprocess.Popen[bytes]) -> bool:
        """Until the process closes its output, or is to end; whether it was too long silent."""
        assert process.stdout is not None
        assert process.stderr is not None
        statuses, complaints = (LineReader(pipe.fileno()) for pipe in (process.stdout, process.stderr))
        heard_s = self._world.clock()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_fd, selectors.EVENT_READ)
            selector.register(statuses.fd, selectors.EVENT_READ, self._take_status)
            selector.register(complaints.fd, selectors.EVENT_READ, self._take_complaint)
            readers = {statuses.fd: statuses, complaints.fd: complaints}
            while not self._stopping.is_set() and not statuses.is_ended:
                for key, _ in selector.select(POLL_S):
                    reader = readers.get(key.fd)
                    if reader is None:
                        continue
                    for line in reader.read():
                        if key.data(line):
                            heard_s = self._world.clock()
                    if reader.is_ended:
                        selector.unregister(reader.fd)
                if self._world.clock() - heard_s > self._world.watchdog_s:
                    return True
            for line in complaints.read():
                self._take_complaint(line)
        return False

    def _end(self, process: subprocess.Popen[bytes], *, grace_s: float) -> None:
        """The end of its input, and after the grace SIGKILL."""
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, seconds: float) -> None:
        until_s = self._world.clock() + seconds
        while not self._stopping.is_set() and (left_s := until_s - self._world.clock()) > 0:
            self._stopping.wait(min(left_s, POLL_S))

    # --- what the process says --------------------------------------------------------------------

    def _take_status(self, line: str) -> bool:
        """Take a status over; whether it was one."""
        try:
            status = msgspec.json.decode(line, type=CameraStatus)
        except msgspec.MsgspecError:
            self._take_complaint(f"not a status: {line}")
            return False
        before, self._last_said = self._last_said, status
        if status.state is CameraState.STREAMING:
            self._backoff.reset()
            if status.late_ms >= LATE_MS <= before.late_ms:  # the first ones of a connection always are
                self._call_late(status)
        self._change(
            state=status.state,
            code=ErrorCode.from_number(status.code),
            message=self._shown(status.message),
            width=status.width,
            height=status.height,
        )
        return True

    def _call_late(self, status: CameraStatus) -> None:
        """Log it once a minute: such pictures open nothing, and nobody else says why."""
        now_s = self._world.clock()
        if self._called_late_s is not None and now_s - self._called_late_s < LOG_WINDOW_S:
            return
        self._called_late_s = now_s
        log.warning(
            "a camera's pictures come late",
            camera=self._settings.camera,
            late_ms=status.late_ms,
            hint="they do not come as they were taken: nobody can tell their age, and they open nothing"
            if status.late_ms >= UNTOLD_MS
            else "older than gate.max_frame_age_ms opens nothing: link, box or clock may be too slow",
        )

    def _take_complaint(self, line: str) -> bool:
        """Log a line of standard error, so many in a minute and so much of each; no sign of life."""
        text = self._location.redact(line).strip()
        if not text:
            return False
        now_s = self._world.clock()
        if len(self._logged) == MAX_LOGGED and now_s - self._logged[0] < LOG_WINDOW_S:
            self._kept_back += 1
            return False
        self._logged.append(now_s)
        kept_back, self._kept_back = self._kept_back, 0
        shown = {"camera": self._settings.camera, "says": text[:MAX_LOGGED_CHARS]}
        log.warning(
            "a camera's process complains", **shown, **({"left_out": kept_back} if kept_back else {})
        )
        return False

    def _after_crash(self, how: str) -> None:
        """Report a process that ended without having been told to."""
        said, restarts = self._last_said, self.report.restarts + 1
        code = ErrorCode.from_number(said.code)
        message = f"the camera's process {how}"
        if code is not ErrorCode.OK:
            message = f"{message}; before, it said: {self._shown(said.message)}"
        elif said.state is CameraState.STREAMING:
            code = ErrorCode.STREAMPULLER_READFRAME_FAIL
        else:
            code = ErrorCode.STREAMPULLER_OPEN_FAIL
        is_hopeless = self._crashes.add(self._world.clock())
        if is_hopeless:
            message = (
                f"{MAX_CRASHES} times within {CRASH_WINDOW_S:g} s {message}; "
                "it is not started again before the camera is changed"
            )
        name = self._settings.camera
        log.warning("a camera's process is gone", camera=name, how=how, gives_up=is_hopeless)
        state = CameraState.FAILED if is_hopeless else CameraState.RETRYING
        self._change(state=state, code=code, message=message, restarts=restarts)

    def _shown(self, message: str) -> str:
        return self._location.redact(message)[:MAX_LOGGED_CHARS]

    def _change(
        self,
        *,
        state: CameraState,
        code: ErrorCode,
        message: str,
        width: int = 0,
        height: int = 0,
        restarts: int | None = None,
    ) -> None:
        with self._lock:
            before = self._report
            said = replace(
                before,
                state=state,
                code=code,
                message=message,
                width=width,
                height=height,
                restarts=before.restarts if restarts is None else restarts,
            )
            if said == before:
                return
            self._report = after = replace(said, since_ms=self._world.now_ms())
        self._tell(after)

    def _tell(self, report: CameraReport) -> None:
        if self._stopping.is_set():
            return
        try:
            self._world.report(report)
        except Exception:
            log.exception("a camera's report found no hearer", camera=report.camera)
