"""verify_actions: did the person in this video do what was asked for, and is it a person?

A video costs as much as a hundred pictures, so it is no job for a worker: a thread of its own reads
it, and hands the workers one picture at a time, in turn with everybody else's. So an image request
waits for as many pictures as videos are looked at, at once, never for a whole video.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from livegate.core.config import Config
from livegate.core.errors import DeadlineError, ErrorCode, LiveGateError, QueueError, RequestError
from livegate.core.request import CODE_VERIFY, VerifyRequest
from livegate.core.results import Action, VideoVerdict
from livegate.core.telemetry import Metrics, StageClock
from livegate.engines.pool import shutting_down
from livegate.ingest.video import VideoFrame as Picture
from livegate.ingest.video import VideoReader
from livegate.ingest.video_size import require_bytes
from livegate.pipelines.action_session import ActionSession, Word
from livegate.pipelines.holder import PipelineLease
from livegate.service.challenges import Challenges
from livegate.service.liveness import LivenessService

MAX_ACTIONS = 10
FULL_PAUSE_S = 0.02
"""Before a place in a full queue is asked for again; a video that is half read is worth the wait."""


class ActionService:
    """Verifies videos, so many at once. Safe to call from any thread."""

    def __init__(
        self,
        config: Config,
        service: LivenessService,
        metrics: Metrics,
        challenges: Challenges | None = None,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """No thread runs before the first video. Without `challenges` no request may name one."""
        self._config = config
        self._service = service
        self._metrics = metrics
        self._challenges = challenges
        self._now_ns = now_ns
        video = config.video
        self._threads = ThreadPoolExecutor(video.at_once, thread_name_prefix="livegate-video")
        self._most = video.at_once + video.max_waiting
        self._idle = threading.Condition()
        self._count = 0
        self._is_draining = False
        self._closing = threading.Event()

    def submit(self, request: VerifyRequest) -> Future[VideoVerdict]:
        """Check a request and queue it; cancel the future when nobody waits any more.

        Raises:
            RequestError: PARAM_FAILURE or OUT_OF_RANGE, found without decoding anything.
            QueueError: QUEUE_FULL when too many videos wait, QUEUE_STOPED when the server shuts down.
            LiveGateError: NOT_INIT while the models are warming; what is wrong with its challenge, as
                Challenges.asked.
        """
        if self._challenges is not None:
            request = self._challenges.asked(request)
        elif request.challenge:
            raise _refused("no challenge can be answered here", "leave it out")
        check(request, self._config)
        cancelled = threading.Event()
        lease = self._service.lease()
        try:
            future = self._begin(request, lease, cancelled)
        except BaseException:
            lease.release()
            raise
        future.add_done_callback(lambda _: lease.release())
        if self._challenges is not None and request.challenge:
            self._challenges.count_when_done(future)
        future.add_done_callback(lambda _: self._leave())
        outer: Future[VideoVerdict] = Future()
        outer.add_done_callback(lambda one: _abandon(one, future, cancelled))
        future.add_done_callback(lambda one: _hand_on(one, outer))
        return outer

    def verify(self, request: VerifyRequest) -> VideoVerdict:
        """`submit`, then wait.

        Raises:
            LiveGateError: whatever the request met.
        """
        return self.submit(request).result()

    def drain(self, timeout_s: float) -> bool:
        """Refuse new videos and wait for accepted ones; False when some were left."""
        self._is_draining = True
        with self._idle:
            return self._idle.wait_for(lambda: not self._count, timeout_s)

    def close(self) -> None:
        """End what is under way, and the threads."""
        self._is_draining = True
        self._closing.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _begin(
        self, request: VerifyRequest, lease: PipelineLease, cancelled: threading.Event
    ) -> Future[VideoVerdict]:
        """Have a video looked at by a thread, with the pipeline that serves now to its end."""
        session = ActionSession(
            lease.pipeline, self._config, nod_deg=request.nod_deg, is_mirrored=request.is_mirrored
        )
        clock = StageClock()
        self._enter()
        try:
            if self._challenges is not None and request.challenge:
                self._challenges.spend(request.challenge)
            waiting = [(request, session)]
            future = self._threads.submit(self._verify, waiting, clock, cancelled)
            # Cancelled, it stays with the threads until one is free: without the video.
            future.add_done_callback(lambda _: waiting.clear())
            return future
        except RuntimeError as error:  # the executor was shut down meanwhile
            self._leave()
            raise shutting_down() from error
        except LiveGateError:
            self._leave()
            raise

    def _enter(self) -> None:
        with self._idle:
            if self._is_draining:
                raise shutting_down()
            if self._count >= self._most:
                video = self._config.video
                raise QueueError(
                    ErrorCode.QUEUE_FULL,
                    f"{video.at_once} videos are looked at and {video.max_waiting} wait",
                    hint="try again in a moment, or raise video.max_waiting",
                )
            self._count += 1

    def _leave(self) -> None:
        with self._idle:
            self._count -= 1
            self._idle.notify_all()

    def _verify(
        self,
        waiting: list[tuple[VerifyRequest, ActionSession]],
        clock: StageClock,
        cancelled: threading.Event,
    ) -> VideoVerdict:
        """Everything that a video's thread does."""
        request, session = waiting.pop()
        clock.lap("queue")
        size = (0, 0)

        def require_time() -> None:
            self._require_time(request, cancelled)

        require_time()
        with VideoReader(request.video, self._config.video, require_time=require_time) as reader:
            for number, picture in enumerate(reader):
                clock.lap("decode")
                require_time()
                if not number:
                    size = (picture.frame.width, picture.frame.height)
                    session.expect(reader.facts.told_ms or round(self._config.video.max_s * 1000))
                self._look(request, session, picture, clock, cancelled)
            facts = reader.facts
        wanted = tuple(Action(number) for number in request.actions)
        word = session.word(wanted, request.windows)
        self._tally(word)
        portrait = word.portrait
        return VideoVerdict(
            code=request.code + 1,
            task_id=request.task_id,
            request_id=request.request_id,
            timestamp_ms=time.time_ns() // 1_000_000,
            is_alive=word.is_alive,
            reasons=word.reasons,
            actions=word.actions,
            events=word.events,
            silent=word.silent,
            picture=portrait.jpeg if portrait else b"",
            picture_box=portrait.box if portrait else None,
            picture_pts_ms=portrait.pts_ms if portrait else 0,
            src_width=size[0],
            src_height=size[1],
            duration_ms=facts.duration_ms,
            frames=facts.frames,
            samples=word.samples,
            sample_fps=facts.sample_fps,
            most_faces=word.most_faces,
            codec=facts.codec,
            container=facts.container,
            engines=session.engines,
            stages=clock.times(),
            track=word.track,
        )

    def _look(
        self,
        request: VerifyRequest,
        session: ActionSession,
        picture: Picture,
        clock: StageClock,
        cancelled: threading.Event,
    ) -> None:
        """One picture, by a worker, in its turn."""

        def look() -> None:
            clock.lap("queue")
            session.look(picture.pts_ms, picture.frame, clock, self._service.scratch)

        while True:
            try:
                job = self._service.queue(look, deadline_ns=request.deadline_ns)
            except QueueError as error:
                if error.code is not ErrorCode.QUEUE_FULL:
                    raise
                cancelled.wait(FULL_PAUSE_S)
                self._require_time(request, cancelled)
                continue
            job.result()
            return

    def _require_time(self, request: VerifyRequest, cancelled: threading.Event) -> None:
        if cancelled.is_set():
            raise DeadlineError("nobody waits for this video any more")
        if self._closing.is_set():
            raise shutting_down()
        if request.deadline_ns is not None and self._now_ns() > request.deadline_ns:
            raise DeadlineError(
                "the deadline passed while the video was looked at",
                hint="allow more time, or send a shorter video",
            )

    def _tally(self, word: Word) -> None:
        decision = "ALIVE" if word.is_alive else "NOT_ALIVE"
        self._metrics.count_verdict("action_liveness", decision)


def check(request: VerifyRequest, config: Config) -> None:
    """Hold that a request is one, before anything is decoded.

    Raises:
        RequestError: PARAM_FAILURE; OUT_OF_RANGE for a video that is too large.
    """
    if request.code != CODE_VERIFY:
        raise _refused(
            f"the message code is {request.code}, only {CODE_VERIFY} is answered", f"send {CODE_VERIFY}"
        )
    known = [action.value for action in Action]
    least = 1 if request.needs_actions else 0
    if not least <= len(request.actions) <= MAX_ACTIONS:
        raise _refused(f"there are {len(request.actions)} actions", f"send 1 to {MAX_ACTIONS}")
    for number in request.actions:
        if number not in known:
            raise _refused(
                f"there is no action {number}",
                "1 shake left, 2 shake right, 3 nod, 4 mouth, 5 blink",
            )
    _check_windows(request.windows, request.actions)
    nod = request.nod_deg
    if nod is not None and not 1 <= nod <= 90:
        raise _refused(f"nod_threshold is {nod:g}", "send 1 to 90 degrees")
    require_bytes(len(request.video), config.video)


def _check_windows(windows: Sequence[tuple[int, int]], actions: Sequence[int]) -> None:
    if windows and len(windows) != len(actions):
        raise _refused(
            f"there are {len(windows)} windows for {len(actions)} actions", "send one for each, or none"
        )
    for first_ms, last_ms in windows:
        if not 0 <= first_ms < last_ms:
            raise _refused(f"the window {first_ms}-{last_ms} is none", "send FIRST-LAST in ms")


def _refused(fact: str, hint: str) -> RequestError:
    return RequestError(ErrorCode.PARAM_FAILURE, fact, hint=hint)


def _hand_on(inner: Future[VideoVerdict], outer: Future[VideoVerdict]) -> None:
    """The end of the work becomes the end of what is waited for, unless nobody waits."""
    if not outer.set_running_or_notify_cancel():
        return
    error = shutting_down() if inner.cancelled() else inner.exception()
    if error is not None:
        outer.set_exception(error)
    else:
        outer.set_result(inner.result())


def _abandon(
    outer: Future[VideoVerdict], inner: Future[VideoVerdict], cancelled: threading.Event
) -> None:
    """Nobody waits any more: a video that waits is dropped, one under way ends at its next picture."""
    if outer.cancelled():
        cancelled.set()
        inner.cancel()
