"""Send frames to a box and print its word for the gate.

    python docs/examples/stream_frames.py face.jpg       # one picture, until the gate has its word
    python docs/examples/stream_frames.py --camera 0     # what OpenCV can open, until Ctrl-C
    python docs/examples/stream_frames.py --camera rtsp://10.0.0.9/door --target 10.0.0.2:50051

A camera does not wait: the box looks at the newest frame and answers the others with 5003. A turnstile
opens at OPEN and at nothing else.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from livegate.client import FrameStream, GateDecision, LivenessClient, StreamAnswer, View
from livegate.core.errors import ErrorCode, LiveGateError

MAX_TRIES = 30
FRAME_PAUSE_S = 1 / 15


def main() -> int:
    """Judge a picture or a camera."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", nargs="?", type=Path, help="a JPEG, PNG, BMP or WebP file")
    parser.add_argument("--camera", metavar="N|URL", help="what cv2.VideoCapture opens")
    parser.add_argument("--rotation", type=int, default=0, help="clockwise, to upright")
    parser.add_argument("--target", default="127.0.0.1:50051", help="HOST:PORT or unix:PATH")
    options = parser.parse_args()
    if (options.picture is None) == (options.camera is None):
        parser.error("give a picture or --camera")
    overflow: Literal["wait", "newest_wins"] = "newest_wins" if options.camera else "wait"
    try:
        with (
            LivenessClient(options.target) as client,
            client.stream(view=View(rotation=options.rotation), overflow=overflow) as stream,
        ):
            if options.picture:
                return from_picture(stream, options.picture.read_bytes())
            return from_camera(stream, options.camera)
    except KeyboardInterrupt:
        return 130
    except (LiveGateError, OSError) as error:
        print(f"stream_frames: {error}", file=sys.stderr)
        return 2


def from_picture(stream: FrameStream, picture: bytes) -> int:
    """Show the box one picture as if it stood in front of a camera, until it says OPEN or DENY."""
    for _ in range(MAX_TRIES):
        answer = stream.ask(picture)
        show(answer)
        if answer.gate in (GateDecision.OPEN, GateDecision.DENY):
            return 0 if answer.gate is GateDecision.OPEN else 1
        time.sleep(FRAME_PAUSE_S)
    return 1


def from_camera(stream: FrameStream, source: str) -> int:
    """One thread sends, this one takes the answers: a slow frame never stops the camera."""
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        raise OSError(f"{source} cannot be opened")
    sender = threading.Thread(target=send_all, args=(stream, capture), daemon=True)
    sender.start()
    for answer in stream:
        show(answer)
    return 0


def send_all(stream: FrameStream, capture: cv2.VideoCapture) -> None:
    """Send until the source or the stream ends."""
    try:
        for pixels in frames_of(capture):
            stream.send(pixels, frame_pts=time.monotonic_ns())
    except LiveGateError as error:
        print(f"stream_frames: {error}", file=sys.stderr)
    finally:
        stream.finish()  # without it, whoever takes the answers waits for those to come


def frames_of(capture: cv2.VideoCapture) -> Iterator[NDArray[np.uint8]]:
    """(H, W, 3) uint8 BGR, as OpenCV reads them."""
    while True:
        has_frame, pixels = capture.read()
        if not has_frame:
            return
        yield np.asarray(pixels, np.uint8)


def show(answer: StreamAnswer) -> None:
    """One line for each frame that was looked at, the gate's word in front."""
    if answer.error is not None and answer.error.code is ErrorCode.QUEUE_FULL:
        return
    word = answer.gate.value if answer.gate else "-"
    verdict = answer.error or " ".join(f"{one.decision.value} {one.score:.3f}" for one in answer.results)
    why = ", ".join(answer.reasons)
    print(f"{word:5} frame {answer.frame_id}  person {answer.person}  {verdict}  {why}")


if __name__ == "__main__":
    sys.exit(main())
