"""A start without a server: everything that could keep one from serving, but for what is taken.

An address that somebody else listens on, or that this box does not have, is found by a start alone; what
serves now has the same ones.
"""

from __future__ import annotations

from livegate.app.build import build_pipeline, build_store
from livegate.app.enginebuilds import EngineBuilds, build_before_serving
from livegate.app.exposure import require_credentials, served_dialects
from livegate.app.server import build_dialects
from livegate.app.supervisor import require_cameras
from livegate.core.config import Config
from livegate.core.errors import ErrorCode, SetupError
from livegate.core.results import EngineInfo
from livegate.core.tls import require_tls
from livegate.gateway.listener import split_address
from livegate.service.cameras import views_of


def rehearse(config: Config) -> tuple[EngineInfo, ...]:
    """Do what a start does until the models are warm, then close them.

    Returns:
        What would run the networks; each has passed the golden gate.

    Raises:
        LiveGateError: as a start would.
    """
    _require_addresses(config)
    require_credentials(config, served_dialects(config, build_dialects(config)))
    require_tls(config)
    _require_cameras(config)
    store = build_store(config)
    build_before_serving(config, store, EngineBuilds())
    pipeline = build_pipeline(config, store)
    try:
        return pipeline.engines
    finally:
        pipeline.close()


def _require_addresses(config: Config) -> None:
    for face in config.faces.values():
        if face.bind:
            split_address(face.bind)


def _require_cameras(config: Config) -> None:
    views_of(config.ingest.cameras)
    if config.frames.socket:
        require_cameras(config.ingest)
    elif any(camera.url for camera in config.ingest.cameras):
        raise SetupError(
            ErrorCode.CONFIG_ADD_FAIL,
            "ingest.cameras names cameras to be read, and frames.socket is empty",
            hint="cameras need the frame queue: set frames.socket",
        )
