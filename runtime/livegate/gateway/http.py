"""The HTTP face: reads bodies within their limits and hands them to the dialect of the path."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from livegate.core.config import HttpConfig
from livegate.core.errors import (
    DeadlineError,
    ErrorCode,
    LiveGateError,
    QueueError,
    RequestError,
    as_livegate_error,
)
from livegate.core.ids import request_id
from livegate.core.request import Question, VerifyRequest
from livegate.core.results import Answer
from livegate.core.telemetry import Metrics, get_logger
from livegate.gateway.dialect import JSON, Dialect, Fetch, Head, HttpAnswer
from livegate.gateway.fetch import Fetcher
from livegate.service.actions import ActionService
from livegate.service.liveness import LivenessService

log = get_logger("livegate.http")
REQUEST_ID = "X-Request-Id"
LARGE_BODY_BYTES = 1 << 18
"""Bodies above are parsed in a thread, so that one does not hold up the others' I/O."""
WASTE_S = 5.0
"""How long the rest of a body that is not wanted may take to come."""
Take = Callable[[int], None]
Endpoint = Callable[[Request], Awaitable[Response]]


class Gateway:
    """All dialects over one service."""

    def __init__(
        self,
        dialects: Sequence[Dialect],
        service: LivenessService,
        actions: ActionService,
        fetcher: Fetcher,
        config: HttpConfig,
        metrics: Metrics,
    ) -> None:
        """Mount every dialect's routes."""
        self._fetcher = fetcher
        self._dialects = tuple(dialects)
        self._service = service
        self._actions = actions
        self._config = config
        self._metrics = metrics
        self._reserved = 0
        routes = [
            Route(route.path, self._endpoint(dialect), methods=[route.method])
            for dialect in dialects
            for route in dialect.routes
        ]
        self.app = Starlette(routes=routes, exception_handlers={HTTPException: self._not_found})
        self.app.router.redirect_slashes = False

    def _endpoint(self, dialect: Dialect) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await self._answer(dialect, request)

        return endpoint

    async def _not_found(self, request: Request, error: Exception) -> Response:
        """A path that no dialect has, or a method that its path has not."""
        is_method = isinstance(error, HTTPException) and error.status_code == 405
        code = ErrorCode.UNREALIZED if is_method else ErrorCode.NO_EXIST
        head = _head(request)
        failure = RequestError(code, f"{head.method} {head.path[:200]} is not served here")
        failure.fields["request_id"] = head.request_id
        self._metrics.requests.labels("none", int(code)).inc()
        for dialect in self._dialects:
            if head.path.startswith(dialect.prefixes):
                answer = dialect.render_error(failure, None)
                return _response(answer, head.request_id, closes=not await self._is_over(request))
        body = msgspec.json.encode({"code": int(code), "msg": failure.text})
        allowed = (error.headers or {}) if isinstance(error, HTTPException) else {}
        answer = HttpAnswer(code.http_status, body, JSON, allowed)
        return _response(answer, head.request_id, closes=not await self._is_over(request))

    async def _answer(self, dialect: Dialect, request: Request) -> Response:
        """One request, from its head to its answer; never raises."""
        started_s = time.perf_counter()
        head = _head(request)
        parsed: Question | None = None
        code = ErrorCode.OK
        is_over = False  # whether the whole request has come
        try:
            dialect.authenticate(head)
            with self._memory() as take:
                # The body, which is longer than its pictures, is let go before the queue.
                body = await self._body(request, take)
                is_over = True
                found = await _parse(dialect, head, body)
                del body
                if isinstance(found, Fetch):
                    take(found.max_bytes)
                read = await self._fetched(found)
                if isinstance(read, HttpAnswer):
                    answer = read
                else:
                    parsed = read
                    asked = await self._asked(request, parsed)
                    with self._metrics.serialising():
                        answer = dialect.render(parsed, asked)
        except Exception as error:  # noqa: BLE001 - every error leaves in the dialect's manner
            failure = _failure(error, parsed, head.request_id)
            code = failure.code
            _log(failure, error, dialect.name, head.request_id)
            answer = dialect.render_error(failure, parsed)
        self._metrics.requests.labels(dialect.name, int(code)).inc()
        self._metrics.request_seconds.labels(dialect.name).observe(time.perf_counter() - started_s)
        if not is_over and code is not ErrorCode.TIMEOUT:  # a slow body is not waited for again
            is_over = await self._is_over(request)
        return _response(answer, head.request_id, closes=not is_over)

    @contextlib.contextmanager
    def _memory(self) -> Iterator[Take]:
        """Memory for a body, and for what is fetched, until the request is answered.

        What is yielded takes so many bytes more. It raises:
            QueueError: QUEUE_FULL for all requests together.
        """
        taken = 0

        def take(wanted: int) -> None:
            nonlocal taken
            self._require_room(wanted)
            self._reserved += wanted
            taken += wanted

        try:
            yield take
        finally:
            self._reserved -= taken

    def _require_room(self, wanted: int) -> None:
        if self._reserved + wanted > self._config.max_in_flight_mib << 20:
            raise QueueError(
                ErrorCode.QUEUE_FULL,
                f"the bodies in flight need more than {self._config.max_in_flight_mib} MiB",
                hint="try again in a moment, or raise http.max_in_flight_mib",
            )

    async def _body(self, request: Request, take: Take) -> bytes:
        """The whole body, within its limits of size and time.

        Memory is taken for what has come: a length that is only declared keeps nobody else out.

        Raises:
            RequestError: OUT_OF_RANGE.
            QueueError: as `_memory`; at once where what is declared has no room now.
            DeadlineError: it came too slowly.
            ClientDisconnect: it stopped coming.
        """
        limit = self._config.max_body_mib << 20
        declared = request.headers.get("content-length", "")
        wanted = int(declared) if declared.isdigit() and len(declared) < 19 else 0
        if wanted > limit:
            raise _too_large(wanted, limit)
        self._require_room(wanted)
        try:
            return await asyncio.wait_for(_read(request, limit, take), self._config.body_timeout_s)
        except asyncio.TimeoutError as error:
            raise DeadlineError(
                f"the body did not arrive within {self._config.body_timeout_s:g} s",
                hint="send smaller pictures, or raise http.body_timeout_s",
            ) from error

    async def _is_over(self, request: Request) -> bool:
        """Throw away what still comes of a request that is refused; whether that was all of it.

        A connection that is closed on bytes that nobody has read is reset, and the answer is lost with
        it. Who waits to be asked for his body is not asked.
        """
        if "expect" in request.headers:
            return False
        try:
            return await asyncio.wait_for(_waste(request, self._config.max_body_mib << 21), WASTE_S)
        except (asyncio.TimeoutError, ClientDisconnect):
            return False

    async def _fetched(self, found: Question | Fetch | HttpAnswer) -> Question | HttpAnswer:
        """The question, or an answer without one, once what it names by URL is here.

        Raises:
            RequestError: it cannot be had, or cannot be read.
        """
        if not isinstance(found, Fetch):
            return found
        content = await self._fetcher.fetch(found)
        return await asyncio.to_thread(found.then, content)

    async def _asked(self, request: Request, parsed: Question) -> Answer:
        """The service's answer; a client that leaves takes its request out of the queue.

        Raises:
            LiveGateError: whatever the request met; CONNECTION_CLOSE when the client left.
        """
        asked: Future[Any]
        if isinstance(parsed, VerifyRequest):
            asked = self._actions.submit(parsed)
        else:
            asked = self._service.submit(parsed)
        waiting: asyncio.Future[Any] = asyncio.wrap_future(asked)
        gone = asyncio.ensure_future(_disconnected(request))
        both: set[asyncio.Future[Any]] = {waiting, gone}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                answer: Answer = waiting.result()
                return answer
            raise ClientDisconnect
        finally:
            gone.cancel()
            waiting.cancel()


async def _parse(dialect: Dialect, head: Head, body: bytes) -> Question | Fetch | HttpAnswer:
    if len(body) < LARGE_BODY_BYTES:
        return dialect.parse(head, body)
    return await asyncio.to_thread(dialect.parse, head, body)


async def _read(request: Request, limit: int, take: Take) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(size, limit)
        take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


async def _waste(request: Request, limit: int) -> bool:
    """Whether a body ended within that many bytes."""
    size = 0
    while size <= limit:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return True
    return False


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _head(request: Request) -> Head:
    headers: dict[str, str] = {}
    for name, value in request.scope["headers"]:  # starlette's own mapping looks through all for each
        headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return Head(
        method=request.method,
        path=request.scope["path"],  # request.url would take a "?" that was encoded for the query
        query=request.scope["query_string"].decode("latin-1"),
        headers=headers,
        request_id=request_id(headers.get(REQUEST_ID.lower())),
    )


def _failure(error: Exception, parsed: Question | None, this_id: str) -> LiveGateError:
    if isinstance(error, ClientDisconnect):
        error = LiveGateError(ErrorCode.CONNECTION_CLOSE, "the client left before its answer")
    failure = as_livegate_error(error)
    failure.fields["request_id"] = this_id
    if parsed is not None:
        failure.fields.setdefault("task_id", parsed.task_id)
    return failure


def _too_large(size: int, limit: int) -> RequestError:
    return RequestError(
        ErrorCode.OUT_OF_RANGE,
        f"the body has {size} bytes or more, the limit is {limit}",
        hint="send smaller or fewer pictures, or raise http.max_body_mib",
    )


def _log(failure: LiveGateError, error: Exception, dialect: str, this_id: str) -> None:
    event = {
        "dialect": dialect,
        "code": int(failure.code),
        "request_id": this_id,
        "why": failure.message,
    }
    if failure.code is ErrorCode.INNER:
        log.error("request failed", **event, exc_info=error)
    else:
        log.info("request refused", **event)


def _response(answer: HttpAnswer, this_id: str, *, closes: bool) -> Response:
    headers = {REQUEST_ID: this_id, **answer.headers}
    if closes:  # the rest of its body is not waited for
        headers["Connection"] = "close"
    return Response(answer.body, answer.status, headers, answer.content_type)
