"""The gRPC face before it is started."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from livegate.core.config import GrpcConfig
from livegate.core.telemetry import Metrics
from livegate.grpcapi import interceptors
from livegate.grpcapi import server as server_module
from livegate.grpcapi.server import MAX_CALLS, MAX_PUBLIC_CALLS, GrpcServer

TOKEN = "a token that is long enough"
CALL = "/livegate.v1.LivenessService/Analyze"
CHECK = "/grpc.health.v1.Health/Check"


@pytest.fixture
def _open_mask() -> Iterator[None]:
    mask = os.umask(0)
    yield
    os.umask(mask)


@pytest.mark.usefixtures("_open_mask")
def test_socket_is_this_users_from_the_moment_it_is_bound(tmp_path: Path) -> None:
    """gRPC takes connections before its start, and the socket is what makes an operator."""
    path = tmp_path / "grpc.sock"

    async def mode_when_bound() -> int:
        config = GrpcConfig(bind="", socket=str(path))
        server = GrpcServer(config, *[None] * 6, Metrics())  # type: ignore[arg-type]
        mode = path.stat().st_mode & 0o777
        await server.start()
        await server.stop(0)
        return mode

    assert asyncio.run(mode_when_bound()) == 0o600


def served(
    tmp_path: Path,
    ask: Callable[[grpc.aio.Channel], Awaitable[None]],
    metrics: Metrics | None = None,
) -> None:
    """`ask` a face with one token and nothing behind it."""

    async def run() -> None:
        config = GrpcConfig(bind="", socket=str(tmp_path / "grpc.sock"), tokens=(TOKEN,))
        server = GrpcServer(config, *[None] * 6, metrics or Metrics())  # type: ignore[arg-type]
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"unix:{tmp_path}/grpc.sock") as channel:
                await asyncio.wait_for(ask(channel), 20)
        finally:
            await server.stop(0)

    asyncio.run(run())


def silent(channel: grpc.aio.Channel, method: str = CALL, token: str = "") -> grpc.aio.Call:
    """A call whose message does not come."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    return channel.stream_unary(method)(metadata=metadata)


async def is_answering(channel: grpc.aio.Channel) -> bool:
    """Whether somebody with a token gets as far as to be told that there is no such method."""
    call = channel.unary_unary("/livegate.v1.LivenessService/None")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"", metadata=(("authorization", f"Bearer {TOKEN}"),))
    return refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_silent_calls_without_a_token_hold_no_place(tmp_path: Path) -> None:
    """They are refused before their message comes, more of them than the face has places."""

    async def ask(channel: grpc.aio.Channel) -> None:
        calls = [silent(channel) for _ in range(MAX_CALLS + 20)]
        assert await is_answering(channel)
        codes = {await call.code() for call in calls}
        assert codes <= {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert await silent(channel).code() is grpc.StatusCode.UNAUTHENTICATED

    served(tmp_path, ask)


def test_message_that_does_not_come_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of somebody who may call; the place is free afterwards."""
    monkeypatch.setattr(interceptors, "MESSAGE_TIMEOUT_S", 0.2)

    async def ask(channel: grpc.aio.Channel) -> None:
        calls = [silent(channel, token=TOKEN) for _ in range(MAX_CALLS)]
        assert {await call.code() for call in calls} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert "did not come within 0.2 s" in (await calls[0].details())
        assert await is_answering(channel)

    served(tmp_path, ask)


def test_call_that_ends_without_a_message_is_refused(tmp_path: Path) -> None:
    """Half-closed at once."""

    async def ask(channel: grpc.aio.Channel) -> None:
        call = silent(channel, token=TOKEN)
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "has no message" in (await call.details())

    served(tmp_path, ask)


def test_silent_health_checks_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They need no token: few at once, and whoever asks properly is answered meanwhile."""
    monkeypatch.setattr(server_module, "MESSAGE_TIMEOUT_S", 1.0)

    async def ask(channel: grpc.aio.Channel) -> None:
        calls = [silent(channel, CHECK) for _ in range(MAX_CALLS)]
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await is_answering(channel)
        codes = [await call.code() for call in calls]
        assert set(codes) <= {
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }
        assert codes.count(grpc.StatusCode.DEADLINE_EXCEEDED) <= MAX_PUBLIC_CALLS

    served(tmp_path, ask)


def test_health_watchers_are_told_and_few(tmp_path: Path) -> None:
    """As many as there are places; one that leaves gives his back."""

    async def ask(channel: grpc.aio.Channel) -> None:
        health = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(MAX_PUBLIC_CALLS)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        more = health.Watch(health_pb2.HealthCheckRequest())
        assert await more.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()
        for _ in range(100):
            again = health.Watch(health_pb2.HealthCheckRequest())
            if await again.read() is not grpc.aio.EOF:
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the place did not come back")

    served(tmp_path, ask)


def test_who_leaves_before_his_message_is_no_malformed_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled, and past its deadline: 1024 and 1011, as in the table of errors."""
    metrics, begun, message_of = Metrics(), [], interceptors.message_of

    async def counted(context: Any, timeout_s: float) -> Any:
        begun.append(context)
        return await message_of(context, timeout_s)

    monkeypatch.setattr(interceptors, "message_of", counted)

    async def ask(channel: grpc.aio.Channel) -> None:
        silent_call = channel.stream_unary(CALL)
        metadata = (("authorization", f"Bearer {TOKEN}"),)
        left = [silent_call(metadata=metadata) for _ in range(10)]
        while len(begun) < 10:  # who leaves before is never heard of
            await asyncio.sleep(0.01)
        for call in left:
            call.cancel()
        late = [silent_call(metadata=metadata, timeout=1.0) for _ in range(10)]
        while len(begun) < 20:
            await asyncio.sleep(0.01)
        assert {await call.code() for call in late} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        while sum(told(metrics).values()) < 20:
            await asyncio.sleep(0.01)

    served(tmp_path, ask, metrics)
    assert told(metrics) == {"1024": 10, "1011": 10}


def told(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["code"]: sample.value
        for family in metrics.requests.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_unknown_reflection_is_unknown_without_a_token(tmp_path: Path) -> None:
    """Clients that know a newer one fall back then."""

    async def ask(channel: grpc.aio.Channel) -> None:
        call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")()
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED

    served(tmp_path, ask)
