"""/metrics for Prometheus, /livez and /readyz for whoever restarts or routes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livegate import __version__
from livegate.core.config import MetricsConfig
from livegate.core.errors import AuthError
from livegate.core.results import GraphRuns
from livegate.core.secrets import require_bearer
from livegate.core.telemetry import Metrics
from livegate.gateway.dialect import JSON
from livegate.service.liveness import LivenessService, State


def operations_app(config: MetricsConfig, service: LivenessService, metrics: Metrics) -> Starlette:
    """The app of the metrics port."""

    async def show_metrics(request: Request) -> Response:
        try:
            require_bearer(request.headers.get("authorization"), config.tokens)
        except AuthError as error:
            headers = {"WWW-Authenticate": "Bearer"}
            return PlainTextResponse(f"{error}\n", error.code.http_status, headers)
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    async def livez(request: Request) -> Response:
        status = service.status
        if status.is_stuck:
            told = f"a worker has been at one picture for {status.longest_run_s:.0f} s\n"
            return PlainTextResponse(told, 503)
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        status = service.status
        body: dict[str, Any] = {
            "state": status.state.value,
            "version": __version__,
            "algo_tasks": status.algo_tasks,
            "workers": status.workers,
            "running": status.running,
            "queue": {"depth": status.queue_depth, "capacity": status.queue_capacity},
            "engines": [
                {
                    "model": engine.model_id,
                    "network": engine.network,
                    "backend": engine.backend,
                    "provider_asked": engine.provider_asked,
                    "provider": engine.provider,
                    "precision": engine.precision,
                    "preprocess": engine.preprocess,
                    **_graphs(status.graph_runs.get((engine.model_id, engine.network))),
                }
                for engine in status.engines
            ],
        }
        if status.build is not None:
            body["build"] = {
                "model": status.build.model,
                "network": status.build.network,
                "phase": status.build.phase,
                "part": round(status.build.part, 3),
                "elapsed_s": round(status.build.elapsed_s, 1),
                "left_s": None if status.build.left_s is None else round(status.build.left_s, 1),
            }
        code = 200 if status.state is State.READY else 503
        return Response(msgspec.json.encode(body), code, media_type=JSON)

    return Starlette(
        routes=[
            Route("/metrics", show_metrics),
            Route("/livez", livez),
            Route("/readyz", readyz),
        ]
    )


def _graphs(runs: GraphRuns | None) -> dict[str, Any]:
    """What /readyz says of an engine whose device can record its runs."""
    return {} if runs is None else {"cuda_graphs": asdict(runs)}
