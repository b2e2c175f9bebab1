"""A client's video into frames, by a process that may crash or hang without harm.

The video goes down in a memfd, pictures come back through a pipe: never a disk, and the pipe gives a
private copy. Shared memory would be faster, but a decoder that was taken over could change the pixels
while we look at them; a copy costs a few per cent of what the networks cost.

The process is started by exec. Its time counts only while we wait for it, so that a busy box does not
make a good clip bad.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from livegate.core.config import VideoConfig
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.frame import Frame, Pixels
from livegate.core.interpreter import module_command
from livegate.core.telemetry import get_logger
from livegate.ingest.clip_messages import (
    LENGTH,
    MAX_MESSAGE_BYTES,
    ClipEnded,
    ClipFailed,
    ClipMessage,
    ClipOpened,
    ClipPicture,
    ClipSettings,
)
from livegate.ingest.confine import environment, how_it_ended
from livegate.ingest.failure import CaptureError
from livegate.ingest.video_size import require_bytes

COMMAND = module_command("livegate.ingest.clip_reader")
WATCH_S = 0.25
"""How often somebody who waits asks whether to wait on."""
log = get_logger("livegate.video")


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A picture of a video, upright; `pts_ms` counts from the video's first picture."""

    pts_ms: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What is known of a video. `told_ms`: its length by its container; the last two only at its end."""

    codec: str
    container: str
    sample_fps: float
    told_ms: int = 0
    duration_ms: int = 0
    frames: int = 0


class VideoReader:
    """Reads one video. Iterate once; leaving the `with` block ends the process whatever it does."""

    def __init__(
        self,
        content: bytes,
        config: VideoConfig,
        *,
        require_time: Callable[[], None] = lambda: None,
        command: tuple[str, ...] = COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check the number of bytes; nothing is started yet.

        `require_time` is called now and then while we wait; what it raises ends the reading.

        Raises:
            RequestError: PARAM_FAILURE for an empty video, OUT_OF_RANGE for one that is too large.
        """
        require_bytes(len(content), config)
        self._content = content
        self._config = config
        self._require_time = require_time
        self._command = command
        self._clock = clock
        self._left_s = config.decode_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self.facts = VideoFacts("", "", config.sample_fps)

    def __enter__(self) -> VideoReader:
        """Start the process.

        Raises:
            LiveGateError: OUT_OF_MEM when it does not start.
        """
        settings = msgspec.json.encode(ClipSettings(video=self._config)) + b"\n"
        fd = os.memfd_create("livegate-video", os.MFD_CLOEXEC)
        try:
            for part in (settings, self._content):
                _write_all(fd, part)
            os.lseek(fd, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                self._command,
                stdin=fd,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libav quotes what it reads
                bufsize=0,
                close_fds=True,
                start_new_session=True,
                env=environment(os.environ),
            )
        except OSError as error:
            raise LiveGateError(
                ErrorCode.OUT_OF_MEM, f"no process for a video could be started: {error.strerror}"
            ) from error
        finally:
            os.close(fd)
        self._content = b""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        """The pictures by rising time.

        Raises:
            RequestError, CaptureError: what is wrong with the video; its message says it.
            LiveGateError: OUT_OF_MEM; TIMEOUT when the process kept us waiting for too long.
        """
        while True:
            message = self._message()
            if isinstance(message, ClipOpened):
                self.facts = VideoFacts(
                    message.codec, message.container, message.sample_fps, message.told_ms
                )
            elif isinstance(message, ClipPicture):
                yield VideoFrame(message.pts_ms, Frame(self._pixels(message), 0))
            elif isinstance(message, ClipFailed):
                raise _as_error(message)
            else:
                self._end(message)
                return

    def _end(self, ended: ClipEnded) -> None:
        self.facts = replace(self.facts, duration_ms=ended.duration_ms, frames=ended.frames)

    def _message(self) -> ClipMessage:
        (length,) = LENGTH.unpack(self._taken(LENGTH.size))
        if length > MAX_MESSAGE_BYTES:
            raise _broken(f"told a message of {length} bytes")
        try:
            message: ClipMessage = msgspec.json.decode(self._taken(length), type=ClipMessage)
        except msgspec.MsgspecError:
            raise _broken("told what is no message") from None
        return message

    def _pixels(self, told: ClipPicture) -> Pixels:
        """(H, W, 3) BGR, ours alone."""
        is_sane = told.width > 0 and told.height > 0 and told.pts_ms >= 0
        if not is_sane or told.width * told.height > self._config.max_pixels:
            raise _broken(f"told a picture of {told.width}x{told.height}")
        pixels = np.empty((told.height, told.width, 3), np.uint8)
        self._fill(memoryview(pixels.reshape(-1)))  # type: ignore[arg-type]
        return pixels

    def _taken(self, count: int) -> bytes:
        taken = bytearray(count)
        self._fill(memoryview(taken))
        return bytes(taken)

    def _fill(self, target: memoryview) -> None:
        process = self._process
        if process is None or process.stdout is None:
            raise RuntimeError("the video is not open")
        fd = process.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while target:
            begun_s = self._clock()
            is_there = poll.poll(max(0.0, min(self._left_s, WATCH_S)) * 1000)
            self._left_s -= self._clock() - begun_s
            if not is_there:
                self._require_time()
                if self._left_s > 0:
                    continue
                raise LiveGateError(
                    ErrorCode.TIMEOUT,
                    f"the video was not decoded within {self._config.decode_timeout_s:g} s",
                    hint="send a shorter or smaller one, or raise video.decode_timeout_s",
                )
            count = os.readv(fd, [target])
            if not count:
                self._died(process)
            target = target[count:]

    def _died(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, self._left_s))
        how = how_it_ended(process.returncode) if process.returncode is not None else "hung up"
        log.warning("a video's process is gone", how=how)
        raise _broken(how)


def _write_all(fd: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]


def _as_error(failed: ClipFailed) -> LiveGateError:
    """The error that the process told, with the class that its code has here."""
    code = ErrorCode.from_number(failed.code)
    kind: type[LiveGateError] = LiveGateError if code is ErrorCode.OUT_OF_MEM else RequestError
    return kind(code, failed.message, hint=failed.hint, fields=failed.fields)


def _broken(how: str) -> CaptureError:
    return CaptureError(
        ErrorCode.VIDEODECODER_DECODE_FAIL,
        f"the video cannot be decoded: its process {how}",
        hint="is it whole?",
    )
