"""Torn frames: whether a reader can see a ticket before all of the picture that it stands for.

Processors order memory differently; aarch64 lets writes overtake each other where x86 does not. The
queue hands tickets over by messages through the kernel, which orders them everywhere. That is a claim,
and this is the trial: a process of its own writes sealed frames into the slots as fast as it can, this
one looks at each when its lease begins and once more when it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import numpy as np

from livegate.client.producer import FrameProducer
from livegate.core.config import FramesConfig
from livegate.core.errors import ErrorCode, LiveGateError, QueueError
from livegate.core.frame import Pixels
from livegate.selftest.apart import Apart
from livegate.selftest.frames import CAMERA, own_queue
from livegate.selftest.report import Check, Figure, Status
from livegate.selftest.sealedframes import is_whole, number_of, paint
from livegate.selftest.stage import Course, Found, one
from livegate.shm.lease import Lease
from livegate.shm.outcome import Outcome

PRODUCER = f"{__name__}:produce"
STRESS_S, QUICK_S, WAIT_S, POP_S = 20.0, 2.0, 30.0, 0.5
WIDTH, HEIGHT, PAINTED = 640, 480, 16
"""Few enough pixels that most of the time is spent in the hand-over."""
FEWEST = 50
"""Below that the trial has shown nothing."""


class Stress(msgspec.Struct, frozen=True):
    """What a process is to do."""

    producer: str
    seconds: float
    path: str = ""


class Tally(msgspec.Struct):
    """What was seen."""

    frames: int = 0
    torn: int = 0
    exchanged: int = 0
    """Whole, but another picture than the ticket's."""
    overtaken: int = 0
    """A frame with a lower number than the one before it."""
    seconds: float = 0.0

    def problems(self) -> Iterator[str]:
        """What must not be."""
        if self.torn:
            yield f"{self.torn} of {self.frames} frames were torn"
        if self.exchanged:
            yield f"{self.exchanged} of {self.frames} frames were not those of their tickets"
        if self.overtaken:
            yield f"{self.overtaken} of {self.frames} frames came out of order"
        if self.frames < FEWEST:
            yield f"only {self.frames} frames came through in {self.seconds:.1f} s"


def check_frame_queue(course: Course, *, producer: str = PRODUCER) -> Found:
    """The check `frame_queue`; `producer` is the part that writes."""
    seconds = QUICK_S if course.is_quick else STRESS_S
    asked = Stress(producer, seconds)
    (seen,) = course.apart(f"{__name__}:answers", asked, Tally, wait_s=seconds + WAIT_S)
    figures = (
        Figure(name="frames looked at twice", value=seen.frames, unit=""),
        Figure(name="torn frames", value=seen.torn, unit=""),
        Figure(name="rate", value=round(seen.frames / max(seen.seconds, 1e-9), 1), unit="frames/s"),
    )
    reason = "; ".join(seen.problems())
    status = Status.FAIL if reason else Status.PASS
    return one(Check(name="frame_queue", status=status, reason=reason, figures=figures))


def answers(asked: bytes) -> Iterator[Tally]:
    """The reader, in a process of its own."""
    stress = msgspec.json.decode(asked, type=Stress)
    config = FramesConfig(trusted="same_uid", max_messages_per_s=1_000_000, max_frame_age_ms=0)
    tally, last = Tally(), -1
    with own_queue(config) as (broker, path):
        told = msgspec.structs.replace(stress, path=str(path))
        with Apart(stress.producer, msgspec.json.encode(told)) as producer:
            begun_s = time.monotonic()
            while time.monotonic() - begun_s < stress.seconds + WAIT_S:
                is_writing = producer.is_running
                try:
                    last = look(broker.pop(timeout_s=POP_S), tally, last)
                    tally.seconds = time.monotonic() - begun_s
                except QueueError:  # nothing came; or never will
                    if not is_writing:
                        break
            for _ in producer.answers(wait_s=WAIT_S, until_s=time.monotonic() + WAIT_S):
                pass
    yield tally


def look(lease: Lease, tally: Tally, last: int) -> int:
    """Count what is wrong with one frame; returns its number."""
    with lease:
        pixels, number = lease.frame().pixels, lease.frame_id
        is_right = number_of(pixels) == number % PAINTED
        is_torn = not is_whole(pixels)
        is_torn |= not is_whole(pixels)  # the writer may come late
        tally.frames += 1
        tally.torn += is_torn
        tally.exchanged += not is_torn and not is_right
        tally.overtaken += number <= last
        lease.finish(Outcome())
    return number


def painted_frames() -> list[Pixels]:
    """Sealed frames, made beforehand: a camera's driver copies as well."""
    frames: list[Pixels] = [np.empty((HEIGHT, WIDTH, 3), np.uint8) for _ in range(PAINTED)]
    for number, frame in enumerate(frames):
        paint(frame, number)
    return frames


def produce(asked: bytes) -> Iterator[int]:
    """The writer, in a process of its own: as many frames as go through."""
    stress = msgspec.json.decode(asked, type=Stress)
    frames, number = painted_frames(), 0
    with FrameProducer(stress.path, camera=CAMERA, width=WIDTH, height=HEIGHT) as producer:
        until_s = time.monotonic() + stress.seconds
        while time.monotonic() < until_s:
            try:
                with producer.loan(frame_id=number) as slot:
                    slot[:] = frames[number % PAINTED]
                number += 1
            except LiveGateError as error:
                if error.code is not ErrorCode.QUEUE_FULL:
                    raise
            producer.results()
    yield number
