"""One camera's process: from its source into the server's frame queue.

    python -m livegate.app.camera      (settings as one JSON line on standard input)

A decoder is fed by strangers, and libav is a million lines of C: it runs here, with limits on what it
may take, and not in the server. The process ends by itself when the server is gone: standard input
reaches its end, the frame queue hangs up, or, should it stand still in C, by the kernel's hand.

Only the thread that reads pictures gives signs of life. A thread of its own would go on telling that
all is well while libav hangs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import BinaryIO, NoReturn

import msgspec

from livegate.app.backoff import Backoff
from livegate.app.camera_messages import BEAT_S, CameraSettings, CameraStatus
from livegate.client.producer import FrameProducer
from livegate.core.camera import CameraState
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.ingest.capture import Capture, Timeouts
from livegate.ingest.confine import limit_resources
from livegate.ingest.failure import CaptureError
from livegate.ingest.location import Location, location_from_url
from livegate.ingest.picture import Picture

MAX_SETTINGS_BYTES = 65_536
EXIT_NO_SERVER = 75
SERVER_GONE = frozenset(
    (ErrorCode.CONNECTION_CLOSE, ErrorCode.CONNECTION_FAILURE, ErrorCode.QUEUE_STOPED)
)


class Voice:
    """Statuses on their way up, at each change and each second."""

    def __init__(self, out: BinaryIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is said yet."""
        self._out = out
        self._clock = clock
        self._status = CameraStatus(state=CameraState.STARTING)
        self._said_s = 0.0

    @property
    def status(self) -> CameraStatus:
        """What was said last."""
        return self._status

    def say(self, status: CameraStatus) -> None:
        """Tell the server."""
        self._status = status
        self._said_s = self._clock()
        self._out.write(msgspec.json.encode(status) + b"\n")
        self._out.flush()

    def beat(self, *, frames: int, damaged: int, refused: int, late_ms: int) -> None:
        """Say the same again, with the figures of now, if the last time is a second ago."""
        if self._clock() - self._said_s >= BEAT_S:
            now = {"frames": frames, "damaged": damaged, "refused": refused, "late_ms": late_ms}
            self.say(msgspec.structs.replace(self._status, **now))


class Outlet:
    """The frame queue's producer, as wide and high as the pictures are."""

    def __init__(self, socket: str, camera: str) -> None:
        """Connected with the first picture."""
        self._socket = socket
        self._camera = camera
        self._producer: FrameProducer | None = None
        self.size = (0, 0)
        self.frames = 0
        self.refused = 0
        self.late_ms = 0

    def hand_over(self, picture: Picture) -> None:
        """Into a free slot; without one the picture is skipped, a newer one will come.

        Raises:
            LiveGateError: the server is gone, or refuses this camera.
            CaptureError: the picture's pixels cannot be converted.
        """
        producer = self._fitting(picture.width, picture.height)
        self.late_ms = (time.monotonic_ns() - picture.captured_ns) // 1_000_000
        try:
            with producer.loan(captured_ns=picture.captured_ns) as pixels:
                picture.write_to(pixels)
        except LiveGateError as error:
            if error.code is not ErrorCode.QUEUE_FULL:
                raise
            self.refused += 1
        else:
            self.frames += 1
        producer.results()

    def wait(self, timeout_s: float) -> None:
        """Let time pass, and notice a server that leaves meanwhile.

        Raises:
            LiveGateError: it left.
        """
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            if self._producer is None:
                time.sleep(left_s)
            else:
                self._producer.results(timeout_s=left_s)

    def close(self) -> None:
        """Hang up."""
        producer, self._producer = self._producer, None
        self.size = (0, 0)
        if producer is not None:
            producer.close()

    def _fitting(self, width: int, height: int) -> FrameProducer:
        if self._producer is None or self.size != (width, height):
            self.close()
            producer = FrameProducer(self._socket, camera=self._camera, width=width, height=height)
            producer.connect()
            self._producer, self.size = producer, (width, height)
        return self._producer


class Camera:
    """Opens the source, again and again, and hands over what it gives."""

    def __init__(self, settings: CameraSettings, location: Location, voice: Voice) -> None:
        """Nothing is opened before `run`."""
        self._location = location
        self._voice = voice
        self._outlet = Outlet(settings.socket, settings.camera)
        self._backoff = Backoff(settings.retry_max_s)
        self._steady_s = settings.retry_max_s
        self._has_streamed = False
        timeouts = Timeouts(settings.open_timeout_s, settings.read_timeout_s)
        self._capture = Capture(location, settings.limits, timeouts, pause=self._pause)

    def run(self) -> None:
        """Until the source ends for good.

        Raises:
            LiveGateError: the server is gone.
        """
        self._voice.say(CameraStatus(state=CameraState.STARTING))
        while True:
            begun_s = time.monotonic()
            try:
                self._stream()
            except LiveGateError as error:
                self._capture.close()
                if error.code in SERVER_GONE:
                    raise
                if self._says_end(error):
                    return
            if time.monotonic() - begun_s > self._steady_s:
                self._backoff.reset()
            self._pause(self._backoff.next_s())

    def close(self) -> None:
        """Let everything go."""
        self._capture.close()
        self._outlet.close()

    def _stream(self) -> NoReturn:
        try:
            self._capture.open()
        except CaptureError as error:
            raise error.when_opened_again() if self._has_streamed else error from None
        size = (0, 0)
        for picture in self._capture.pictures():
            self._outlet.hand_over(picture)
            if size != self._outlet.size:
                size = self._outlet.size
                self._has_streamed = True
                self._say(CameraState.STREAMING, width=size[0], height=size[1])
            self._beat()
        raise AssertionError("pictures end by an error only")

    def _says_end(self, error: LiveGateError) -> bool:
        """Tell what went wrong; whether that was all."""
        is_file_over = isinstance(error, CaptureError) and not self._location.is_live
        state = CameraState.RETRYING
        if is_file_over:
            is_end = error.code is ErrorCode.STREAMPULLER_EOF
            state = CameraState.ENDED if is_end else CameraState.FAILED
        if not isinstance(error, CaptureError):
            self._outlet.close()  # the server refuses something: say hello again
        self._say(state, error)
        return is_file_over

    def _pause(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self._outlet.wait(min(left_s, BEAT_S / 2))
            self._beat()

    def _beat(self) -> None:
        outlet = self._outlet
        self._voice.beat(
            frames=outlet.frames,
            damaged=self._capture.damaged,
            refused=outlet.refused,
            late_ms=outlet.late_ms,
        )

    def _say(
        self, state: CameraState, error: LiveGateError | None = None, width: int = 0, height: int = 0
    ) -> None:
        outlet = self._outlet
        self._voice.say(
            CameraStatus(
                state=state,
                code=int(error.code) if error else 0,
                message=self._location.redact(_text(error)) if error else "",
                width=width,
                height=height,
                frames=outlet.frames,
                damaged=self._capture.damaged,
                refused=outlet.refused,
            )
        )


def _text(error: LiveGateError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def end_with_server(source_fd: int) -> None:
    """End this process at once when the server lets go of our standard input."""

    def wait() -> None:
        # Not through sys.stdin: its lock, held here, would abort the interpreter's own end.
        with contextlib.suppress(OSError):
            while os.read(source_fd, 4096):
                pass
        os._exit(0)

    threading.Thread(target=wait, name="livegate-server-watch", daemon=True).start()


def main() -> int:
    """Read the settings, stream until the end; the exit status."""
    source = sys.stdin.buffer
    try:
        settings = msgspec.json.decode(source.readline(MAX_SETTINGS_BYTES), type=CameraSettings)
        location = location_from_url(settings.url)
    except (msgspec.MsgspecError, LiveGateError) as error:
        print(f"the settings are not usable: {error}", file=sys.stderr)  # noqa: T201
        return os.EX_USAGE
    # A service manager signals every process of a service: the camera is to last through the drain.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    limit_resources(settings.memory_mib)
    end_with_server(source.fileno())
    voice = Voice(sys.stdout.buffer)
    camera = Camera(settings, location, voice)
    try:
        camera.run()
    except BrokenPipeError:
        return EXIT_NO_SERVER
    except LiveGateError as error:
        with contextlib.suppress(BrokenPipeError):
            voice.say(
                CameraStatus(state=CameraState.RETRYING, code=int(error.code), message=_text(error))
            )
        return EXIT_NO_SERVER
    except Exception:  # noqa: BLE001 - a traceback may quote the URL
        print(location.redact(traceback.format_exc()), file=sys.stderr)  # noqa: T201
        return os.EX_SOFTWARE
    finally:
        camera.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
