"""Have a person do what nobody could foresee, with prompts to show them, and print how it ended.

    python docs/examples/answer_challenge.py door            # in front of a camera that the box reads
    python docs/examples/answer_challenge.py --camera 0      # what OpenCV can open here, sent to the box
    python docs/examples/answer_challenge.py door --language zh --target unix:/run/livegate/grpc.sock

A kiosk shows each prompt until the next one comes. Exit status: 0 = alive, 1 = not, 2 = an error.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterable

import cv2
import numpy as np

from livegate.client import ChallengeResult, FrameStream, LivenessClient, StreamAnswer
from livegate.core.errors import ErrorCode, LiveGateError


def main() -> int:
    """Start a challenge, and have it answered."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", help="a camera of the box: `livegate cameras list`")
    parser.add_argument("--camera", metavar="N|URL", help="what cv2.VideoCapture opens")
    parser.add_argument("--language", default="en", help="of the prompts: en or zh")
    parser.add_argument("--target", default="127.0.0.1:50051", help="HOST:PORT or unix:PATH")
    options = parser.parse_args()
    if (options.name is None) == (options.camera is None):
        parser.error("give a camera of the box or --camera")
    try:
        with LivenessClient(options.target) as client:
            if options.name:
                result = at_the_box(client, options.name, options.language)
            else:
                result = from_here(client, options.camera, options.language)
    except KeyboardInterrupt:
        return 130
    except (LiveGateError, OSError) as error:
        print(f"answer_challenge: {error}", file=sys.stderr)
        return 2
    if result is None:
        print("answer_challenge: the pictures ended before the challenge did", file=sys.stderr)
        return 2
    print("ALIVE" if result.is_alive else f"NOT ALIVE: {', '.join(result.reasons)}")
    return 0 if result.is_alive else 1


def at_the_box(client: LivenessClient, name: str, language: str) -> ChallengeResult | None:
    """The box looks through its own camera; the deadline comes even when no picture does."""
    challenge = client.start_challenge()
    with client.watch(name, challenge=challenge.nonce) as answers:
        return follow(answers, language)


def from_here(client: LivenessClient, source: str, language: str) -> ChallengeResult | None:
    """One thread sends pictures, not mirrored; this one takes the answers."""
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        raise OSError(f"{source} cannot be opened")
    challenge = client.start_challenge()
    with client.stream(overflow="newest_wins", challenge=challenge.nonce) as stream:
        threading.Thread(target=send_all, args=(stream, capture), daemon=True).start()
        return follow(stream, language)


def follow(answers: Iterable[StreamAnswer], language: str) -> ChallengeResult | None:
    """Show prompts until the challenge has ended; None when the answers end before."""
    for answer in answers:
        if answer.prompt is not None:
            print(answer.prompt.texts.get(language, answer.prompt.kind.value), flush=True)
        if answer.challenge is not None:
            return answer.challenge
    return None


def send_all(stream: FrameStream, capture: cv2.VideoCapture) -> None:
    """Send until the source or the stream ends."""
    try:
        while True:
            has_frame, pixels = capture.read()
            if not has_frame:
                break
            stream.send(np.asarray(pixels, np.uint8))
    except LiveGateError as error:
        if error.code is not ErrorCode.CONNECTION_CLOSE:  # then the other thread has its answer
            print(f"answer_challenge: {error}", file=sys.stderr)
    finally:
        capture.release()
        stream.finish()  # without it, whoever takes the answers waits for those to come


if __name__ == "__main__":
    sys.exit(main())
