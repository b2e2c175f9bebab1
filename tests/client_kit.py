"""The asyncio client under the threads' client's interface, so that one suite tests both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from livegate.client import AsyncAnswerStream, AsyncLivenessClient, LivenessClient
from support import HANG_S

KINDS = ("threads", "asyncio")
Connect = Callable[..., Any]


@contextmanager
def connector(kind: str) -> Iterator[Connect]:
    """What makes clients of a kind, all with the interface of LivenessClient."""
    if kind == "threads":
        yield LivenessClient
        return
    loop = LoopThread()
    yield lambda target, **options: blocking_client(loop, target, **options)
    loop.close()


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, call: Any, *arguments: Any, **options: Any) -> Any:
        """Call something inside the loop, await what it gives if it can be awaited."""

        async def inside() -> Any:
            found = call(*arguments, **options)
            return await found if inspect.isawaitable(found) else found

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(2 * HANG_S)

    def close(self) -> None:
        """End, with nothing left behind: a task that is not done would be a leak of ours."""
        left = self.run(lambda: [t for t in asyncio.all_tasks() if t is not asyncio.current_task()])
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANG_S)
        self._loop.close()
        assert not [task for task in left if "livegate" in repr(task.get_coro())], left


class Blocking:
    """An async object whose methods, with-block and iteration block the caller."""

    def __init__(self, made: Any, loop: LoopThread) -> None:
        self._made, self._loop = made, loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._made, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            answer = self._loop.run(found, *arguments, **options)
            return Blocking(answer, self._loop) if isinstance(answer, AsyncAnswerStream) else answer

        return call

    def __enter__(self) -> Blocking:
        self._loop.run(self._made.__aenter__)
        return self

    def __exit__(self, *error: Any) -> None:
        self._loop.run(self._made.__aexit__, *error)

    def __iter__(self) -> Blocking:
        return self

    def __next__(self) -> Any:
        try:
            return self._loop.run(self._made.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None


def blocking_client(loop: LoopThread, target: str, **options: Any) -> Blocking:
    """AsyncLivenessClient as LivenessClient."""
    sleep = options.pop("sleep", None)
    if sleep is not None:

        async def awaited(seconds: float) -> None:
            sleep(seconds)

        options["sleep"] = awaited
    return Blocking(loop.run(AsyncLivenessClient, target, **options), loop)
