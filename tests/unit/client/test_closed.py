"""A client that was closed says so, whoever waits and however; nobody else's task is cancelled."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from livegate.client import AsyncLivenessClient, FrameProducer, LivenessClient
from livegate.client.calls import metadata, presentable
from livegate.core.errors import ErrorCode, LiveGateError
from support import HANG_S

ASKING: tuple[Callable[[Any], Any], ...] = (
    lambda client: client.status(),
    lambda client: client.watch("door"),
    lambda client: client.stream(),
)


@pytest.fixture
def silent_box() -> Iterator[str]:
    """Where somebody listens and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("ask", ASKING)
def test_closed_client_asks_nobody(silent_box: str, ask: Callable[[Any], Any]) -> None:
    """1024, for threads and for asyncio."""
    client = LivenessClient(silent_box)
    client.close()
    with pytest.raises(LiveGateError) as caught:
        ask(client)
    assert caught.value.code is ErrorCode.CONNECTION_CLOSE

    async def later() -> None:
        client = AsyncLivenessClient(silent_box)
        await client.close()
        answer = ask(client)
        if asyncio.iscoroutine(answer):
            await answer

    with pytest.raises(LiveGateError) as caught:
        asyncio.run(later())
    assert caught.value.code is ErrorCode.CONNECTION_CLOSE


def test_close_ends_the_questions_of_other_threads(silent_box: str) -> None:
    """With the same word."""
    client = LivenessClient(silent_box, retries=0)
    codes: list[ErrorCode] = []

    def ask() -> None:
        try:
            client.status(timeout_s=HANG_S)
        except LiveGateError as error:
            codes.append(error.code)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    client.close()
    thread.join(HANG_S)
    assert codes == [ErrorCode.CONNECTION_CLOSE]


def test_close_ends_the_questions_of_other_tasks_and_cancels_none(silent_box: str) -> None:
    """A task that was not cancelled ends with an error, which a task group tells of."""

    async def run() -> list[BaseException | Any]:
        client = AsyncLivenessClient(silent_box, retries=0)

        async def hear() -> None:
            async with client.watch("door") as answers:
                async for _ in answers:
                    pass

        asking = [asyncio.create_task(client.status(timeout_s=HANG_S)), asyncio.create_task(hear())]
        await asyncio.sleep(0.2)
        await client.close()
        await asyncio.wait(asking, timeout=HANG_S)
        assert not any(task.cancelled() for task in asking)
        return [task.exception() for task in asking]

    for error in asyncio.run(run()):
        assert isinstance(error, LiveGateError)
        assert error.code is ErrorCode.CONNECTION_CLOSE


def test_task_that_is_cancelled_is(silent_box: str) -> None:
    """By whoever meant it."""

    async def run() -> bool:
        async with AsyncLivenessClient(silent_box) as client:
            asking = asyncio.create_task(client.status(timeout_s=HANG_S))
            await asyncio.sleep(0.2)
            asking.cancel()
            await asyncio.wait((asking,))
            return asking.cancelled()

    assert asyncio.run(run())


@pytest.mark.parametrize("kind", [LivenessClient, AsyncLivenessClient])
@pytest.mark.parametrize("token", ["mit ümlaut-123", "tab\tulator", "a\nb"])
def test_token_that_no_header_carries_is_1031(kind: Any, token: str) -> None:
    """At once, without repeating it; gRPC would say "invalid metadata" at the first call."""
    with pytest.raises(LiveGateError, match="the token has") as caught:
        kind("127.0.0.1:1", token=token)
    assert caught.value.code is ErrorCode.PARAM_FAILURE
    assert token not in str(caught.value)


def test_token_from_a_file_may_end_with_its_line() -> None:
    """As open(...).read() gives it."""
    assert metadata(presentable("secret-of-the-box\n"), "id")[0] == (
        "authorization",
        "Bearer secret-of-the-box",
    )


@pytest.mark.parametrize(
    "misuse",
    [{"pixel_format": "RGB"}, {"width": -5}, {"width": 640.5}, {"height": 1 << 32}, {"slots": 0}],
)
def test_producer_of_no_such_frames_is_1031(misuse: dict[str, Any]) -> None:
    """Before anything is opened."""
    with pytest.raises(LiveGateError) as caught:
        FrameProducer("/nope", **{"camera": "door", "width": 64, "height": 64, **misuse})
    assert caught.value.code is ErrorCode.PARAM_FAILURE


def test_producer_takes_numpys_numbers() -> None:
    """As arithmetic on an array's shape gives them."""
    FrameProducer("/nope", camera="door", width=np.int64(64), height=np.uint16(64))
