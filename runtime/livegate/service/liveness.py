"""What an edge may call: analyze pictures, and ask how the box is.

An edge (gRPC, HTTP, CLI) turns its bytes into an AnalyzeRequest, calls `submit` or `analyze`, and
renders the Analysis or the LiveGateError in its own manner. Streams and cameras stand beside this
file and are built on it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TypeVar

from livegate.core.config import AttentionConfig, Config, LimitsConfig
from livegate.core.errors import ErrorCode, LiveGateError, RequestError
from livegate.core.frame import Frame
from livegate.core.request import CODE_ANALYZE, AnalyzeRequest
from livegate.core.results import (
    Analysis,
    EngineInfo,
    GraphRuns,
    Reason,
    largest_face,
)
from livegate.core.telemetry import Metrics, StageClock
from livegate.core.view import View
from livegate.engines.builds import BuildBoard, BuildProgress
from livegate.engines.pool import EnginePool, shutting_down
from livegate.ingest.headers import ImageHeader
from livegate.ingest.image import checked_header, decode_frame
from livegate.pipelines.action_session import ALGO_TASK, GEOMETRY, SILENT
from livegate.pipelines.holder import PipelineHolder, PipelineLease, Retirement
from livegate.pipelines.pipeline import Pipeline
from livegate.pipelines.quality import measure
from livegate.pipelines.session import EVERY_FRAME, FACES, Look, Session
from livegate.preprocess.scratch import Scratch

T = TypeVar("T")
CLOSE_S = 1.0
"""For the workers to end after the drain; a call that runs on does not hold up the exit."""


class State(str, Enum):
    """Where the service is in its life."""

    WARMING = "WARMING"
    BUILDING = "BUILDING"
    READY = "READY"
    DRAINING = "DRAINING"


STUCK_S = 30.0
"""A worker that is at one picture of a request for longer hangs in an engine or in a driver."""
STUCK_COMPILING_S = 1800.0
"""The same where an engine compiles inside a run: a restart would only begin it anew, for ever."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the box is."""

    state: State
    workers: int
    running: int
    queue_depth: int
    queue_capacity: int
    algo_tasks: tuple[int, ...]
    engines: tuple[EngineInfo, ...]
    longest_run_s: float = 0.0
    """How long the slowest worker has been at one picture of its request or at one frame."""
    build: BuildProgress | None = None
    """The engine that is being built, in BUILDING."""
    graph_runs: Mapping[tuple[str, str], GraphRuns] = field(default_factory=dict)
    """By model and network, where a device can record runs."""

    @property
    def is_stuck(self) -> bool:
        """A worker will not come back: only another process helps."""
        compiles = any(engine.compiles_in_runs for engine in self.engines)
        return self.longest_run_s > (STUCK_COMPILING_S if compiles else STUCK_S)


class LivenessService:
    """The runtime behind every face. Built warming; `start` gives it its pipeline."""

    def __init__(
        self, config: Config, pool: EnginePool, metrics: Metrics, board: BuildBoard | None = None
    ) -> None:
        """Keep what is shared by all requests."""
        self._config = config
        self._board = board or BuildBoard()
        self._pool = pool
        self._metrics = metrics
        self._holder = PipelineHolder()
        self._is_draining = False
        self._local = threading.local()
        self._longest_runs: list[Callable[[], float]] = [lambda: pool.longest_run_s]
        metrics.retired.set_function(lambda: self._holder.retired)

    def watch(self, longest_run_s: Callable[[], float]) -> None:
        """Heed threads beside the workers: how long the slowest has been at one picture, in seconds."""
        self._longest_runs.append(longest_run_s)

    def start(self, pipeline: Pipeline) -> None:
        """Begin to answer: the pipeline's engines are loaded and warm."""
        self._holder.swap(pipeline)
        self._metrics.show_engines(pipeline.engines)
        self._metrics.ready.set(1)

    def replace(self, pipeline: Pipeline) -> Retirement:
        """Answer with another pipeline, warm, from the next request and the next frame on.

        What is under way ends with the pipeline that it began with; the last of it closes that one.

        Raises:
            QueueError: QUEUE_STOPED when the server shuts down; the pipeline is closed then.
        """
        if self._is_draining:
            pipeline.close()
            raise shutting_down()
        retirement = self._holder.swap(pipeline)
        self._metrics.show_engines(pipeline.engines)
        return retirement

    def lease(self) -> PipelineLease:
        """Use the pipeline that serves now; release it when all is done with it.

        Raises:
            LiveGateError: NOT_INIT while the models warm, INPROGRESS while their engines are built.
        """
        build = None if self._holder.current else self._board.current
        if build is not None:
            raise LiveGateError(
                ErrorCode.INPROGRESS,
                f"the engine of {build.model} {build.network} is being built: {build.part:.0%}",
                hint="ask /readyz, which has a forecast, then try again",
            )
        return self._holder.lease()

    @property
    def status(self) -> Status:
        """How the box is now."""
        pipeline = self._holder.current
        build = None if pipeline else self._board.current
        cold = State.BUILDING if build else State.WARMING
        warm = State.READY if pipeline else cold
        return Status(
            state=State.DRAINING if self._is_draining else warm,
            workers=self._pool.workers,
            running=self._pool.running,
            queue_depth=self._pool.depth,
            queue_capacity=self._pool.capacity,
            algo_tasks=_algo_tasks(pipeline) if pipeline else (),
            engines=pipeline.engines if pipeline else (),
            longest_run_s=max(one() for one in self._longest_runs),
            build=build,
            graph_runs=pipeline.graph_runs if pipeline else {},
        )

    def submit(self, request: AnalyzeRequest) -> Future[Analysis]:
        """Check a request and queue it; cancel the future when nobody waits any more.

        Raises:
            RequestError: PARAM_FAILURE and the like, found without decoding anything.
            QueueError: QUEUE_FULL or QUEUE_STOPED.
            LiveGateError: NOT_INIT while the models are warming.
        """
        lease = self.lease()
        try:
            future = self._enqueue(lease.pipeline, request)
        except BaseException:
            lease.release()
            raise
        # Also called for one that is refused or given up while it waits.
        future.add_done_callback(lambda _: lease.release())
        return future

    def analyze(self, request: AnalyzeRequest) -> Analysis:
        """`submit`, then wait.

        Raises:
            LiveGateError: whatever the request met.
        """
        return self.submit(request).result()

    def session(
        self, algo_tasks: Sequence[int], view: View, attention: AttentionConfig = EVERY_FRAME
    ) -> Session:
        """Judge many frames of one camera, and follow who stands in front.

        Raises:
            RequestError: PARAM_FAILURE for an unknown algo task, or none.
            LiveGateError: NOT_INIT while the models are warming.
        """
        return Session(self.lease, algo_tasks, view, self._config.gate, attention)

    def look(self, session: Session, frame: Frame, captured_ns: int, clock: StageClock) -> Look:
        """One frame of a session, in the calling thread. `captured_ns` is monotonic time.

        Raises:
            EngineError: a network failed; call `session.fail` then.
        """
        look = session.look(frame, captured_ns, clock, self.scratch)
        if Reason.UNCHANGED in look.reasons:
            self._metrics.unchanged.inc()
        else:
            self._metrics.count_judged(clock.times(), look.verdicts, look.faces)
        return look

    def glance(self, session: Session, frame: Frame, captured_ns: int) -> Look | None:
        """What a frame repeats of what was just judged; None: it must be looked at."""
        look = session.glance(frame, captured_ns)
        if look is not None:
            self._metrics.unchanged.inc()
        return look

    def queue(self, call: Callable[[], T], *, deadline_ns: int | None = None) -> Future[T]:
        """Have something done by a worker, in its turn; without a deadline the configured one holds.

        Raises:
            QueueError: QUEUE_FULL or QUEUE_STOPED.
        """
        own_ns = self._deadline_ns() if deadline_ns is None else deadline_ns
        return self._pool.submit(call, deadline_ns=own_ns)

    @property
    def limits(self) -> LimitsConfig:
        """What a picture may be."""
        return self._config.limits

    @property
    def scratch(self) -> Scratch:
        """The buffers of the calling thread."""
        scratch: Scratch | None = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = Scratch()
        return scratch

    def refuse(self) -> None:
        """Take no new request; what videos still need done is done."""
        self._is_draining = True
        self._metrics.ready.set(0)

    def drain(self, timeout_s: float) -> bool:
        """Refuse new requests and wait for accepted ones; False when some were left."""
        self.refuse()
        return self._pool.drain(timeout_s)

    def close(self) -> None:
        """End the workers and the engines."""
        self._pool.close(CLOSE_S)
        self._holder.close()

    def _enqueue(self, pipeline: Pipeline, request: AnalyzeRequest) -> Future[Analysis]:
        if self._is_draining:
            raise shutting_down()
        self._check(request)
        pipeline.plan(request.algo_tasks)
        deadline_ns = request.deadline_ns
        if deadline_ns is None:
            deadline_ns = self._deadline_ns()
        clock = StageClock()
        run = partial(self._run, pipeline, request, clock)
        return self._pool.submit(run, deadline_ns=deadline_ns, is_new=True)

    def _check(self, request: AnalyzeRequest) -> None:
        if request.code != CODE_ANALYZE:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the message code is {request.code}, only {CODE_ANALYZE} is answered",
                hint=f"send {CODE_ANALYZE}",
            )
        count, limit = len(request.images), self._config.limits.max_images
        if not count:
            raise RequestError(
                ErrorCode.PARAM_FAILURE, "the request has no image", hint="send at least one"
            )
        if count > limit:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the request has {count} images, the limit is {limit}",
                hint="send fewer, or raise limits.max_images",
            )

    def _run(self, pipeline: Pipeline, request: AnalyzeRequest, clock: StageClock) -> Analysis:
        """Everything that a worker does for one request."""
        clock.lap("queue")
        steps = pipeline.plan(request.algo_tasks)
        scratch = self.scratch
        headers = [
            checked_header(content, self._config.limits, name=_name(index, request))
            for index, content in enumerate(request.images)
        ]
        width, height = _one_size(headers)
        findings, qualities = [], []
        for index, (content, header) in enumerate(zip(request.images, headers, strict=True)):
            self._pool.progress()
            frame = decode_frame(content, header, name=_name(index, request))
            clock.lap("decode")
            found = pipeline.run(frame, steps, clock, scratch)
            findings.append(found)
            if request.wants_quality:
                best = largest_face(found.get(FACES, ()))
                qualities.append(measure(pipeline, frame, best, clock, scratch) if best else None)
        verdicts = pipeline.judge(request.algo_tasks, findings)
        clock.lap("postprocess")
        analysis = Analysis(
            code=request.code + 1,
            task_id=request.task_id,
            request_id=request.request_id,
            timestamp_ms=time.time_ns() // 1_000_000,
            src_width=width,
            src_height=height,
            verdicts=verdicts,
            engines=tuple(info for step in steps for info in step.model.infos),
            stages=clock.times(),
            qualities=tuple(qualities),
        )
        faces = sum(len(found.get(FACES, ())) for found in findings)
        self._metrics.count_judged(analysis.stages, verdicts, faces)
        return analysis

    def _deadline_ns(self) -> int:
        return time.monotonic_ns() + int(self._config.server.queue_timeout_s * 1e9)


def _algo_tasks(pipeline: Pipeline) -> tuple[int, ...]:
    """What may be asked for: with pictures, and with a video."""
    with_video = (ALGO_TASK,) if pipeline.has_tasks((*GEOMETRY, SILENT)) else ()
    return (*pipeline.algo_tasks, *with_video)


def _name(index: int, request: AnalyzeRequest) -> str:
    return f"image {index + 1} of {len(request.images)}"


def _one_size(headers: Sequence[ImageHeader]) -> tuple[int, int]:
    """All pictures of a request have one resolution, upright (after Exif rotation)."""
    width, height = headers[0].upright_size
    for index, header in enumerate(headers):
        if header.upright_size != (width, height):
            found = "x".join(map(str, header.upright_size))
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"image {index + 1} is {found} but image 1 is {width}x{height}",
                hint="send all images of one request at the same resolution",
            )
    return width, height
