"""/livez: 200 as long as no worker hangs. /readyz: what runs, and how."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from livegate.core.config import MetricsConfig
from livegate.core.results import EngineInfo, GraphRuns
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
    told = ask("/livez", Status(State.READY, 1, 1, 0, 1, (), (), longest_run_s=run_s))
    assert told == (code, body.encode())


def test_readyz_tells_how_runs_were_launched() -> None:
    """An engine whose device can record its runs says how many it launched so, and others nothing."""
    engines = [EngineInfo("m", name, "0" * 64, "tensorrt 10", "gpu", "gpu", "fp32") for name in "ab"]
    runs = {("m", "a"): GraphRuns(2, 7, 3, "")}
    code, body = ask("/readyz", Status(State.READY, 1, 0, 0, 1, (), tuple(engines), graph_runs=runs))
    one, other = json.loads(body)["engines"]
    assert code == 200
    assert one["cuda_graphs"] == {"graphs": 2, "recorded_runs": 7, "plain_runs": 3, "why_plain": ""}
    assert "cuda_graphs" not in other


def ask(path: str, status: Status) -> tuple[int, bytes]:
    """The answer's code and body."""
    service: Any = SimpleNamespace(status=status)
    app = operations_app(MetricsConfig(), service, Metrics())
    sent: list[dict[str, Any]] = []

    async def request() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
        await app(scope, receive, send)

    asyncio.run(request())
    return sent[0]["status"], sent[1]["body"]
