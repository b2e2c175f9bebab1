"""Whether a frame in shared memory reaches preprocessing without a copy on the way.

Three witnesses, because each alone can be wrong. The array's address lies in the mapping of the
producer's memory. The queue counted no copied byte. And what the producer writes into its slot after the
frame was leased, the tensor shows: so nobody had taken a copy before. (A producer may not do that; here
it is the only one who could tell.)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from livegate.app.build import build_store, chosen_manifest
from livegate.client.producer import FrameProducer
from livegate.core.config import Config, FramesConfig
from livegate.core.frame import Frame, Pixels
from livegate.preprocess.scratch import Scratch
from livegate.selftest.frames import CAMERA, HEIGHT, WIDTH, own_queue
from livegate.selftest.report import Check, Figure, Status
from livegate.selftest.stage import Course, Found, one
from livegate.shm.tally import FrameEvent
from livegate.tasks.face_detection import Plugin

EARLIER, LATER = 60, 200
"""Levels of grey: what is published, and what is written into the slot afterwards."""
WAIT_S = 30.0


class Sighting(msgspec.Struct, frozen=True):
    """What the three witnesses say of one frame."""

    is_inside: bool
    """The array lies in the producer's memory."""
    copied_bytes: int
    is_followed: bool
    """The tensor shows what was written after the lease."""
    prepare_ms: float

    def problems(self) -> Iterator[str]:
        """What speaks against zero copy."""
        if not self.is_inside:
            yield "the frame that preprocessing reads lies outside the producer's memory"
        if self.copied_bytes:
            yield f"{self.copied_bytes} bytes of it were copied"
        if not self.is_followed:
            yield "the tensor was made from an earlier copy"


def check_zero_copy(course: Course) -> Found:
    """The check `zero_copy`."""
    if course.config.frames.trusted == "none":
        why = "frames.trusted is none: every frame is copied once, as configured"
        return one(Check(name="zero_copy", status=Status.NOT_RUN, reason=why))
    (seen,) = course.apart(f"{__name__}:answers", course.config, Sighting, wait_s=WAIT_S)
    problems = "; ".join(seen.problems())
    figures = (
        Figure(name="bytes of a frame that were copied", value=seen.copied_bytes, unit="B"),
        Figure(name="preprocessing of a 1280x720 frame", value=seen.prepare_ms, unit="ms"),
    )
    status = Status.FAIL if problems else Status.PASS
    return one(Check(name="zero_copy", status=status, reason=problems, figures=figures))


def answers(asked: bytes) -> Iterator[Sighting]:
    """In a process of its own."""
    config = msgspec.json.decode(asked, type=Config)
    frames = msgspec.structs.replace(config.frames, trusted="same_uid")
    manifest = chosen_manifest(Plugin.name, config, build_store(config))
    yield watch_one_frame(Plugin(manifest, config), frames)


def watch_one_frame(detector: Plugin, config: FramesConfig) -> Sighting:
    """Hand one frame over, and look at how it arrives."""
    with (
        own_queue(config) as (broker, path),
        FrameProducer(path, camera=CAMERA, width=WIDTH, height=HEIGHT) as producer,
    ):
        with producer.loan() as slot:
            slot[:] = EARLIER
        with broker.pop(timeout_s=WAIT_S) as lease:
            frame = lease.frame()
            slot[:] = LATER
            scratch = Scratch()
            tensor = _tensor(detector, frame, scratch)
            begun_ns = time.perf_counter_ns()
            _tensor(detector, frame, scratch)
            prepare_ms = (time.perf_counter_ns() - begun_ns) / 1e6
            told = _tensor(detector, Frame(np.full_like(frame.pixels, LATER), 0), Scratch())
            return Sighting(
                is_inside=lies_in_memfd(frame.pixels, CAMERA),
                copied_bytes=broker.tally.camera(CAMERA)[FrameEvent.COPIED_BYTES],
                is_followed=bool(np.array_equal(tensor, told)),
                prepare_ms=round(prepare_ms, 3),
            )


def _tensor(detector: Plugin, frame: Frame, scratch: Scratch) -> Pixels:
    ((_, feeds),) = detector.prepare(frame, {}, scratch)
    (tensor,) = feeds.values()
    copy: Pixels = tensor.copy()
    return copy


def lies_in_memfd(pixels: Pixels, camera: str, maps: Path = Path("/proc/self/maps")) -> bool:
    """Whether the array lies in memory that this process has mapped of a camera, for reading only."""
    first = int(pixels.__array_interface__["data"][0])
    last = first + sum((n - 1) * step for n, step in zip(pixels.shape, pixels.strides, strict=True))
    for line in maps.read_text(encoding="ascii", errors="replace").splitlines():
        words = line.split()
        if words[1] == "r--s" and f"/memfd:livegate-{camera}" in line:
            low, high = (int(end, 16) for end in words[0].split("-"))
            if low <= first and last < high:
                return True
    return False
