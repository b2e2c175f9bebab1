"""All cameras that the server reads by itself, each in a process of its own.

A decoder that crashes, hangs or eats memory takes its own camera with it and no other, and never the
server.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from livegate.app.camera_messages import settings_for
from livegate.app.keeper import STOP_S, CameraKeeper, Surroundings
from livegate.core.camera import CameraReport
from livegate.core.config import CameraConfig, IngestConfig, LimitsConfig
from livegate.core.errors import ErrorCode, RequestError, SetupError
from livegate.core.interpreter import module_command
from livegate.core.telemetry import get_logger
from livegate.ingest.location import Location, location_from_url

COMMAND = module_command("livegate.app.camera")
log = get_logger("livegate.camera")


class CameraSupervisor:
    """Starts, changes and removes cameras; every method may be called from any thread."""

    def __init__(
        self,
        config: IngestConfig,
        limits: LimitsConfig,
        frames_socket: Path,
        report: Callable[[CameraReport], None],
        *,
        command: tuple[str, ...] = COMMAND,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Nothing runs before `add`; the frame queue must listen by then.

        Args:
            config: how many cameras, and their limits.
            limits: of their pictures.
            frames_socket: the frame queue's.
            report: called at each change of a camera, from any thread; it is not to block.
            command: what a camera's process is started with.
            clock: monotonic seconds.
            now_ms: milliseconds since 1970.
            chance: 0..1, cuts the pauses between restarts.

        Raises:
            SetupError: CONFIG_ADD_FAIL when the watchdog would kill processes that only wait.
        """
        require_patience(config)
        self._config = config
        self._limits = limits
        self._socket = str(frames_socket)
        self._world = Surroundings(command, config.watchdog_s, clock, now_ms, chance, report)
        self._lock = threading.Lock()
        self._keepers: dict[str, CameraKeeper] = {}
        self._is_stopped = False

    @property
    def reports(self) -> tuple[CameraReport, ...]:
        """How every camera is, in the order in which they were added."""
        with self._lock:
            return tuple(keeper.report for keeper in self._keepers.values())

    def add(self, camera: CameraConfig) -> None:
        """Start a camera.

        Raises:
            RequestError: CONFIG_ADD_FAIL for a name that is taken, one camera too many, or a bad URL.
        """
        code, name = ErrorCode.CONFIG_ADD_FAIL, camera.name
        location = _location(camera, code)
        with self._lock:
            self._require_running(code, name)
            if name in self._keepers:
                raise RequestError(
                    code, f"the camera {name} is there already", hint="change it, or take another name"
                )
            if len(self._keepers) >= self._config.max_cameras:
                raise _one_too_many(code, name, self._config.max_cameras)
            keeper = self._keepers[name] = self._keeper(camera, location)
            keeper.start()

    def change(self, camera: CameraConfig) -> None:
        """Read a camera from another URL, or try one again that has failed or ended.

        A camera that lives and keeps its URL is left alone.

        Raises:
            RequestError: CONFIG_UPDATE_FAIL for a name that is not known, or a bad URL.
        """
        code, name = ErrorCode.CONFIG_UPDATE_FAIL, camera.name
        location = _location(camera, code)
        with self._lock:
            self._require_running(code, name)
            before = self._keepers.get(name)
            if before is None:
                raise _unknown(code, name)
            if before.url == camera.url and not before.is_over:
                return
            before.stop()
            keeper = self._keepers[name] = self._keeper(camera, location)
            keeper.start(after=before)

    def remove(self, name: str) -> None:
        """End a camera; its process is gone when this returns.

        Raises:
            RequestError: CONFIG_DELETE_FAIL for a name that is not known.
        """
        with self._lock:
            keeper = self._keepers.pop(name, None)
        if keeper is None:
            raise RequestError(
                ErrorCode.CONFIG_DELETE_FAIL,
                f"there is no camera {name}",
                hint="`livegate cameras list` names them",
            )
        keeper.stop()
        self._await(keeper, STOP_S)

    def stop(self, timeout_s: float) -> None:
        """End all cameras at once; afterwards none can be added."""
        with self._lock:
            self._is_stopped = True
            keepers = tuple(self._keepers.values())
            self._keepers.clear()
        for keeper in keepers:
            keeper.stop()
        until_s = time.monotonic() + timeout_s
        for keeper in keepers:
            self._await(keeper, max(0.0, until_s - time.monotonic()))

    def _keeper(self, camera: CameraConfig, location: Location) -> CameraKeeper:
        settings = settings_for(camera.name, camera.url, self._socket, self._config, self._limits)
        return CameraKeeper(settings, location, self._world)

    def _await(self, keeper: CameraKeeper, timeout_s: float) -> None:
        if not keeper.join(timeout_s):
            log.error("a camera's process does not end", camera=keeper.report.camera)

    def _require_running(self, code: ErrorCode, name: str) -> None:
        if self._is_stopped:
            raise RequestError(
                code, f"the camera {name} comes too late: the server stops", hint="wait for the next"
            )


def require_cameras(config: IngestConfig) -> None:
    """Refuse configured cameras that could not be added, without starting one.

    Raises:
        SetupError: CONFIG_ADD_FAIL.
        RequestError: CONFIG_ADD_FAIL for one camera too many, or a bad URL.
    """
    require_patience(config)
    code = ErrorCode.CONFIG_ADD_FAIL
    to_keep = [camera for camera in config.cameras if camera.url]
    for number, camera in enumerate(to_keep):
        _location(camera, code)
        if number >= config.max_cameras:
            raise _one_too_many(code, camera.name, config.max_cameras)


def require_patience(config: IngestConfig) -> None:
    """Refuse a watchdog that is faster than what it watches.

    While libav opens a source (twice `open_timeout_s`: to connect, and to look at the streams) or waits
    for a packet (RTSP notices after up to twice `read_timeout_s`), its process cannot show any life.

    Raises:
        SetupError: CONFIG_ADD_FAIL.
    """
    longest_s = 2 * max(config.open_timeout_s, config.read_timeout_s)
    if config.watchdog_s <= longest_s:
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            f"ingest.watchdog_s is {config.watchdog_s:g}, but a camera that waits for its "
            f"source may be silent for {longest_s:g} s",
            hint="raise ingest.watchdog_s above twice ingest.open_timeout_s and ingest.read_timeout_s",
        )


def _location(camera: CameraConfig, code: ErrorCode) -> Location:
    try:
        return location_from_url(camera.url)
    except RequestError as error:
        raise RequestError(
            code, f"the camera {camera.name} is refused: {error.message}", hint=error.hint
        ) from error


def _one_too_many(code: ErrorCode, name: str, limit: int) -> RequestError:
    return RequestError(
        code,
        f"the camera {name} is one too many, the limit is {limit}",
        hint="remove one, or raise ingest.max_cameras",
    )


def _unknown(code: ErrorCode, name: str) -> RequestError:
    return RequestError(code, f"there is no camera {name}", hint="add it first")
