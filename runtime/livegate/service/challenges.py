"""Challenges: a random order of actions, answered once, by a video or in front of a camera."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from livegate.core.challenge import HEAD_MOVEMENTS, Challenge, ChallengeOutcome
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, RequestError
from livegate.core.request import CODE_CHALLENGE, VerifyRequest
from livegate.core.results import Action, VideoVerdict
from livegate.core.telemetry import Metrics
from livegate.engines.pool import shutting_down
from livegate.pipelines.action_session import ActionSession
from livegate.pipelines.challenge import LiveChallenge
from livegate.service.challengebook import ChallengeBook
from livegate.service.liveness import LivenessService, State

NONCE_BYTES = 16
Choose = Callable[[Sequence[Action]], Action]


class Challenges:
    """Starts challenges, and gives each to the one who answers it. Safe for any thread."""

    def __init__(
        self,
        config: Config,
        service: LivenessService,
        metrics: Metrics,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        choose: Choose = secrets.choice,
    ) -> None:
        """None is open. `choose` is the chance that nobody can foresee."""
        self._config = config
        self._service = service
        self._metrics = metrics
        self._now_ns = now_ns
        self._choose = choose
        self._book = ChallengeBook(config.challenge.max_open, self._expired, now_ns=now_ns)

    def start(self, code: int) -> Challenge:
        """Open one; its time runs from now.

        Raises:
            RequestError: PARAM_FAILURE for another code, or when this box has not the models; FULL.
            LiveGateError: NOT_INIT while the models are warming.
            QueueError: QUEUE_STOPED when the server shuts down.
        """
        if code != CODE_CHALLENGE:
            raise _refused(f"the message code is {code}, only {CODE_CHALLENGE} is answered", "send it")
        if self._service.status.state is State.DRAINING:
            raise shutting_down()
        self._require_models()  # what could not be answered is not asked
        config = self._config.challenge
        lifetime_ms = round(config.lifetime_s * 1000)
        challenge = Challenge(
            nonce=secrets.token_urlsafe(NONCE_BYTES),
            actions=draw(tuple(map(Action, config.actions)), config.count, self._choose),
            lifetime_ms=lifetime_ms,
            deadline_ns=self._now_ns() + lifetime_ms * 1_000_000,
            deadline_ms=time.time_ns() // 1_000_000 + lifetime_ms,
        )
        self._book.add(challenge)
        return challenge

    def asked(self, request: VerifyRequest) -> VerifyRequest:
        """The request with the actions of its challenge, which stays open.

        Raises:
            RequestError: PARAM_FAILURE for other actions, for windows or a nod_deg; where a challenge is
                required and there is none; else as ChallengeBook.find.
        """
        if not request.challenge:
            if not (request.actions and self._config.challenge.required):
                return request
            raise RequestError(
                ErrorCode.PARAM_FAILURE,
                "this box judges actions only in answer to a challenge",
                hint="call StartChallenge, and send its nonce as `challenge`",
                fields={"required": "challenge"},
            )
        actions = tuple(action.value for action in self._book.find(request.challenge).actions)
        if request.actions not in ((), actions):
            raise _refused("the actions are not the challenge's", "leave them out")
        if request.windows:
            raise _refused("windows would change the challenge's order", "leave action_time out")
        if request.nod_deg is not None:  # high enough, it would hide the nods that nobody asked for
            raise _refused("how deep a nod must be is this box's to say", "leave nod_threshold out")
        return replace(request, actions=actions)

    def spend(self, nonce: str) -> None:
        """The video that answers it was accepted; no other will be. Raises as ChallengeBook.take."""
        self._book.take(nonce)

    def count_when_done(self, future: Future[VideoVerdict]) -> None:
        """Count how a challenge ended that a video answered."""
        future.add_done_callback(lambda done: self._count(_outcome_of(done)))

    def live(self, nonce: str) -> LiveChallenge:
        """Have it answered in front of a camera: nobody else can any more.

        Raises:
            RequestError: as ChallengeBook.take; PARAM_FAILURE when this box has not the models.
            LiveGateError: NOT_INIT while the models are warming.
        """
        lease = self._service.lease()
        make = partial(ActionSession, lease.pipeline, self._config)
        try:
            make()  # a box that cannot judge must not spend it
            challenge = self._book.take(nonce)
        except BaseException:
            lease.release()
            raise
        return LiveChallenge(challenge, lease, make, self._config, self._count, now_ns=self._now_ns)

    def _require_models(self) -> None:
        with self._service.lease() as pipeline:
            ActionSession(pipeline, self._config)

    def _count(self, outcome: ChallengeOutcome) -> None:
        self._metrics.challenges.labels(outcome.value).inc()

    def _expired(self, count: int) -> None:
        self._metrics.challenges.labels(ChallengeOutcome.EXPIRED.value).inc(count)


def draw(allowed: Sequence[Action], count: int, choose: Choose) -> tuple[Action, ...]:
    """So many actions at random, every order as likely: none follows itself, one moves the head.

    The same action twice in a row looks like once. A head that moves shows itself from several sides,
    which a picture on paper does not.
    """
    while True:
        drawn: list[Action] = []
        for _ in range(count):
            drawn.append(choose([one for one in allowed if [one] != drawn[-1:]]))
        if HEAD_MOVEMENTS & set(drawn):
            return tuple(drawn)


def _outcome_of(future: Future[VideoVerdict]) -> ChallengeOutcome:
    if future.cancelled() or future.exception() is not None:
        return ChallengeOutcome.ABANDONED
    return ChallengeOutcome.PASSED if future.result().is_alive else ChallengeOutcome.FAILED


def _refused(fact: str, hint: str) -> RequestError:
    return RequestError(ErrorCode.PARAM_FAILURE, fact, hint=hint)
