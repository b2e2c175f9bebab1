"""Frames that producers hand over in shared memory, on their way through the pipeline.

Consumer threads take the next camera's newest frame, judge it in place and give the word back. They
pull: a frame that waits can still be replaced by a newer one, which it could not in a queue of work.
Whatever goes wrong with a frame, its producer hears an error and no verdict, so a gate stays shut.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from livegate.core.config import Config
from livegate.core.errors import ErrorCode, LiveGateError, QueueError, as_livegate_error
from livegate.core.frame import Frame
from livegate.core.results import Verdict
from livegate.core.telemetry import Metrics, get_logger
from livegate.engines.denormals import flush_denormals
from livegate.preprocess.cpu import bgr_from_nv12
from livegate.preprocess.scratch import Scratch
from livegate.service import LivenessService
from livegate.shm.broker import Broker
from livegate.shm.connection import Peer
from livegate.shm.layout import PixelFormat
from livegate.shm.lease import Lease
from livegate.shm.outcome import Outcome
from livegate.shm.tally import FrameEvent, FrameTally

SILENT, DETECTION = 1031, 9001
POP_TIMEOUT_S = 1.0
log = get_logger("livegate.frames")


class FrameFace:
    """The frame queue's socket and the threads behind it."""

    def __init__(
        self, path: Path, config: Config, service: LivenessService, metrics: Metrics, threads: int
    ) -> None:
        """Listen; producers may connect, nothing is judged before `consume`.

        Raises:
            SetupError: the socket belongs to a live server, or cannot be bound.
        """
        self.path = path
        self._service = service
        self._broker = Broker(path, config.frames, on_refused=_log_refusal)
        self._count = threads
        self._threads: list[threading.Thread] = []
        self._broker.start()
        metrics.registry.register(FrameCollector(self._broker))

    def consume(self) -> None:
        """Begin to judge: the service is warm."""
        for number in range(self._count):
            name = f"livegate-frames-{number}"
            thread = threading.Thread(target=self._consume, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Tell producers goodbye, finish the frames that are looked at."""
        self._broker.stop()
        for thread in self._threads:
            thread.join(timeout_s)

    def _consume(self) -> None:
        flush_denormals()
        scratch = Scratch()
        while True:
            try:
                lease = self._broker.pop(timeout_s=POP_TIMEOUT_S)
            except QueueError as error:
                if error.code is ErrorCode.QUEUE_STOPED:
                    return
                continue
            _judge(lease, self._service, scratch)
            del lease


def _judge(lease: Lease, service: LivenessService, scratch: Scratch) -> None:
    """One frame; in a function of its own, so that no array outlives the lease."""
    try:
        with lease:
            lease.finish(_outcome(service.judge(_frame(lease, scratch), (SILENT, DETECTION))))
    except Exception as error:
        failure = as_livegate_error(error)
        inside = error if failure.code is ErrorCode.INNER else None
        event = {"camera": lease.camera, "frame": lease.frame_id, "code": int(failure.code)}
        log.warning("frame failed", why=failure.message, exc_info=inside, **event)


def _frame(lease: Lease, scratch: Scratch) -> Frame:
    """The slot itself; NV12 is turned into BGR in a buffer of this thread."""
    view = lease.view()
    if view.pixel_format is PixelFormat.NV12:
        return Frame(bgr_from_nv12(view.pixels, scratch), view.captured_ns)
    return view.frame()


def _outcome(verdicts: tuple[Verdict, ...]) -> Outcome:
    silent, detection = verdicts
    boxes = [found.face.box for found in detection.faces]
    return Outcome(
        decision=silent.decision,
        score=silent.score,
        algo_task=SILENT,
        faces=len(boxes),
        box=max(boxes, key=lambda box: box.area, default=None),
    )


def _log_refusal(error: LiveGateError, peer: Peer, is_fatal: bool) -> None:
    log.info(
        "producer refused",
        code=int(error.code),
        why=error.message,
        uid=peer.uid,
        pid=peer.pid,
        ends=is_fatal,
    )


class FrameCollector(Collector):
    """The frame queue's counts, read when they are scraped."""

    def __init__(self, broker: Broker) -> None:
        """Read from this one."""
        self._broker = broker

    def collect(self) -> Iterator[Metric]:
        """Frames by camera and event, bytes copied, slots by state, refusals by code."""
        tally = self._broker.tally
        yield _frames(tally)
        copied = CounterMetricFamily(
            "livegate_frame_bytes_copied", "Bytes copied of frames", labels=("camera",)
        )
        for camera in tally.cameras:
            copied.add_metric((camera,), tally.camera(camera)[FrameEvent.COPIED_BYTES])
        yield copied
        slots = GaugeMetricFamily("livegate_frame_slots", "Slots", labels=("camera", "state"))
        for status in self._broker.status:
            for state, count in status.slots.items():
                slots.add_metric((status.camera, state.name.lower()), count)
        yield slots
        refusals = CounterMetricFamily(
            "livegate_frame_refusals", "Refused producers and messages", labels=("code",)
        )
        for code, count in tally.refusals.items():
            refusals.add_metric((str(int(code)),), count)
        yield refusals


def _frames(tally: FrameTally) -> Metric:
    frames = CounterMetricFamily("livegate_frames", "What became of frames", labels=("camera", "event"))
    for camera in tally.cameras:
        for event, count in tally.camera(camera).items():
            if event is not FrameEvent.COPIED_BYTES:
                frames.add_metric((camera, event.value), count)
    return frames
