"""What a cloud dialect must be. One file in gateway/dialects with a class `Plugin` that fulfils it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from livegate.core.errors import LiveGateError
from livegate.core.request import Question
from livegate.core.results import Answer

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, as Starlette writes it."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. `path` is decoded, `query` is not; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    request_id: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What goes back."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetch:
    """What a message names by URL, or as /bucket/object, instead of sending it.

    `then` reads on as soon as its bytes are here, at most `max_bytes` of them; in any thread.
    It may answer at once, as `parse` may.
    """

    url: str
    max_bytes: int
    timeout_s: float
    then: Callable[[bytes], Question | HttpAnswer]


class Dialect(Protocol):
    """One cloud's manners."""

    name: str
    routes: tuple[Route, ...]
    prefixes: tuple[str, ...]
    """Paths below which whatever is not a route is refused in this dialect's manner."""
    credentials: str
    """The keys of the configuration that give it credentials, for messages."""

    @property
    def is_authenticated(self) -> bool:
        """Whether callers must prove who they are; if not, only loopback may be served."""
        ...

    def authenticate(self, head: Head) -> None:
        """Check the caller before its body is read, as far as the scheme allows.

        Raises:
            AuthError: it is not who it says.
            RequestError: FULL when it asks too often.
        """
        ...

    def parse(self, head: Head, body: bytes) -> Question | Fetch | HttpAnswer:
        """Read the cloud's message; called in any thread. What is fetched may fail with FetchError.

        An HttpAnswer goes back as it is: there was nothing to judge.

        Raises:
            AuthError: the body, too, is signed, and wrongly.
            RequestError: the message cannot be answered.
        """
        ...

    def render(self, request: Question, answer: Answer) -> HttpAnswer:
        """The answer to what `parse` gave, as the cloud would write it."""
        ...

    def render_error(self, error: LiveGateError, request: Question | None) -> HttpAnswer:
        """The failure, as the cloud would write it; None = the message was not understood yet.

        `error.fields["request_id"]` is what the answer's X-Request-Id says.
        """
        ...
