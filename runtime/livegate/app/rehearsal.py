"""A start without a server: everything that could keep one from serving, but for the addresses."""

from __future__ import annotations

from livegate.app.build import build_pipeline, build_store
from livegate.app.enginebuilds import EngineBuilds, build_before_serving
from livegate.app.exposure import require_credentials, served_dialects
from livegate.app.server import build_dialects
from livegate.core.config import Config
from livegate.core.results import EngineInfo
from livegate.gateway.tls import server_context


def rehearse(config: Config) -> tuple[EngineInfo, ...]:
    """Do what a start does until the models are warm, then close them.

    Returns:
        What would run the networks; each has passed the golden gate.

    Raises:
        SetupError: as a start would.
    """
    require_credentials(config, served_dialects(config, build_dialects(config)))
    server_context(config.http)
    store = build_store(config)
    build_before_serving(config, store, EngineBuilds())
    pipeline = build_pipeline(config, store)
    try:
        return pipeline.engines
    finally:
        pipeline.close()
