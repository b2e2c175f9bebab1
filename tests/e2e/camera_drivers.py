"""Every code of cameras, driven through a real server to one who watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil

from clips import BLUE, clip, clip_with_broken_header, clip_without_size, damaged_clip, tone
from e2e.running import Running, start
from e2e.wire import WAIT_S, Wire, framed, opened, told, wire
from livegate.core.errors import ErrorCode
from livegate.v1 import liveness_pb2 as pb

Said = tuple[int, str]
Driver = Callable[[Path], list[Said]]


@contextmanager
def operating(folder: Path) -> Iterator[tuple[Running, Wire]]:
    running = start(folder)
    try:
        with wire(f"unix:{running.socket}") as spoken:
            yield running, spoken
    finally:
        running.stop()


def added(spoken: Wire, url: str) -> Any:
    """Add a camera and watch it."""
    spoken.add_camera(pb.CameraSettings(name="door", url=url), timeout=WAIT_S)
    return spoken.watch_camera(pb.WatchCameraRequest(camera="door"), timeout=WAIT_S)


def failing(code: ErrorCode, make: Callable[[Path], Any]) -> Driver:
    """A source that the driver makes, until the watcher hears of the code; and what the status says."""

    def drive(folder: Path) -> list[Said]:
        with operating(folder) as (_, spoken):
            watch = added(spoken, f"file:{make(folder)}")
            said = heard(watch, code)
            watch.cancel()
            (camera,) = spoken.get_status(pb.GetStatusRequest(), timeout=WAIT_S).cameras
            return [said, (camera.task_code, camera.msg)]

    return drive


def heard(watch: Any, code: ErrorCode) -> Said:
    """The first answer with that code, or how the watch ended."""
    codes = set()
    try:
        for answer in watch:
            codes.add(answer.task_code)
            if answer.task_code == code:
                assert answer.gate != pb.GATE_DECISION_OPEN
                return answer.task_code, answer.msg
    except grpc.RpcError as error:
        raise AssertionError(f"{told(error)} after {codes}") from error
    raise AssertionError(codes)


def refusal(call: Callable[[], Any]) -> Said:
    """What a call that fails says."""
    try:
        call()
    except grpc.RpcError as error:
        return told(error)
    raise AssertionError("nothing was refused")


def end_of_stream(folder: Path) -> list[Said]:
    """A camera that is removed while it is watched."""
    with operating(folder) as (_, spoken):
        watch = added(spoken, f"file:{clip(folder / 'a.mp4')}?loop")
        next(watch)
        spoken.remove_camera(pb.RemoveCameraRequest(name="door"), timeout=WAIT_S)
        return [refusal(lambda: list(watch))]


def bad_region(folder: Path) -> list[Said]:
    with operating(folder) as (_, spoken):
        opening = opened(region=pb.Region(x=0.5, width=0.6, height=1))
        return [refusal(lambda: spoken.frames(opening, framed(1)))]


def killed(folder: Path) -> list[Said]:
    """The camera's process dies."""
    with operating(folder) as (running, spoken):
        watch = added(spoken, f"file:{clip(folder / 'a.mp4')}?loop")
        next(watch)
        (child,) = psutil.Process(running.process.pid).children(recursive=True)
        child.kill()
        return [heard(watch, ErrorCode.STREAMPULLER_READFRAME_FAIL)]


def not_opened_again(folder: Path) -> list[Said]:
    """A looped film that is gone when it is to begin again."""
    with operating(folder) as (_, spoken):
        path = clip(folder / "a.mp4", [BLUE] * 25)
        watch = added(spoken, f"file:{path}?loop")
        next(watch)
        path.unlink()
        return [heard(watch, ErrorCode.STREAMPULLER_REOPEN_FAIL)]


def not_changed(folder: Path) -> list[Said]:
    with operating(folder) as (_, spoken):
        settings = pb.CameraSettings(name="nobody", url="file:x.mp4")
        return [refusal(lambda: spoken.change_camera(settings, timeout=WAIT_S))]


def not_removed(folder: Path) -> list[Said]:
    with operating(folder) as (_, spoken):
        request = pb.RemoveCameraRequest(name="nobody")
        return [refusal(lambda: spoken.remove_camera(request, timeout=WAIT_S))]


CAMERA_DRIVERS: dict[ErrorCode, Driver] = {
    ErrorCode.EXIT: end_of_stream,
    ErrorCode.REGION_ERROR: bad_region,
    ErrorCode.STREAMPULLER_READFRAME_FAIL: killed,
    ErrorCode.STREAMPULLER_REOPEN_FAIL: not_opened_again,
    ErrorCode.CONFIG_UPDATE_FAIL: not_changed,
    ErrorCode.CONFIG_DELETE_FAIL: not_removed,
    **{
        code: failing(code, make)
        for code, make in (
            (ErrorCode.STREAMPULLER_OPEN_FAIL, lambda folder: folder / "not-there.mp4"),
            (
                ErrorCode.STREAMPULLER_STREAMINFOFIND_FAIL,
                lambda folder: clip_without_size(folder / "a.ts"),
            ),
            (ErrorCode.STREAMPULLER_EOF, lambda folder: clip(folder / "a.mp4")),
            (ErrorCode.STREAMPULLER_STREAMFIND_FAIL, lambda folder: tone(folder / "a.mp4")),
            (
                ErrorCode.STREAMPULLER_STREAMFORMAT_ERROR,
                lambda folder: clip(folder / "a.avi", codec="ffv1", pixel_format="bgr0"),
            ),
            (
                ErrorCode.VIDEODECODER_CREATE_FAIL,
                lambda folder: clip_with_broken_header(folder / "a.mp4"),
            ),
            (
                ErrorCode.VIDEODECODER_UNSUPPORT_FORMAT,
                lambda folder: clip(folder / "a.mp4", size=(16, 16)),
            ),
            (
                ErrorCode.VIDEODECODER_DECODE_FAIL,
                lambda folder: damaged_clip(folder / "a.avi", set(range(3, 60)), 70),
            ),
        )
    },
}
