"""Streams of frames that a client sends: one session each, one answer for each frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from livegate.core.errors import ErrorCode, LiveGateError, RequestError, as_livegate_error
from livegate.core.frame import require_past
from livegate.core.results import FrameAnswer
from livegate.core.telemetry import Metrics, StageClock, get_logger
from livegate.core.view import View
from livegate.pipelines.challenge import LiveChallenge
from livegate.pipelines.session import Session
from livegate.service.liveness import LivenessService
from livegate.service.outcomes import answer_of_error, answer_of_look, answer_with_news
from livegate.service.picture import Picture, QueuedPicture
from livegate.shm.broker import Broker
from livegate.shm.ring import Ticket

CODE_STREAM = 9021
"""Message code of a stream of frames; the answers carry one more."""
log = get_logger("livegate.streams")


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """One frame with the client's own number and time stamp."""

    frame_id: int
    frame_pts: int
    picture: Picture


class Streams:
    """Opens streams."""

    def __init__(self, service: LivenessService, broker: Broker | None, metrics: Metrics) -> None:
        """`broker` is where tickets are good; None = nowhere."""
        self._service = service
        self._broker = broker
        self._metrics = metrics
        self._open: set[FrameStream] = set()
        self._end: LiveGateError | None = None

    def stop(self, error: LiveGateError) -> None:
        """End every stream, and refuse new ones."""
        self._end = error
        for stream in tuple(self._open):
            stream.on_end(error)

    def close(self, stream: FrameStream) -> None:
        """Forget a stream that is over."""
        self._open.discard(stream)
        if stream.challenge is not None:
            stream.challenge.abandon()

    def open(
        self,
        code: int,
        algo_tasks: Sequence[int],
        view: View,
        take_up: Callable[[], LiveChallenge] | None = None,
    ) -> FrameStream:
        """A session of its own; `take_up` gives the challenge that is answered on it.

        Raises:
            LiveGateError: as `take_up`.
            RequestError: PARAM_FAILURE for another code or an unknown algo task.
            LiveGateError: NOT_INIT while the models are warming.
            QueueError: QUEUE_STOPED when the server shuts down.
        """
        if self._end is not None:
            raise self._end
        if code != CODE_STREAM:
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                f"the message code is {code}, a stream is opened by {CODE_STREAM}",
                hint=f"send {CODE_STREAM}",
            )
        session = self._service.session(algo_tasks, view)
        challenge = session.onlooker = take_up() if take_up else None
        stream = FrameStream(self._service, session, self._metrics, challenge)
        self._open.add(stream)
        return stream

    def claim(
        self, segment_id: int, ticket: Ticket, *, captured_ns: int, frame_id: int
    ) -> QueuedPicture:
        """The picture that a ticket of the frame queue stands for.

        Raises:
            RequestError: as Broker.claim.
        """
        if self._broker is None:
            raise RequestError(
                ErrorCode.NO_EXIST,
                "this server has no frame queue, so no ticket is good",
                hint="set frames.socket, or send the picture",
            )
        return QueuedPicture(
            self._broker.claim(segment_id, ticket, captured_ns=captured_ns, frame_id=frame_id)
        )


class FrameStream:
    """One client's stream. Its frames are to be submitted one after the other.

    `on_end` is called, from any thread, when the server ends it.
    """

    def __init__(
        self,
        service: LivenessService,
        session: Session,
        metrics: Metrics,
        challenge: LiveChallenge | None = None,
    ) -> None:
        """Nobody is in front."""
        self.challenge = challenge
        self._service = service
        self._session = session
        self._metrics = metrics
        self.on_end: Callable[[LiveGateError], None] = lambda error: None

    def submit(self, frame: StreamFrame) -> Future[FrameAnswer]:
        """Queue a frame; whatever is wrong with it stands in its answer.

        Raises:
            QueueError: QUEUE_FULL, of which `skip` makes an answer, or QUEUE_STOPED. The future may
                hold a DeadlineError, of which `refuse` makes one.
        """
        clock = StageClock()
        return self._service.queue(lambda: self._answer(frame, clock))

    def refuse(self, frame: StreamFrame, error: BaseException) -> FrameAnswer:
        """The answer to a frame that was not, or could not be, looked at: never OPEN."""
        frame.picture.discard()
        return self.fail(frame.frame_id, frame.frame_pts, error)

    def skip(self, frame: StreamFrame, error: LiveGateError) -> FrameAnswer:
        """The answer to a frame that nobody had time for: it says nothing of the person in front."""
        frame.picture.discard()
        answer = answer_of_error(error, frame_id=frame.frame_id, frame_pts=frame.frame_pts)
        return self._worded(answer)

    def fail(self, frame_id: int, frame_pts: int, error: BaseException) -> FrameAnswer:
        """The answer to a frame that never became one."""
        person, gate = self._session.fail()
        answer = answer_of_error(error, frame_id=frame_id, frame_pts=frame_pts, person=person, gate=gate)
        return self._worded(answer)

    def _worded(self, answer: FrameAnswer) -> FrameAnswer:
        """Count the word; where a challenge is answered, its own takes the gate's place."""
        if self.challenge is not None:
            answer = answer_with_news(answer, answer.news or self.challenge.silence)
        self._metrics.count_word(answer.gate)
        return answer

    def _answer(self, frame: StreamFrame, clock: StageClock) -> FrameAnswer:
        clock.lap("queue")
        try:
            return self._look(frame, clock)
        except Exception as error:
            failure = as_livegate_error(error)
            if failure.code is ErrorCode.INNER:
                log.error("frame failed", frame=frame.frame_id, exc_info=error)
            return self.refuse(frame, failure)

    def _look(self, frame: StreamFrame, clock: StageClock) -> FrameAnswer:
        picture = frame.picture
        require_past(picture.captured_ns, time.monotonic_ns())
        with picture.open(self._service.limits, self._service.scratch) as pixels:
            clock.lap("decode")
            look = self._service.look(self._session, pixels, picture.captured_ns, clock)
            answer = answer_of_look(
                look, pixels, clock.times(), frame_id=frame.frame_id, frame_pts=frame.frame_pts
            )
            answer = self._worded(answer)
            picture.tell(answer)
            # The arrays die before the slot goes back.
            del pixels
        return answer
