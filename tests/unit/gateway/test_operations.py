"""/livez: 200 as long as no worker hangs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from livegate.core.config import MetricsConfig
from livegate.core.telemetry import Metrics
from livegate.gateway.operations import operations_app
from livegate.service.liveness import STUCK_S, State, Status


@pytest.mark.parametrize(
    ("run_s", "code", "body"),
    [
        (0.0, 200, "ok\n"),
        (STUCK_S, 200, "ok\n"),
        (41.0, 503, "a worker has been at one picture for 41 s\n"),
    ],
)
def test_livez_tells_a_stuck_worker(run_s: float, code: int, body: str) -> None:
    """Who restarts by HTTP learns it, too."""
    service: Any = SimpleNamespace(status=Status(State.READY, 1, 1, 0, 1, (), (), longest_run_s=run_s))
    app = operations_app(MetricsConfig(), service, Metrics())
    sent: list[dict[str, Any]] = []

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/livez", "headers": [], "query_string": b""}
        await app(scope, receive, send)

    asyncio.run(ask())
    assert (sent[0]["status"], sent[1]["body"].decode()) == (code, body)
