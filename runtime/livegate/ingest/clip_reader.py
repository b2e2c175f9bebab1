"""The process that decodes one clip.

python -m livegate.ingest.clip_reader     (settings and the video in the file on standard input)
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from typing import BinaryIO

import msgspec

from livegate.core.frame import Pixels
from livegate.ingest.clip import Clip, failure_of
from livegate.ingest.clip_messages import (
    LENGTH,
    ClipEnded,
    ClipFailed,
    ClipMessage,
    ClipOpened,
    ClipPicture,
    ClipSettings,
)
from livegate.ingest.confine import limit_resources

MAX_SETTINGS_BYTES = 65_536
CPU_MARGIN_S = 5
NICER = 5
"""Pictures of other requests are asked for by people who wait; this has seconds."""


def say(out: BinaryIO, message: ClipMessage, pixels: Pixels | None = None) -> None:
    """Tell the server."""
    text = msgspec.json.encode(message)
    out.write(LENGTH.pack(len(text)) + text)
    if pixels is not None:
        out.write(pixels.data)
    out.flush()


def tell_clip(clip: Clip, out: BinaryIO) -> None:
    """Read a clip and tell all of it."""
    try:
        clip.open()
        say(out, ClipOpened(clip.codec, clip.container, clip.sample_fps, clip.told_ms))
        for sample in clip.samples():
            height, width = sample.pixels.shape[:2]
            say(out, ClipPicture(sample.pts_ms, width, height), sample.pixels)
        say(out, ClipEnded(clip.duration_ms, clip.frames))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is belongs to this one clip
        failure = failure_of(error)
        say(out, ClipFailed(int(failure.code), failure.message, failure.hint, failure.fields))
    finally:
        clip.close()


def main() -> int:
    """Read the settings and the video, tell what is in it; the exit status."""
    source = sys.stdin.buffer
    try:
        settings = msgspec.json.decode(source.readline(MAX_SETTINGS_BYTES), type=ClipSettings)
    except msgspec.MsgspecError as error:
        print(f"the settings are not usable: {error}", file=sys.stderr)  # noqa: T201
        return os.EX_USAGE
    video = settings.video
    limit_resources(video.memory_mib, math.ceil(video.decode_timeout_s) + CPU_MARGIN_S)
    os.nice(NICER)
    with contextlib.suppress(BrokenPipeError):  # nobody wants the rest
        tell_clip(Clip(source.read(video.max_bytes + 1), video), sys.stdout.buffer)
    # What is left in the buffer of a broken pipe would be complained of at the interpreter's end.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
