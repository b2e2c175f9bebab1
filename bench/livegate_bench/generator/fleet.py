"""Cameras that hand over decoded frames through the frame queue, each frame when it is due.

A camera does not wait: a frame that finds no slot is dropped, one that is late is late. The age of a
frame counts from when it was due to its verdict.

Cameras join one after another, at moments that the seed draws, and what is measured begins when all are
there: the cameras of a box are not all plugged in at once, and people do not come to all of them in the
same moment. A camera that has just joined has every frame judged until there is a word.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livegate.client import FrameProducer
from livegate.core.errors import ErrorCode, LiveGateError
from livegate.shm.layout import DropReason
from livegate.shm.outcome import FrameResult
from livegate_bench.generator.loadgen import Taken, name_of, run_threads
from livegate_bench.generator.scene import PERIOD_S, Kind, Scene
from livegate_bench.picture import FRAME_HEIGHT, FRAME_WIDTH
from livegate_bench.system import System

LEAD_S = 0.2
SETTLE_S = 0.5
"""The last part of joining, in which nobody joins: until who came last has a word."""
TAIL_S = 2.0
"""How long the last verdicts are waited for: longer than a server keeps a frame."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many cameras at so many frames a second."""

    cameras: int
    fps: float
    seconds: float
    seed: int
    scene: Kind = "turnstile"
    joining_s: float = 0.0
    """How long it takes until all are there; `seconds` begin then."""

    def run(self, system: System) -> Taken:
        """In threads of this process; the seed says when each joins, and what its scene begins with."""
        scene = Scene(system.place.picture, self.scene, self.seed)
        draw = np.random.default_rng(self.seed)
        begins_s = draw.uniform(0, 1 / self.fps, self.cameras)
        shows_s = draw.uniform(0, PERIOD_S, self.cameras)
        joins_s = draw.uniform(0, max(0.0, self.joining_s - SETTLE_S), self.cameras)
        cameras = [Camera(system.place.server.frames, f"fleet-{n}") for n in range(self.cameras)]
        try:
            for camera in cameras:
                camera.producer.connect()
        except LiveGateError as error:
            return _refused(cameras, error)
        start_ns = time.monotonic_ns() + int((LEAD_S + self.joining_s) * 1e9)
        films = []
        for camera, begin_s, show_s, join_s in zip(cameras, begins_s, shows_s, joins_s, strict=True):
            camera.lead_in = int((self.joining_s - join_s) * self.fps)
            dues_s = self.dues_s(camera.lead_in) + begin_s
            films.append(partial(camera.film, start_ns, dues_s, scene, show_s))
        run_threads(films)
        return taken_from_cameras(cameras, self.seconds, self.joining_s)

    def dues_s(self, lead_in: int) -> NDArray[np.float64]:
        """(N,) when a camera's frames are due, from where measuring begins; `lead_in` of them before."""
        return np.arange(-lead_in, max(1, round(self.fps * self.seconds))) / self.fps


class Camera:
    """One producer, and what became of its frames."""

    def __init__(self, path: str, name: str) -> None:
        """Not connected yet."""
        self.producer = FrameProducer(
            path, camera=name, width=FRAME_WIDTH, height=FRAME_HEIGHT, on_result=self.hear
        )
        self.ages_s: list[float] = []
        self.drops: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.due_ns: dict[int, int] = {}
        """Of frames without an answer, by number: CLOCK_MONOTONIC."""
        self.lead_in = 0
        """Frames before this number are not measured; what fails counts all the same."""
        self.led_in = 0

    def film(self, start_ns: int, offsets_s: Sequence[float], scene: Scene, show_s: float) -> None:
        """Hand over each frame when it is due, then wait for the last verdicts.

        Args:
            start_ns: CLOCK_MONOTONIC of where measuring begins.
            offsets_s: when each frame is due, from then.
            scene: what is before the camera.
            show_s: where in its scene the camera begins.
        """
        try:
            for number, offset_s in enumerate(map(float, offsets_s)):
                due = start_ns + int(offset_s * 1e9)
                self._listen(until_ns=due)
                self._show(number, due, partial(scene.paint, number=number, time_s=show_s + offset_s))
            self._listen(until_ns=time.monotonic_ns() + int(TAIL_S * 1e9), or_all_told=True)
        except LiveGateError as error:
            self.errors[name_of(error)] += 1
        finally:
            self.producer.close()
            if self.due_ns:
                self.drops["unanswered"] += sum(number >= self.lead_in for number in self.due_ns)

    def hear(self, result: FrameResult) -> None:
        """What became of one frame."""
        due = self.due_ns.pop(result.frame_id, None)
        if due is None:
            return
        is_measured = result.frame_id >= self.lead_in
        if result.has_verdict and is_measured:
            self.ages_s.append((time.monotonic_ns() - due) / 1e9)
        elif result.has_verdict:
            self.led_in += 1
        elif result.reason is DropReason.JUDGED:
            self.errors[str(int(result.outcome.code))] += 1
        else:
            self.drops[result.reason.name.lower()] += is_measured

    def _show(self, number: int, due: int, paint: Callable[[Any], None]) -> None:
        try:
            with self.producer.loan(frame_id=number, captured_ns=due) as pixels:
                self.due_ns[number] = due
                paint(pixels)
        except LiveGateError as error:
            self.due_ns.pop(number, None)
            if error.code is not ErrorCode.QUEUE_FULL:
                raise
            self.drops["no_slot"] += number >= self.lead_in

    def _listen(self, *, until_ns: int, or_all_told: bool = False) -> None:
        while (left_ns := until_ns - time.monotonic_ns()) > 0:
            if or_all_told and not self.due_ns:
                return
            # `results` waits to the end where `hear` takes them, so the last wait is cut into pieces.
            self.producer.results(timeout_s=min(left_ns / 1e9, 0.05) if or_all_told else left_ns / 1e9)


def taken_from_cameras(cameras: Sequence[Camera], seconds: float, joining_s: float = 0.0) -> Taken:
    """All cameras together, over the schedule's seconds: frames come as fast as they are due.

    A drop that happened before those only is there with 0, in the place of what the server counted.
    """
    ages = np.array([age for camera in cameras for age in camera.ages_s], np.float64)
    drops: Counter[str] = Counter()
    for camera in cameras:
        drops.update(camera.drops)
    return Taken(
        seconds=seconds,
        requests=len(ages),
        latencies_s=ages,
        errors=dict(sum((camera.errors for camera in cameras), Counter[str]())),
        drops=dict(drops),
        led_in=sum(camera.led_in for camera in cameras),
        lead_in_s=joining_s,
    )


def _refused(cameras: Sequence[Camera], error: LiveGateError) -> Taken:
    for camera in cameras:
        camera.producer.close()
    return Taken(0.0, 0, np.empty(0), errors={name_of(error): 1})
